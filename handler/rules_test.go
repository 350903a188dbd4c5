package handler

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
)

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
