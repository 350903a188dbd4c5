package handler

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
)

func TestPut(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		status     int
		file       string // below www, "" if nothing is stored
		location   string
	}{
		{"new file", "/new", 201, "new", "/new"},
		{"new folders", "/a/b/c/new", 201, "a/b/c/new", "/a/b/c/new"},
		{"replacement", "/old", 200, "old", "/old"},
		{"in a folder that is there", "/dir/new", 201, "dir/new", "/dir/new"},
		{"odd name", "/%C3%A4%20%25%3F%23.txt", 201, "ä %?#.txt", "/%C3%A4%20%25%3F%23.txt"},
		{"dots", "/dir/../new", 201, "new", "/dir/../new"},
		{"dot file", "/.well-known/x", 201, ".well-known/x", "/.well-known/x"},
		{"query", "/new?a=b", 201, "new", "/new"},
		{"slash at the end", "/new/", 409, "", ""},
		{"dot at the end", "/new/.", 409, "", ""},
		{"folder", "/dir", 409, "", ""},
		{"folder with its slash", "/dir/", 409, "", ""},
		{"root", "/", 409, "", ""},
		{"root by dots", "/dir/..", 409, "", ""},
		{"through a file", "/old/new", 409, "", ""},
		{"further through a file", "/old/a/b/new", 409, "", ""},
		{"over-long name", "/" + strings.Repeat("a", 300), 400, "", ""},
		{"over-long folder", "/" + strings.Repeat("a", 300) + "/new", 400, "", ""},
		{"over-long path", "/" + strings.Repeat("a/", maxPath/2) + "new", 400, "", ""},
	} {
		for _, method := range []string{http.MethodPut, http.MethodPost} {
			t.Run(method+" "+tc.name, func(t *testing.T) {
				s := newSite(t, readWrite, map[string]string{"www/old": "old", "www/dir/x": "x"})
				before := strings.Join(s.names(""), " ")
				r := s.do(method, tc.path, "content")
				wantStatus(t, "answer", r, tc.status)
				if tc.file == "" {
					equal(t, "files", strings.Join(s.names(""), " "), before)
					equal(t, "old file", s.content("www/old"), "old")
					return
				}
				equal(t, "body", r.body, "")
				equal(t, "content", s.content("www/"+tc.file), "content")
				wantHeader(t, "answer", r.header, "Content-Length: 0", "Content-Location: "+tc.location,
					"ETag: "+s.get(tc.path).header.Get("ETag"))
				wantNoTemps(t, s)

				again := s.do(method, tc.path, "more")
				wantReply(t, "once more", again, http.StatusOK, "")
				wantReply(t, "GET", s.get(tc.path), http.StatusOK, "more")
			})
		}
	}
}

// wantNoTemps checks that nothing of an upload is left.
func wantNoTemps(t testing.TB, s *site) {
	t.Helper()
	for _, name := range s.names("") {
		if strings.Contains(name, ".httpout-") {
			t.Errorf("got %s left, want no temporary file", name)
		}
	}
	equal(t, "uploads in progress", s.state.files.Uploads.Len(), 0)
	equal(t, "bodies being read", len(s.state.bodies), 0)
}

func TestPutOfOddBodies(t *testing.T) {
	for _, tc := range []struct {
		name    string
		request *http.Request
		status  int
		want    string
	}{
		{"empty", newRequest("PUT", "/a", "", "Content-Length: 0"), 201, ""},
		{"empty, chunked", chunked("PUT", "/a", strings.NewReader("")), 201, ""},
		{"empty, expected", newRequest("PUT", "/a", "", "Content-Length: 0", "Expect: 100-continue"), 201, ""},
		{"chunked, expected", chunked("PUT", "/a", strings.NewReader("x"), "Expect: 100-continue"), 201, "x"},
		{"chunked in capitals", chunked("PUT", "/a", strings.NewReader("x"), "Transfer-Encoding: Chunked"), 201, "x"},
		{"no type", newRequest("PUT", "/a", "x", "Content-Type: *"), 201, "x"},
		{"wants an upgrade", newRequest("PUT", "/a", "x", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"), 201, "x"},
		{"large", newRequest("PUT", "/a", strings.Repeat("0123456789", 200_000)), 201, strings.Repeat("0123456789", 200_000)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, readWrite, nil)
			wantStatus(t, "PUT", s.serve(tc.request), tc.status)
			wantReply(t, "GET", s.get("/a"), http.StatusOK, tc.want)
			equal(t, "stored", s.content("www/a") == tc.want, true)
		})
	}
}

func TestPutLocationIsThatOfTheRequest(t *testing.T) {
	s := newSite(t, readWrite, nil)
	s.rewrite = stripPrefix("/files")
	r := s.do(http.MethodPut, "/files/d/a%20b", "x")
	wantStatus(t, "PUT", r, http.StatusCreated)
	wantHeader(t, "PUT", r.header, "Content-Location: /files/d/a%20b")
	equal(t, "content", s.content("www/d/a b"), "x")
}

func TestPutHasTheTagOfTheFollowingGet(t *testing.T) {
	for _, tc := range []struct {
		name, cacheControl string
		want               bool
	}{{"default", "", true}, {"configured", "max-age=1", true}, {"none", "none", false}} {
		t.Run(tc.name, func(t *testing.T) {
			o := readWrite
			o.CacheControl = tc.cacheControl
			s := newSite(t, o, nil)
			for _, step := range []struct{ method, body, header string }{
				{"PUT", "one", ""}, {"PUT", "two", ""}, {"PATCH", "X", "Content-Range: bytes 0-0/3"}, {"PATCH", "more", "Content-Range: bytes 3-6/7"},
			} {
				tag := s.do(step.method, "/a", step.body, step.header).header.Get("ETag")
				equal(t, step.method+": has a tag", tag != "", tc.want)
				equal(t, step.method+": tag", s.get("/a").header.Get("ETag"), tag)
			}
			equal(t, "content", s.content("www/a"), "Xwomore")
		})
	}
}

func TestFolderThatAppearsMeanwhileIsKept(t *testing.T) {
	s := newSite(t, readWrite, nil)
	body := io.MultiReader(strings.NewReader("x"), meanwhile(func() { s.do(http.MethodPut, "/a/b", "b") }))
	wantStatus(t, "PUT", s.serve(chunked(http.MethodPut, "/a", body)), http.StatusConflict)
	equal(t, "content", s.content("www/a/b"), "b")
	wantNoTemps(t, s)
}

func TestDelete(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		status     int
		left       string
	}{
		{"file", "/a", 200, "d d/x"},
		{"file in a folder", "/d/x", 200, "a d"},
		{"nothing", "/missing", 204, "a d d/x"},
		{"nothing in no folder", "/no/missing", 204, "a d d/x"},
		{"through a file", "/a/b", 204, "a d d/x"},
		{"folder", "/d", 409, "a d d/x"},
		{"folder with its slash", "/d/", 409, "a d d/x"},
		{"root", "/", 409, "a d d/x"},
		{"a file with a slash", "/a/", 204, "a d d/x"}, // names a folder, which there is not
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, readWrite, map[string]string{"www/a": "a", "www/d/x": "x"})
			r := s.do(http.MethodDelete, tc.path, "")
			wantStatus(t, "DELETE", r, tc.status)
			equal(t, "files left", strings.Join(s.names("www"), " "), tc.left)
			switch tc.status {
			case http.StatusOK:
				wantHeader(t, "DELETE", r.header, "Content-Length: 0")
				wantStatus(t, "GET", s.get(tc.path), http.StatusNotFound)
				wantStatus(t, "once more", s.do(http.MethodDelete, tc.path, ""), http.StatusNoContent)
			case http.StatusNoContent:
				wantHeader(t, "DELETE", r.header, "Content-Length:")
			}
		})
	}
}

func TestFolderThatUploadsMadeGoesWithItsLastFile(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/kept/": ""})
	for _, path := range []string{"/made/deep/a", "/made/deep/b", "/kept/a"} {
		wantStatus(t, "PUT "+path, s.do(http.MethodPut, path, "x"), http.StatusCreated)
	}
	for _, tc := range []struct{ path, left string }{
		{"/made/deep/a", "kept kept/a made made/deep made/deep/b"},
		{"/made/deep/b", "kept kept/a"},
		{"/kept/a", "kept"},
	} {
		wantStatus(t, "DELETE "+tc.path, s.do(http.MethodDelete, tc.path, ""), http.StatusOK)
		equal(t, "after "+tc.path, strings.Join(s.names("www"), " "), tc.left)
	}
}

func TestDeleteLeavesUploadInProgressAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, readWrite, map[string]string{"www/a": "old"})
		u := s.upload("a", "", "new")
		x := s.start(newRequest(http.MethodGet, "/a", ""))
		x.has(t, "GET", "new")
		wantStatus(t, "DELETE", s.do(http.MethodDelete, "/a", ""), http.StatusOK)
		equal(t, "content", s.content("www/a"), "")
		x.has(t, "GET after that", "new")
		commit(t, u)
		wantReply(t, "GET", x.wait(), http.StatusOK, "new")
		equal(t, "content in the end", s.content("www/a"), "new")
	})
}

func TestReplacementKeepsTheFilesRights(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such rights")
	}
	s := newSite(t, readWrite, map[string]string{"www/a": "old"})
	name := filepath.Join(s.root, "www", "a")
	if err := os.Chmod(name, 0o600); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "PUT", s.do(http.MethodPut, "/a", "new"), http.StatusOK)
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "rights", info.Mode().Perm(), 0o600)
}

func TestUploadIsFlushedWhenConfigured(t *testing.T) {
	o := readWrite
	o.Fsync = true
	s := newSite(t, o, nil)
	wantStatus(t, "PUT", s.do(http.MethodPut, "/d/a", "one"), http.StatusCreated)
	wantStatus(t, "PATCH", s.do(http.MethodPatch, "/d/a", "two", "Content-Range: bytes 3-5/6"), http.StatusOK)
	equal(t, "content", s.content("www/d/a"), "onetwo")
}

func TestWriteSideOfNamedDirectory(t *testing.T) {
	s := newSite(t, Options{ReadDirs: []string{"rules.ini"}, WriteDir: "in"}, map[string]string{
		"rules.ini": "[base]\n[films]\nname=movies\nwu=$ALL\n", "base/": "", "films/": "",
	})
	wantStatus(t, "below the name", s.do(http.MethodPut, "/movies/a", "x"), http.StatusCreated)
	equal(t, "in its directory", s.content("films/a"), "x")
	wantReply(t, "GET", s.get("/movies/a"), http.StatusOK, "x")
	wantStatus(t, "the name itself", s.do(http.MethodPut, "/movies", "x"), http.StatusConflict)
	wantStatus(t, "elsewhere", s.do(http.MethodPut, "/b", "x"), http.StatusCreated)
	equal(t, "in wdir", s.content("in/b"), "x")
	wantStatus(t, "what wdir has is not read", s.get("/b"), http.StatusNotFound)
}
