package handler

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// listed returns the names in the JSON listing of a folder, in its order,
// those of folders with a slash.
func (s *site) listed(target string) string {
	s.t.Helper()
	r := s.get(target, "Accept: application/json")
	if r.status != http.StatusOK {
		s.t.Fatalf("listing of %s: got %d %q, want 200", target, r.status, r.body)
	}
	var names []string
	for line := range strings.Lines(r.body) {
		_, rest, ok := strings.Cut(line, `"name":"`)
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(rest, `"`)
		if strings.Contains(rest, `"directory"`) {
			name += "/"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestReadDirectoriesAreMountPoints(t *testing.T) {
	type get struct {
		path, want string // the content, "" for 404
	}
	type list struct{ path, want string }
	for _, tc := range []struct {
		name  string
		rdirs []string
		files map[string]string
		gets  []get
		lists []list
	}{
		{
			name:  "one folder is the root",
			rdirs: []string{"www"},
			files: map[string]string{"www/a": "A", "www/www/b": "B", "c": "C"},
			gets:  []get{{"/a", "A"}, {"/www/b", "B"}, {"/www/a", ""}, {"/c", ""}, {"/../c", ""}, {"/www/../a", "A"}, {"/a/", ""}, {"/a/b", ""}},
			lists: []list{{"/", "www/ a"}, {"/www/", "b"}},
		},
		{
			name:  "several folders have their names",
			rdirs: []string{"one", "deep/two"},
			files: map[string]string{"one/a": "1", "one/two/x": "x", "deep/two/a": "2", "deep/b": "B"},
			gets:  []get{{"/one/a", "1"}, {"/two/a", "2"}, {"/a", ""}, {"/one/two/x", "x"}, {"/deep/b", ""}, {"/one/../two/a", "2"}, {"/onea", ""}},
			lists: []list{{"/", "one/ two/"}, {"/one/", "two/ a"}, {"/two/", "a"}},
		},
		{
			name:  "a rule's name replaces the folder's",
			rdirs: []string{"rules.ini", "two"},
			files: map[string]string{"rules.ini": "[one]\nname=films\n", "one/a": "1", "two/a": "2"},
			gets:  []get{{"/films/a", "1"}, {"/two/a", "2"}, {"/one/a", ""}},
			lists: []list{{"/", "films/ two/"}},
		},
		{
			name:  "a rule's name may have several parts",
			rdirs: []string{"rules.ini"},
			files: map[string]string{"rules.ini": "[one]\nname=my/films\n[two]\nname=my/songs\n", "one/a": "1", "two/a": "2"},
			gets:  []get{{"/my/films/a", "1"}, {"/my/songs/a", "2"}, {"/my/a", ""}, {"/films/a", ""}},
			lists: []list{{"/", "my/"}, {"/my/", "films/ songs/"}, {"/my/films/", "a"}},
		},
		{
			name:  "one folder with a name",
			rdirs: []string{"rules.ini"},
			files: map[string]string{"rules.ini": "[one]\nname=films\n", "one/a": "1"},
			gets:  []get{{"/films/a", "1"}, {"/a", ""}},
			lists: []list{{"/", "films/"}},
		},
		{
			name:  "folders without a name are laid over each other",
			rdirs: []string{"rules.ini"},
			files: map[string]string{
				"rules.ini": "[one]\n[two]\n",
				"one/a":     "1", "one/both": "1", "one/sub/x": "1", "two/both": "2", "two/b": "2", "two/sub/x": "2", "two/sub/y": "2",
			},
			gets:  []get{{"/a", "1"}, {"/b", "2"}, {"/both", "1"}, {"/sub/x", "1"}, {"/sub/y", "2"}, {"/one/a", ""}, {"/c", ""}},
			lists: []list{{"/", "sub/ a b both"}, {"/sub/", "x y"}},
		},
		{
			name:  "what is a file in one folder and a folder in the next",
			rdirs: []string{"rules.ini"},
			files: map[string]string{"rules.ini": "[one]\n[two]\n", "one/x": "file", "two/x/y": "below"},
			gets:  []get{{"/x", "file"}, {"/x/y", "below"}},
			lists: []list{{"/x/", "y"}},
		},
		{
			name:  "a name hides what others have there",
			rdirs: []string{"rules.ini"},
			files: map[string]string{
				"rules.ini":    "[base]\n[films]\nname=movies\n",
				"base/top":     "T",
				"base/movies/": "", "base/movies/old": "old", "films/new": "new",
			},
			gets:  []get{{"/top", "T"}, {"/movies/new", "new"}, {"/movies/old", ""}, {"/films/new", ""}},
			lists: []list{{"/", "movies/ top"}, {"/movies/", "new"}},
		},
		{
			name:  "a name below another, the longer one first",
			rdirs: []string{"rules.ini"},
			files: map[string]string{"rules.ini": "[new]\nname=films/new\n[all]\nname=films\n", "new/a": "new", "all/b": "all"},
			gets:  []get{{"/films/new/a", "new"}, {"/films/b", "all"}},
			lists: []list{{"/", "films/"}, {"/films/", "new/ b"}},
		},
		{
			name:  "a name below another, the shorter one first",
			rdirs: []string{"rules.ini"},
			files: map[string]string{"rules.ini": "[all]\nname=films\n[new]\nname=films/new\n", "new/a": "new", "all/b": "all"},
			gets:  []get{{"/films/new/a", "new"}, {"/films/b", "all"}},
			lists: []list{{"/", "films/"}, {"/films/", "new/ b"}},
		},
		{
			name:  "a section inside of another is only about rights",
			rdirs: []string{"rules.ini"},
			files: map[string]string{"rules.ini": "[one]\n[one/sub]\n", "one/sub/a": "A", "one/a": "1"},
			gets:  []get{{"/sub/a", "A"}, {"/a", "1"}},
			lists: []list{{"/", "sub/ a"}},
		},
		{
			name:  "a section inside of another with a name",
			rdirs: []string{"rules.ini"},
			files: map[string]string{"rules.ini": "[one]\n[one/sub]\nname=other\n", "one/sub/a": "A"},
			gets:  []get{{"/sub/a", "A"}, {"/other/a", "A"}},
			lists: []list{{"/", "other/ sub/"}},
		},
		{
			name:  "a section whose directory does not exist serves nothing",
			rdirs: []string{"rules.ini"},
			files: map[string]string{"rules.ini": "[one]\n[api]\nname=api\nru=bob\n", "one/a": "1"},
			gets:  []get{{"/a", "1"}},
			lists: []list{{"/", "a"}},
		},
		{
			name:  "two rule files",
			rdirs: []string{"first.ini", "second.ini"},
			files: map[string]string{"first.ini": "[one]\n", "second.ini": "[two]\n[three]\nname=three\n", "one/a": "1", "two/a": "2", "two/b": "2", "three/c": "3"},
			gets:  []get{{"/a", "1"}, {"/b", "2"}, {"/three/c", "3"}},
			lists: []list{{"/", "three/ a b"}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, Options{ReadDirs: tc.rdirs, DirList: true}, tc.files)
			for _, g := range tc.gets {
				if got := s.get(g.path); g.want == "" {
					wantStatus(t, g.path, got, http.StatusNotFound)
				} else {
					wantReply(t, g.path, got, http.StatusOK, g.want)
				}
			}
			for _, l := range tc.lists {
				equal(t, "listing of "+l.path, s.listed(l.path), l.want)
			}
		})
	}
}

func TestDirectoryIsRedirectedToItsSlash(t *testing.T) {
	o := Options{ReadDirs: []string{"rules.ini"}, DirList: true}
	s := newSite(t, o, map[string]string{"rules.ini": "[one]\n[two]\nname=my/films\n", "one/sub/b:c/": "", "one/ä ö/": "", "two/": ""})
	for _, tc := range []struct{ path, location string }{
		{"/sub", "./sub/"},
		{"/sub?sort=size&order=desc", "./sub/?sort=size&order=desc"},
		{"/sub/../sub", "./sub/"},
		{"/sub/b:c", "./b:c/"},
		{"/%C3%A4%20%C3%B6", "./%C3%A4%20%C3%B6/"},
		{"/my", "./my/"},
		{"/my/films", "./films/"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r := s.do(method, tc.path, "")
			wantReply(t, method+" "+tc.path, r, http.StatusPermanentRedirect, "")
			wantHeader(t, method+" "+tc.path, r.header, "Location: "+tc.location, "Content-Length: 0")
		}
	}
}

// TestListingHasTheSlashOfItsOriginalPath is about what Caddy does to a path
// before us: links in the listing are relative to the path that the client
// knows.
func TestListingHasTheSlashOfItsOriginalPath(t *testing.T) {
	for _, tc := range []struct {
		name     string
		rewrite  func(string) string
		path     string
		location string // "" for the listing
	}{
		{"prefix, nothing left", stripPrefix("/files"), "/files", "./files/"},
		{"prefix, folder", stripPrefix("/files"), "/files/sub", "./sub/"},
		{"prefix, root", stripPrefix("/files"), "/files/", ""},
		{"prefix, folder with its slash", stripPrefix("/files"), "/files/sub/", ""},
		{"suffix, folder with its slash", func(p string) string { return strings.TrimSuffix(p, "/") }, "/sub/", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, Options{ReadDirs: []string{"www"}, DirList: true}, map[string]string{"www/sub/a": "a"})
			s.rewrite = tc.rewrite
			r := s.get(tc.path)
			status := http.StatusOK
			if tc.location != "" {
				status = http.StatusPermanentRedirect
			}
			equal(t, "status", r.status, status)
			wantHeader(t, "GET", r.header, "Location: "+tc.location)
		})
	}
}

func TestListingIgnoresRanges(t *testing.T) {
	s := newSite(t, Options{ReadDirs: []string{"www"}, DirList: true}, map[string]string{"www/a": "a"})
	r := s.get("/", "Range: bytes=0-1", "Accept-Encoding: gzip")
	wantReply(t, "GET", r, http.StatusOK, s.get("/").body)
	wantHeader(t, "GET", r.header, "Content-Range:", "Content-Encoding:")
}

func TestDirectoryWithoutListingIsForbidden(t *testing.T) {
	s := newSite(t, readOnly, map[string]string{"www/sub/a": "a"})
	for _, path := range []string{"/", "/sub", "/sub/"} {
		wantReply(t, path, s.get(path), http.StatusForbidden, "Directory browsing is not allowed\n")
	}
	wantStatus(t, "no folder", s.get("/nothing/"), http.StatusNotFound)
}

func TestListing(t *testing.T) {
	o := readWrite
	o.DirList, o.UserAgent = true, "test/1"
	s := newSite(t, o, map[string]string{"www/b&<b>.txt": "12345", "www/a.txt": "1", "www/z/": "", "www/.hidden": "h", "www/empty/": ""})
	s.link("../outside", "www/leaves")
	s.link("a.txt", "www/link.txt")
	s.upload("new.mp4", "", "123")
	s.upload("a.txt", "", "12")
	s.upload(".secret", "", "x")

	equal(t, "names", s.listed("/"), "empty/ z/ a.txt b\\u0026\\u003cb\\u003e.txt link.txt new.mp4")
	equal(t, "largest first", s.listed("/?sort=size&order=desc"), "empty/ z/ b\\u0026\\u003cb\\u003e.txt new.mp4 a.txt link.txt")
	equal(t, "empty folder", s.listed("/empty/"), "")

	body := s.get("/", "Accept: application/json").body
	for _, want := range []string{`"name":"new.mp4","size":3,`, `"name":"a.txt","size":2,`} {
		if !strings.Contains(body, want) {
			t.Errorf("got %s, want %s in it", body, want)
		}
	}
	equal(t, "streams in progress", strings.Count(body, `"live":true`), 2)

	page := s.get("/", "Accept: text/html")
	wantHeader(t, "HTML", page.header, "Content-Type: text/html; charset=utf-8", "X-Content-Type-Options: nosniff")
	if !strings.Contains(page.body, "b&amp;&lt;b&gt;.txt") || strings.Contains(page.body, "<b>.txt") {
		t.Errorf("HTML: got %s, want names escaped", page.body)
	}
	wantStatus(t, "no folder", s.get("/nothing/"), http.StatusNotFound)
	wantStatus(t, "a file", s.get("/a.txt/"), http.StatusNotFound)
}

func TestUnknownPathGoesToTheNextHandlerWithPassThru(t *testing.T) {
	o := readWrite
	o.PassThru, o.Hide = true, []string{"secret"}
	s := newSite(t, o, map[string]string{"www/a": "a", "www/secret": "s", "www/d/": ""})
	for _, tc := range []struct {
		method, path string
		want         bool
	}{
		{http.MethodGet, "/nothing", true},
		{http.MethodHead, "/nothing", true},
		{http.MethodGet, "/d/nothing", true},
		{http.MethodGet, "/secret", true},
		{http.MethodGet, "/a", false},
		{http.MethodGet, "/d", false},
		{http.MethodPut, "/new", false},
		{http.MethodDelete, "/nothing", false},
		{http.MethodOptions, "/nothing", false},
	} {
		equal(t, tc.method+" "+tc.path+" passed on", s.do(tc.method, tc.path, "").passed, tc.want)
	}
}

func TestNewServerRefuses(t *testing.T) {
	minus := func(n int) *int { return &n }
	for _, tc := range []struct {
		name string
		o    Options
		want string // in the error
	}{
		{"other modes", Options{ReadDirs: []string{"www"}, Mode: "push"}, `hmode "push"`},
		{"memory without an input", Options{ReadDirs: []string{"gmem"}}, "gmem"},
		{"a negative limit", Options{ReadDirs: []string{"www"}, MaxConns: minus(-1)}, "may not be negative"},
		{"unknown cors", Options{ReadDirs: []string{"www"}, CORS: "maybe"}, `cors is "maybe"`},
		{"unknown ranges", Options{ReadDirs: []string{"www"}, Ranges: "both"}, `ranges is "both"`},
		{"a pattern that is none", Options{ReadDirs: []string{"www"}, Hide: []string{"[a"}}, `hide "[a"`},
		{"unknown methods in reqlog", Options{ReadDirs: []string{"www"}, ReqLog: "GET,FOO"}, `reqlog names "FOO"`},
		{"a file as wdir", Options{WriteDir: "file"}, "not a directory"},
		{"rules that are none", Options{ReadDirs: []string{"file"}}, "file:1"},
		{"rules for what does not exist", Options{ReadDirs: []string{"missing.ini"}}, `missing.ini:1`},
		{"no users file", Options{ReadDirs: []string{"www"}, Users: "nobody"}, "reading users"},
		{"no groups file", Options{ReadDirs: []string{"www"}, Groups: "nobody"}, "reading groups"},
		{"a users file that is none", Options{ReadDirs: []string{"www"}, Users: "file"}, "file:1"},
		{"two folders of one name", Options{ReadDirs: []string{"www", "other/www"}}, "another name in a rule file"},
		{"a folder named as a rule names another", Options{ReadDirs: []string{"named.ini", "www"}}, "/www/"},
		{"unknown placeholders", Options{ReadDirs: []string{"{no.such}"}}, "no.such"},
		{"unknown placeholders in wdir", Options{WriteDir: "{no.such}"}, "no.such"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			writeFiles(t, root, map[string]string{
				"www/": "", "other/www/": "", "file": "text",
				"missing.ini": "[nowhere]\n", "named.ini": "[other]\nname=www\n",
			})
			_, err := newSiteIn(t, root, tc.o, "", NewState())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestFoldersAreCreatedWhenTheServerOpens(t *testing.T) {
	root := t.TempDir()
	o := Options{ReadDirs: []string{"a/b/read"}, WriteDir: "c/d/write"}
	s, err := newSiteIn(t, root, o, "", NewState())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "files before", len(s.names("")), 0)
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/b/read", "c/d/write"} {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || !info.IsDir() {
			t.Errorf("%s: got %v, want a folder", name, err)
		}
	}
}

func TestFolderThatCannotBeCreatedIsAnError(t *testing.T) {
	for _, o := range []Options{{ReadDirs: []string{"file/www"}}, {WriteDir: "file/www"}} {
		root := t.TempDir()
		writeFiles(t, root, map[string]string{"file": "x"})
		s, err := newSiteIn(t, root, o, "", NewState())
		if err == nil {
			err = s.Open()
		}
		if err == nil {
			t.Errorf("%+v: got no error, want one", o)
		}
	}
}

func TestPlaceholdersInFolderNamesAreExpanded(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{"www/a": "a"})
	t.Setenv("HTTPOUT_TEST_ROOT", root)
	o := Options{ReadDirs: []string{"{env.HTTPOUT_TEST_ROOT}" + string(filepath.Separator) + "www"}}
	srv, err := NewServer(o, "", NewState(), nopLogger)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	s := &site{Server: srv, t: t}
	wantReply(t, "file", s.get("/a"), http.StatusOK, "a")
}

func TestRequestBeforeOpenOpensTheFolders(t *testing.T) {
	root := t.TempDir()
	s, err := newSiteIn(t, root, readWrite, "", NewState())
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "PUT", s.do(http.MethodPut, "/a", "x"), http.StatusCreated)
	wantReply(t, "GET", s.get("/a"), http.StatusOK, "x")
}

func TestSweepRemovesLeftOversOnceFromWhatIsWritten(t *testing.T) {
	temp := ".httpout-ABCDEFGHIJKLMNOP.tmp"
	state := NewState()
	root := t.TempDir()
	writeFiles(t, root, map[string]string{"up/" + temp: "x", "up/d/" + temp: "x", "ruled/" + temp: "x", "read/" + temp: "x", "rules.ini": "[ruled]\nwu=$ALL\n[read]\n"})
	s, err := newSiteIn(t, root, Options{ReadDirs: []string{"rules.ini"}, WriteDir: "up"}, "", state)
	if err != nil {
		t.Fatal(err)
	}
	s.Sweep(t.Context())
	equal(t, "in wdir", s.content("up/"+temp), "")
	equal(t, "below wdir", s.content("up/d/"+temp), "")
	equal(t, "where rules let write", s.content("ruled/"+temp), "")
	equal(t, "where nothing is written", s.content("read/"+temp), "x")

	writeFiles(t, root, map[string]string{"up/" + temp: "x"})
	s.Sweep(t.Context())
	equal(t, "the second time", s.content("up/"+temp), "x")
}
