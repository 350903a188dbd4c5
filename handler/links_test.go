package handler

import (
	"net/http"
	"path/filepath"
	"testing"
)

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
