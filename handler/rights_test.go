package handler

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-httpout/httpout/handler/access"
)

// htpasswd returns the lines of a users file, for which a password is the name
// and "pw".
func htpasswd(t testing.TB, names ...string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range names {
		hash, err := bcrypt.GenerateFromPassword([]byte(name+"pw"), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(name + ":" + string(hash) + "\n")
	}
	return b.String()
}

// basic returns the header line of somebody who logs in.
func basic(name, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// ruled returns a site with folders of all kinds of rights.
func ruled(t testing.TB) *site {
	t.Helper()
	const rules = `
[www]
[www/bobs]
ru = bob, ann
[www/bobs/shared]
ru = $ALL
[www/crew]
rg = crew
[www/both]
ru = eve
rg = crew
[www/closed]
ru = $NONE
[www/up]
wu = bob
[www/inbox]
ru = $NONE
wu = $ALL
[www/outbox]
wg = crew
ru = bob
[www/sealed]
wu = $NONE
[films]
name = my/films
ru = bob
wu = ann
[api]
name = api
ru = bob
`
	files := map[string]string{
		"rules.ini": rules, "users": htpasswd(t, "bob", "eve", "dan", "ann"), "groups": "crew: dan\n", "films/f": "F",
	}
	for _, dir := range []string{"", "bobs/", "bobs/shared/", "crew/", "both/", "closed/", "up/", "inbox/", "outbox/", "sealed/"} {
		files["www/"+dir+"f"] = "F"
	}
	return newSite(t, Options{ReadDirs: []string{"rules.ini"}, Users: "users", Groups: "groups", DirList: true}, files)
}

// forgetFailures lets a client that has failed to log in try again at once.
func (s *site) forgetFailures() { s.state.auth = access.NewAuthenticator() }

// Who asks, in the tables below.
var logins = []struct {
	name   string
	header []string
}{
	{"nobody", nil},
	{"bob", []string{basic("bob", "bobpw")}},
	{"eve", []string{basic("eve", "evepw")}},
	{"dan", []string{basic("dan", "danpw")}}, // of the crew
	{"wrong password", []string{basic("bob", "evepw")}},
	{"unknown user", []string{basic("tim", "timpw")}},
}

func TestRightsToRead(t *testing.T) {
	s := ruled(t)
	for _, tc := range []struct {
		dir  string
		want [6]int // for each of logins
	}{
		{"/", [6]int{200, 200, 200, 200, 200, 200}},
		{"/bobs/", [6]int{401, 200, 403, 403, 401, 401}},
		{"/bobs/shared/", [6]int{200, 200, 200, 200, 200, 200}},
		{"/crew/", [6]int{401, 403, 403, 200, 401, 401}},
		{"/both/", [6]int{401, 403, 200, 200, 401, 401}},
		{"/closed/", [6]int{403, 403, 403, 403, 403, 403}},
		{"/up/", [6]int{200, 200, 200, 200, 200, 200}},
		{"/inbox/", [6]int{403, 403, 403, 403, 403, 403}},
		{"/outbox/", [6]int{401, 200, 403, 403, 401, 401}},
		{"/my/films/", [6]int{401, 200, 403, 403, 401, 401}},
	} {
		for i, login := range logins {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				what := method + " " + tc.dir + "f by " + login.name
				r := s.do(method, tc.dir+"f", "", login.header...)
				wantStatus(t, what, r, tc.want[i])
				wantLogin(t, what, r)
			}

			// who may not read does not learn what there is
			missing := tc.want[i]
			if missing == http.StatusOK {
				missing = http.StatusNotFound
			}
			r := s.get(tc.dir+"missing", login.header...)
			wantStatus(t, tc.dir+"missing by "+login.name, r, missing)
			wantStatus(t, tc.dir+"missing/ by "+login.name, s.get(tc.dir+"missing/", login.header...), missing)
			if missing != http.StatusNotFound {
				equal(t, tc.dir+": reason by "+login.name, r.body, s.get(tc.dir+"f", login.header...).body)
			}
			wantStatus(t, "listing of "+tc.dir+" by "+login.name, s.get(tc.dir, login.header...), tc.want[i])
			s.forgetFailures()
		}
	}
}

// wantLogin checks that a client is asked to log in by 401, and only then.
func wantLogin(t *testing.T, what string, r reply) {
	t.Helper()
	want := ""
	if r.status == http.StatusUnauthorized {
		want = `Basic realm="httpout", charset="UTF-8"`
	}
	wantHeader(t, what, r.header, "WWW-Authenticate: "+want)
}

func TestRightsToWrite(t *testing.T) {
	s := ruled(t)
	for _, tc := range []struct {
		dir  string
		want [6]int // for each of logins, of a PUT of what is there
	}{
		{"/", [6]int{405, 405, 405, 405, 405, 405}},
		{"/bobs/", [6]int{405, 405, 405, 405, 405, 405}},
		{"/up/", [6]int{401, 200, 403, 403, 401, 401}},
		{"/inbox/", [6]int{200, 200, 200, 200, 200, 200}},
		{"/outbox/", [6]int{401, 403, 403, 200, 401, 401}},
		{"/sealed/", [6]int{403, 403, 403, 403, 403, 403}},
		{"/my/films/", [6]int{401, 403, 403, 403, 401, 401}},
	} {
		for i, login := range logins {
			what := tc.dir + "f by " + login.name
			r := s.do(http.MethodPut, tc.dir+"f", "F", login.header...)
			wantStatus(t, "PUT "+what, r, tc.want[i])
			wantLogin(t, "PUT "+what, r)
			wantStatus(t, "POST "+what, s.do(http.MethodPost, tc.dir+"f", "F", login.header...), tc.want[i])
			wantStatus(t, "PATCH "+what, s.do(http.MethodPatch, tc.dir+"f", "F", append(login.header, "Content-Range: bytes 0-0/*")...), tc.want[i])

			allow := ""
			if tc.want[i] == http.StatusMethodNotAllowed {
				allow = readMethods
			}
			wantHeader(t, "PUT "+what, r.header, "Allow: "+allow)

			// who may not write does not learn what there is
			created, deleted, patched := tc.want[i], tc.want[i], tc.want[i]
			if tc.want[i] == http.StatusOK {
				created, deleted, patched = http.StatusCreated, http.StatusOK, http.StatusRequestedRangeNotSatisfiable
			}
			wantStatus(t, "PATCH of a new "+what, s.do(http.MethodPatch, tc.dir+"new", "F", append(login.header, "Content-Range: bytes 5-5/*")...), patched)
			s.forgetFailures()
			wantStatus(t, "DELETE of a missing "+what, s.do(http.MethodDelete, tc.dir+"new", "", login.header...), noContentIf(deleted))
			wantStatus(t, "PUT of a new "+what, s.do(http.MethodPut, tc.dir+"new", "F", login.header...), created)
			wantStatus(t, "DELETE of the new "+what, s.do(http.MethodDelete, tc.dir+"new", "", login.header...), deleted)
			wantStatus(t, "PUT of a folder "+what, s.do(http.MethodPut, tc.dir, "F", login.header...), conflictIf(tc.want[i]))
			s.forgetFailures()
		}
	}
	equal(t, "file that nobody may write", s.content("www/sealed/f"), "F")
}

func noContentIf(status int) int {
	if status == http.StatusOK {
		return http.StatusNoContent
	}
	return status
}

func conflictIf(status int) int {
	if status == http.StatusOK {
		return http.StatusConflict
	}
	return status
}

func TestRightsOfOptions(t *testing.T) {
	s := ruled(t)
	for _, tc := range []struct {
		path   string
		header []string
		want   int
		allow  string
	}{
		{"/f", nil, 200, readMethods},
		{"/missing", nil, 200, readMethods},
		{"/bobs/f", nil, 401, ""},
		{"/bobs/f", []string{basic("bob", "bobpw")}, 200, readMethods},
		{"/bobs/f", []string{basic("eve", "evepw")}, 403, ""},
		{"/closed/f", nil, 403, ""},
		{"/up/f", nil, 200, allMethods},
		{"/inbox/f", nil, 200, allMethods},
		{"/outbox/f", nil, 401, ""},
		{"/outbox/f", []string{basic("dan", "danpw")}, 200, allMethods},
		{"/outbox/f", []string{basic("bob", "bobpw")}, 200, allMethods},
	} {
		r := s.do(http.MethodOptions, tc.path, "", tc.header...)
		wantStatus(t, "OPTIONS "+tc.path, r, tc.want)
		wantHeader(t, "OPTIONS "+tc.path, r.header, "Allow: "+tc.allow)
		wantLogin(t, "OPTIONS "+tc.path, r)
	}
}

func TestUserOfCaddyWins(t *testing.T) {
	s := ruled(t)
	get := func(user string, header ...string) reply {
		return s.serve(as(newRequest(http.MethodGet, "/bobs/f", "", header...), user))
	}
	wantStatus(t, "bob", get("bob"), http.StatusOK)
	wantStatus(t, "eve", get("eve"), http.StatusForbidden)
	wantStatus(t, "eve with bob's password", get("eve", basic("bob", "bobpw")), http.StatusForbidden)
	wantStatus(t, "bob with a wrong password", get("bob", basic("bob", "x")), http.StatusOK)
	wantStatus(t, "somebody who is in no file", get("tim"), http.StatusForbidden)
	wantStatus(t, "nobody", get("", basic("bob", "bobpw")), http.StatusOK)
	r := s.serve(as(newRequest(http.MethodGet, "/crew/f", ""), "dan"))
	wantStatus(t, "dan of the crew", r, http.StatusOK)
}

func TestPasswordIsNotCheckedWhereEverybodyMayRead(t *testing.T) {
	s := ruled(t)
	for range 20 {
		wantStatus(t, "wrong password", s.get("/f", basic("bob", "x")), http.StatusOK)
	}
	wantStatus(t, "where it matters", s.get("/bobs/f", basic("bob", "bobpw")), http.StatusOK)
}

// TestTooManyFailedLogins is in virtual time, as what a client has to wait
// becomes less while others are checked.
func TestTooManyFailedLogins(t *testing.T) {
	for _, routes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := ruled(t)
			if routes {
				s.withErrorRoutes()
			}
			for range 10 {
				wantStatus(t, "wrong password", s.get("/bobs/f", basic("bob", "x")), http.StatusUnauthorized)
			}
			r := s.get("/bobs/f", basic("bob", "bobpw"))
			wantStatus(t, "one more", r, http.StatusTooManyRequests)
			wantHeader(t, "one more", r.header, "Retry-After: 6", "WWW-Authenticate:")
			wantStatus(t, "without a password", s.get("/bobs/f"), http.StatusUnauthorized)
			other := from(newRequest(http.MethodGet, "/bobs/f", "", basic("bob", "bobpw")), "198.51.100.7:1")
			wantStatus(t, "another client", s.serve(other), http.StatusOK)

			time.Sleep(1500 * time.Millisecond)
			wantHeader(t, "a little later", s.get("/bobs/f", basic("bob", "bobpw")).header, "Retry-After: 5")
			time.Sleep(5 * time.Second)
			wantStatus(t, "after the time it was told", s.get("/bobs/f", basic("bob", "bobpw")), http.StatusOK)
		})
	}
}

// TestRequestIsOneFailedLogin has a wrong password matter in several places.
func TestRequestIsOneFailedLogin(t *testing.T) {
	s := newSite(t, Options{ReadDirs: []string{"rules.ini"}, Users: "users", DirList: true}, map[string]string{
		"rules.ini": "[one]\nru=bob\nwu=bob\n[two]\nru=bob\n[three]\nru=bob\n", "users": htpasswd(t, "bob"),
		"one/a": "1", "two/": "", "three/": "",
	})
	for _, tc := range []struct{ method, path string }{
		{http.MethodGet, "/a"}, {http.MethodGet, "/"}, {http.MethodGet, "/missing"}, {http.MethodOptions, "/a"}, {http.MethodPut, "/a"},
	} {
		s.forgetFailures()
		for range 9 {
			wantStatus(t, "wrong password", s.do(tc.method, tc.path, "", basic("bob", "x")), http.StatusUnauthorized)
		}
		wantStatus(t, tc.method+" "+tc.path+" nine times, then the right one", s.get("/a", basic("bob", "bobpw")), http.StatusOK)
	}
}

func TestRefusalsKeepTheirHeadersForErrorRoutes(t *testing.T) {
	s := ruled(t)
	s.withErrorRoutes()
	wantLogin(t, "401", s.get("/bobs/f"))
	wantStatus(t, "401", s.get("/bobs/f"), http.StatusUnauthorized)
	r := s.do(http.MethodPut, "/bobs/f", "x")
	wantStatus(t, "405", r, http.StatusMethodNotAllowed)
	wantHeader(t, "405", r.header, "Allow: "+readMethods)
}

func TestLoginWithoutUsersFile(t *testing.T) {
	s := newSite(t, Options{ReadDirs: []string{"rules.ini"}}, map[string]string{"rules.ini": "[www]\nru=bob\n", "www/a": "a"})
	wantStatus(t, "with a password", s.get("/a", basic("bob", "bobpw")), http.StatusUnauthorized)
	wantStatus(t, "by Caddy", s.serve(as(newRequest(http.MethodGet, "/a", ""), "bob")), http.StatusOK)
}
