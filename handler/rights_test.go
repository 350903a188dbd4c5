package handler

import (
	"encoding/base64"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

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

func TestVirtualSectionProtectsItsName(t *testing.T) {
	for _, passThru := range []bool{false, true} {
		// What such a section is for is the next handler.
		t.Run(map[bool]string{false: "alone", true: "with pass_thru"}[passThru], func(t *testing.T) {
			s := ruled(t)
			s.opts.PassThru = passThru
			for _, path := range []string{"/api", "/api/x", "/api/x/y"} {
				r := s.get(path)
				wantStatus(t, path, r, http.StatusUnauthorized)
				equal(t, path+" passed on", r.passed, false)
				wantStatus(t, path+" by eve", s.get(path, basic("eve", "evepw")), http.StatusForbidden)
				r = s.get(path, basic("bob", "bobpw"))
				equal(t, path+" by bob passed on", r.passed, passThru)
			}
			equal(t, "a longer name passed on", s.get("/apis").passed, passThru)
		})
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

// TestSymbolicLinkNeedsTheRightsOfItsTarget has links in a folder that anybody
// may read and write, into one that only bob may.
func TestSymbolicLinkNeedsTheRightsOfItsTarget(t *testing.T) {
	const rules = "[www]\nwu=$ALL\n[www/secret]\nru=bob\nwu=bob\n"
	start := func(t *testing.T) *site {
		s := newSite(t, Options{ReadDirs: []string{"rules.ini"}, Users: "users", DirList: true}, map[string]string{
			"rules.ini": rules, "users": htpasswd(t, "bob"), "www/secret/f": "F", "www/open/g": "G",
		})
		s.link("secret", "www/folder")
		s.link("secret/f", "www/file")
		s.link("open/g", "www/harmless")
		return s
	}
	bob := basic("bob", "bobpw")

	t.Run("reading", func(t *testing.T) {
		s := start(t)
		for _, path := range []string{"/secret/f", "/folder/f", "/file", "/folder/"} {
			wantStatus(t, path, s.get(path), http.StatusUnauthorized)
			wantStatus(t, path+" by bob", s.get(path, bob), http.StatusOK)
		}
		wantReply(t, "link to what is open", s.get("/harmless"), http.StatusOK, "G")
	})
	t.Run("what does not exist", func(t *testing.T) {
		s := start(t)
		wantStatus(t, "file", s.get("/folder/missing"), http.StatusUnauthorized)
	})
	t.Run("an upload in progress", func(t *testing.T) {
		s := start(t)
		s.upload("secret/live", "", "LIVE")
		wantStatus(t, "HEAD", s.do(http.MethodHead, "/folder/live", ""), http.StatusUnauthorized)
		wantStatus(t, "HEAD by bob", s.do(http.MethodHead, "/folder/live", "", bob), http.StatusOK)
	})
	t.Run("writing", func(t *testing.T) {
		s := start(t)
		wantStatus(t, "PUT", s.do(http.MethodPut, "/folder/f", "X"), http.StatusUnauthorized)
		wantStatus(t, "PATCH", s.do(http.MethodPatch, "/folder/f", "X", "Content-Range: bytes 0-0/1"), http.StatusUnauthorized)
		equal(t, "content", s.content("www/secret/f"), "F")
		wantStatus(t, "DELETE", s.do(http.MethodDelete, "/folder/f", ""), http.StatusUnauthorized)
		equal(t, "content after DELETE", s.content("www/secret/f"), "F")
		wantStatus(t, "PUT by bob", s.do(http.MethodPut, "/folder/f", "B", bob), http.StatusOK)
	})
	t.Run("patching a link", func(t *testing.T) {
		// the patched copy would be open to all, with what was secret
		s := start(t)
		writeFiles(t, s.root, map[string]string{"www/secret/f": "SECRET"})
		wantStatus(t, "PATCH", s.do(http.MethodPatch, "/file", "x", "Content-Range: bytes 0-0/*"), http.StatusUnauthorized)
		wantStatus(t, "partial PUT", s.do(http.MethodPut, "/file", "x", "Content-Range: bytes 0-0/*"), http.StatusUnauthorized)
		wantStatus(t, "GET", s.get("/file"), http.StatusUnauthorized)
		equal(t, "content", s.content("www/secret/f"), "SECRET")
	})
	t.Run("replacing a link", func(t *testing.T) {
		s := start(t)
		wantStatus(t, "PUT", s.do(http.MethodPut, "/file", "X"), http.StatusOK)
		equal(t, "its target", s.content("www/secret/f"), "F")
		equal(t, "the name", s.content("www/file"), "X")
	})
}

func TestLinkThatLeavesTheRootIsNotFollowed(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/a": "a", "outside/f": "F"})
	s.link("../outside", "www/up")
	s.link("../outside/f", "www/file")
	s.link(filepath.ToSlash(filepath.Join(s.root, "www", "a")), "www/absolute")
	s.link("nowhere", "www/dangling")
	s.link("loop", "www/loop")
	for _, path := range []string{"/up/f", "/up/", "/file", "/absolute", "/dangling"} {
		wantStatus(t, "GET "+path, s.get(path), http.StatusNotFound)
	}
	wantStatus(t, "PUT through it", s.do(http.MethodPut, "/up/new", "x"), http.StatusForbidden)
	wantStatus(t, "DELETE through it", s.do(http.MethodDelete, "/up/f", ""), http.StatusNoContent)
	equal(t, "outside", s.content("outside/f"), "F")
	equal(t, "new outside", s.content("outside/new"), "")

	wantStatus(t, "GET of a link to itself", s.get("/loop"), http.StatusNotFound)
}

func TestWriteDirectoryIsGovernedByTheSectionThatCoversIt(t *testing.T) {
	for _, tc := range []struct {
		name, rules string
		path        string
		want        int
		allow       string
	}{
		{"no section", "[www]\n", "/up/f", 201, ""},
		{"a section of it", "[www]\n[in]\nwu=bob\n", "/f", 401, ""},
		{"a section above it", "[.]\nwu=$NONE\n", "/f", 403, ""},
		{"a section below it", "[www]\n[in/b]\nwu=$NONE\n", "/b/f", 403, ""},
		{"beside the section below it", "[www]\n[in/b]\nwu=$NONE\n", "/c/f", 201, ""},
		{"a narrower section opens", "[.]\nwu=bob\n[in/open]\nwu=$ALL\n", "/open/f", 201, ""},
		{"a section without a write side", "[.]\n", "/f", 405, "GET, HEAD, OPTIONS"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := map[string]string{"rules.ini": tc.rules, "users": "", "www/": "", "in/b/": "", "in/open/": ""}
			s := newSite(t, Options{ReadDirs: []string{"rules.ini"}, WriteDir: "in", Users: "users"}, files)
			r := s.do(http.MethodPut, tc.path, "x")
			wantStatus(t, "PUT", r, tc.want)
			wantHeader(t, "PUT", r.header, "Allow: "+tc.allow)
		})
	}
}

// TestWriteDirectoryIsGovernedWhateverItIsReachedBy is about a deployment whose
// rule file is found by another path than wdir: a link to the current release.
func TestWriteDirectoryIsGovernedWhateverItIsReachedBy(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{"real/rules.ini": "[in]\nwu=$NONE\n", "real/in/": ""})
	s := &site{t: t, root: root}
	s.link("real", "current")
	for _, o := range []Options{
		{ReadDirs: []string{"real/rules.ini"}, WriteDir: "current/in"},
		{ReadDirs: []string{"current/rules.ini"}, WriteDir: "real/in"},
	} {
		s, err := newSiteIn(t, root, o, "", NewState())
		if err != nil {
			t.Fatal(err)
		}
		wantStatus(t, o.ReadDirs[0], s.do(http.MethodPut, "/f", "x"), http.StatusForbidden)
	}
}

func TestFolderThatMayNotBeReadDoesNotHideTheNext(t *testing.T) {
	s := newSite(t, Options{ReadDirs: []string{"rules.ini"}, Users: "users", DirList: true}, map[string]string{
		"rules.ini": "[one]\nru=bob\n[two]\n", "users": htpasswd(t, "bob"),
		"one/a": "1", "one/both": "1", "two/both": "2", "two/b": "2",
	})
	bob := basic("bob", "bobpw")
	wantReply(t, "only in the next", s.get("/b"), http.StatusOK, "2")
	wantReply(t, "in both", s.get("/both"), http.StatusOK, "2")
	wantReply(t, "in both, by bob", s.get("/both", bob), http.StatusOK, "1")
	wantStatus(t, "only in the first", s.get("/a"), http.StatusUnauthorized)
	wantStatus(t, "in none", s.get("/c"), http.StatusUnauthorized)
	equal(t, "listing", s.listed("/"), "b both")

	// no login is asked for that is not needed
	for _, path := range []string{"/b", "/", "/both"} {
		wantLogin(t, path, s.get(path))
	}
	wantLogin(t, "refused range", s.get("/b", "Range: bytes=9-"))
	wantLogin(t, "OPTIONS", s.do(http.MethodOptions, "/b", ""))
}

// TestEditedRulesAreUsed is in virtual time: a file is looked at again when the
// time has come, not by a goroutine that would have to be waited for.
func TestEditedRulesAreUsed(t *testing.T) {
	for _, tc := range []struct {
		name, rules string
		want        map[string]int // afterwards
		errors      int
	}{
		{"rights change", "[www]\nru=$NONE\n", map[string]int{"/a": 403}, 0},
		{"a section is new", "[www]\n[www/d]\nru=$NONE\n", map[string]int{"/a": 200, "/d/a": 403}, 0},
		{"a directory is new", "[www]\n[other]\nname=new\n", map[string]int{"/a": 200, "/new/o": 200}, 0},
		{"a name changes", "[www]\nname=old\n", map[string]int{"/a": 404, "/old/a": 200}, 0},
		{"it is no rule file", "nonsense\n", map[string]int{"/a": 200, "/d/a": 200}, 1},
		{"an unknown key", "[www]\nru=$NONE\nxx=1\n", map[string]int{"/a": 200}, 1},
		{"a directory that does not exist", "[www]\nru=$NONE\n[nowhere]\n", map[string]int{"/a": 200}, 1},
		{"a name that another directory has", "[www]\nru=$NONE\nname=other\n", map[string]int{"/a": 200, "/other/o": 200}, 1},
		{"it is empty", "", map[string]int{"/a": 200}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, Options{ReadDirs: []string{"rules.ini", "other"}}, map[string]string{
					"rules.ini": "[www]\n", "www/a": "a", "www/d/a": "a", "other/o": "o",
				})
				wantStatus(t, "before", s.get("/a"), http.StatusOK)
				writeFiles(t, s.root, map[string]string{"rules.ini": tc.rules})
				time.Sleep(time.Second)
				for range 3 { // an error is logged once
					for path, want := range tc.want {
						wantStatus(t, path, s.get(path), want)
					}
					time.Sleep(time.Second)
				}
				equal(t, "errors in the log", s.logs.FilterLevelExact(zap.ErrorLevel).Len(), tc.errors)

				writeFiles(t, s.root, map[string]string{"rules.ini": "[www]\nru=$NONE\n"})
				time.Sleep(time.Second)
				wantStatus(t, "when it is good again", s.get("/a"), http.StatusForbidden)
			})
		})
	}
}

func TestEditedUsersAndGroupsAreUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, Options{ReadDirs: []string{"rules.ini"}, Users: "users", Groups: "groups"}, map[string]string{
			"rules.ini": "[www]\nrg=crew\n", "www/a": "a", "users": htpasswd(t, "bob"), "groups": "crew: ann\n",
		})
		bob, ann := basic("bob", "bobpw"), basic("ann", "annpw")
		wantStatus(t, "bob, not of the crew", s.get("/a", bob), http.StatusForbidden)
		wantStatus(t, "ann, unknown", s.get("/a", ann), http.StatusUnauthorized)
		writeFiles(t, s.root, map[string]string{"users": htpasswd(t, "ann"), "groups": "crew: ann bob\n"})
		time.Sleep(time.Second)
		wantStatus(t, "ann", s.get("/a", ann), http.StatusOK)
		wantStatus(t, "bob, whose password was remembered", s.get("/a", bob), http.StatusUnauthorized)
	})
}

func TestOpenWritesAreWarnedOf(t *testing.T) {
	for _, tc := range []struct {
		name, rules string
		auth        bool
		want        int
	}{
		{"anybody may write", "[www]\n", false, 1},
		{"a rule covers wdir", "[www]\n[in]\nwu=bob\n", false, 0},
		{"the site authenticates", "[www]\n", true, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, Options{ReadDirs: []string{"rules.ini"}, WriteDir: "in"}, map[string]string{"rules.ini": tc.rules, "www/": "", "in/": ""})
			inner := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{&Handler{srv: s.Server}}}
			outer := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{&caddyhttp.Subroute{Routes: caddyhttp.RouteList{inner}}}}
			if tc.auth {
				outer.Handlers = append([]caddyhttp.MiddlewareHandler{new(caddyauth.Authentication)}, outer.Handlers...)
			}
			WarnOpenWrites(&caddyhttp.Server{Routes: caddyhttp.RouteList{outer}})
			equal(t, "warnings", s.logs.FilterLevelExact(zap.WarnLevel).Len(), tc.want)
		})
	}
}

func TestLoginWithoutUsersFile(t *testing.T) {
	s := newSite(t, Options{ReadDirs: []string{"rules.ini"}}, map[string]string{"rules.ini": "[www]\nru=bob\n", "www/a": "a"})
	wantStatus(t, "with a password", s.get("/a", basic("bob", "bobpw")), http.StatusUnauthorized)
	wantStatus(t, "by Caddy", s.serve(as(newRequest(http.MethodGet, "/a", ""), "bob")), http.StatusOK)
}
