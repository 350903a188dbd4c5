package handler

import (
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"

	"github.com/caddy-httpout/httpout/handler/access"
)

func TestParseTarget(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		want       target
		wantStatus int
	}{
		{name: "root", path: "/", want: target{".", true}},
		{name: "nothing", path: "", want: target{".", true}},
		{name: "file", path: "/a.txt", want: target{"a.txt", false}},
		{name: "file in a folder", path: "/a/b.txt", want: target{"a/b.txt", false}},
		{name: "folder", path: "/a/", want: target{"a", true}},
		{name: "no slash at the start", path: "a/b", want: target{"a/b", false}},
		{name: "asterisk", path: "*", want: target{"*", false}},
		{name: "doubled slashes", path: "//a///b", want: target{"a/b", false}},
		{name: "dot", path: "/a/./b", want: target{"a/b", false}},
		{name: "dot at the end", path: "/a/.", want: target{"a", true}},
		{name: "two dots at the end", path: "/a/b/..", want: target{"a", true}},
		{name: "up to the root", path: "/a/..", want: target{".", true}},
		{name: "further up", path: "/../../etc/passwd", want: target{"etc/passwd", false}},
		{name: "up, without a slash at the start", path: "../../etc/passwd", want: target{"etc/passwd", false}},
		{name: "up and down", path: "/a/../../b/", want: target{"b", true}},
		{name: "three dots", path: "/...", want: target{"...", false}},
		{name: "name that ends with dots", path: "/a..", want: target{"a..", false}},
		{name: "escaped twice", path: "/%2e%2e/%2f", want: target{"%2e%2e/%2f", false}},
		{name: "question mark", path: "/a?b=c", want: target{"a?b=c", false}},
		{name: "not UTF-8", path: "/\xff", want: target{"\xff", false}},
		{name: "as long as can be", path: "/" + strings.Repeat("a", maxPath-1), want: target{strings.Repeat("a", maxPath-1), false}},
		{name: "too long", path: "/" + strings.Repeat("a", maxPath), wantStatus: http.StatusBadRequest},
		{name: "NUL", path: "/a\x00b", wantStatus: http.StatusBadRequest},
		{name: "NUL and dots", path: "/\x00/..", wantStatus: http.StatusBadRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseTarget(tc.path)
			if tc.wantStatus != 0 {
				if status, _ := explain(err); err == nil || status != tc.wantStatus {
					t.Errorf("got %+v, %v, want status %d", got, err, tc.wantStatus)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}

func TestBackslashInPathIsRefusedOnWindowsOnly(t *testing.T) {
	_, err := parseTarget(`/a\..\b`)
	equal(t, "refused", err != nil, runtime.GOOS == "windows")
}

// FuzzParseTarget checks that no path becomes a name outside of the root.
func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{
		"", "/", "/a/b", "/a/../..", "//x", "/./.", "..", "../../etc/passwd", "/a/%2e%2e/b", "/\x00",
		`/..\..\x`, "/c:/x", "/\xff\xfe/..", "/a//b/", "*", "/con", "/. ./..", "/a/...", "/" + strings.Repeat("../a/", 900),
	} {
		f.Add(seed)
	}
	root := filepath.Join(f.TempDir(), "root")
	f.Fuzz(func(t *testing.T, p string) {
		got, err := parseTarget(p)
		if err != nil {
			if status, reason := explain(err); status != http.StatusBadRequest || reason == "" {
				t.Errorf("%q: got %d %q, want 400 and a reason", p, status, reason)
			}
			return
		}
		if got.name == "" || path.IsAbs(got.name) || path.Clean(got.name) != got.name || strings.Contains(got.name, "\x00") {
			t.Errorf("%q: got name %q, want a clean relative one", p, got.name)
		}
		if !filepath.IsLocal(filepath.FromSlash(got.name)) {
			t.Errorf("%q: got name %q, want a local one", p, got.name)
		}
		if full := filepath.Join(root, filepath.FromSlash(got.name)); !access.Within(full, root) {
			t.Errorf("%q: got %s, want it in %s", p, full, root)
		}
		if strings.HasSuffix(p, "/") && !got.slash {
			t.Errorf("%q: got a file's name, want a folder's", p)
		}
		if again, err := parseTarget("/" + got.name); err != nil || again.name != got.name {
			t.Errorf("%q: got %q, and %q (%v) from that, want the same", p, got.name, again.name, err)
		}
	})
}

func TestTargetInMount(t *testing.T) {
	for _, tc := range []struct {
		name, mount, target string
		want                string // "" if it is not in the mount
	}{
		{"at the root", "", "a/b", "a/b"},
		{"the root itself", "", ".", "."},
		{"below the name", "movies", "movies/a/b", "a/b"},
		{"the name itself", "movies", "movies", "."},
		{"a longer name", "movies", "movies2/a", ""},
		{"a shorter name", "movies", "movie", ""},
		{"the root of all", "movies", ".", ""},
		{"name of two parts", "my/movies", "my/movies/a", "a"},
		{"on the way to the name", "my/movies", "my", ""},
		{"case differs", "movies", "Movies/a", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, ok := target{name: tc.target}.in(&mount{name: tc.mount})
			equal(t, "whether it is", ok, tc.want != "")
			equal(t, "name", p.name, tc.want)
		})
	}
}

// TestHideMatchesAsFileServerDoes asks file_server about the same patterns and
// files. $ROOT is the directory that both serve.
func TestHideMatchesAsFileServerDoes(t *testing.T) {
	files := map[string]string{}
	for _, name := range []string{
		"secret", "secretly", "top.secret", "x/secret/y", "x/y.txt", "a.txt", "private/a.txt", "private/deep/b.txt",
		"privates/a.txt", ".dot/x", "[x]", "UPPER.TXT", "a b",
	} {
		files["www/"+name] = name
	}
	for _, tc := range []struct {
		pattern string
		hidden  []string // what is to be hidden, at least
	}{
		{"secret", []string{"/secret", "/x/secret/y"}},
		{"secret*", []string{"/secret", "/secretly", "/x/secret/y"}},
		{"*.secret", []string{"/top.secret"}},
		{"*.txt", []string{"/a.txt", "/x/y.txt", "/private/deep/b.txt"}},
		{".*", []string{"/.dot/x"}},
		{"?.txt", []string{"/a.txt", "/x/y.txt"}},
		{"[a-c].txt", []string{"/a.txt", "/private/deep/b.txt"}},
		{`\[x\]`, []string{"/%5Bx%5D"}},
		{"upper.txt", nil},
		{"nothing", nil},
		{"$ROOT/private", []string{"/private/a.txt", "/private/deep/b.txt"}},
		{"$ROOT/private/", []string{"/private/a.txt", "/private/deep/b.txt"}},
		{"$ROOT/x/../private", []string{"/private/a.txt"}},
		{"$ROOT/private/a.txt", []string{"/private/a.txt"}},
		{"$ROOT/priv", nil},
		{"$ROOT/*/a.txt", []string{"/private/a.txt", "/privates/a.txt"}},
		{"$ROOT/*.txt", []string{"/a.txt"}},
		{"$ROOT", []string{"/secret", "/a.txt", "/private/a.txt"}},
		{"/nowhere/a.txt", nil},
		{"private/a.txt", nil}, // relative to where the server was started
	} {
		t.Run(tc.pattern, func(t *testing.T) {
			root := t.TempDir()
			writeFiles(t, root, files)
			o := readOnly
			www := filepath.Join(root, "www")
			o.Hide = []string{strings.ReplaceAll(tc.pattern, "$ROOT", www)}
			s, err := newSiteIn(t, root, o, "", NewState())
			if err != nil {
				t.Fatal(err)
			}
			peer := newFileServer(t, www, o.Hide)

			hidden := make(map[string]bool)
			for name := range files {
				url := "/" + strings.NewReplacer(" ", "%20", "[", "%5B", "]", "%5D").Replace(strings.TrimPrefix(name, "www/"))
				got := s.get(url)
				want := serveFile(peer, url)
				if got.status != want {
					t.Errorf("%s: got %d, want %d as file_server", url, got.status, want)
				}
				hidden[url] = got.status == http.StatusNotFound
			}
			for _, url := range tc.hidden {
				equal(t, url+" hidden", hidden[url], true)
			}
			if tc.hidden == nil {
				for url, is := range hidden {
					equal(t, url+" hidden", is, false)
				}
			}
		})
	}
}

// newFileServer returns Caddy's own file server.
func newFileServer(t *testing.T, root string, hide []string) *fileserver.FileServer {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	fsrv := &fileserver.FileServer{Root: root, Hide: hide}

	// without a configuration its log goes to where stderr is now
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	stderr := os.Stderr
	os.Stderr = null
	err = fsrv.Provision(ctx)
	os.Stderr = stderr
	if err != nil {
		t.Fatal(err)
	}
	return fsrv
}

// TestHidePathIsTakenLiterallyToo is where we hide more than file_server: our
// own files may lie in a folder whose name looks like a pattern.
func TestHidePathIsTakenLiterallyToo(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{"www/[x]/a": "a", "www/x/a": "a", "www/[x]y": "y"})
	o := readOnly
	o.Hide = []string{filepath.Join(root, "www", "[x]")}
	s, err := newSiteIn(t, root, o, "", NewState())
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "its text", s.get("/%5Bx%5D/a"), http.StatusNotFound)
	wantStatus(t, "a longer name", s.get("/%5Bx%5Dy"), http.StatusOK)
}

func TestHidePathIsOmittedFromTheListingOfItsFolder(t *testing.T) {
	at := func(parts ...string) string {
		abs, err := filepath.Abs(string(filepath.Separator)) // with a volume where there are such
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(append([]string{abs}, parts...)...)
	}
	h := newHiding([]string{at("secret"), at("srv", "secret"), at("srv", "*.key")}, nil)
	for _, tc := range []struct {
		folder, name string
		want         bool
	}{
		{at(), "secret", true},
		{at(), "secrets", false},
		{at(), "x.key", false},
		{at("srv"), "secret", true},
		{at("srv"), "x.key", true},
		{at("srv"), "x", false},
		{at("srv", "x"), "secret", false},
	} {
		equal(t, tc.name+" in "+tc.folder, h.below(tc.folder)(tc.name), tc.want)
	}
}

func TestHiddenFilesAreNotServedListedOrWritten(t *testing.T) {
	temp := ".httpout-ABCDEFGHIJKLMNOP"
	o := readWrite
	o.ReadDirs = []string{"www"}
	o.DirList, o.Hide, o.Users, o.Groups = true, []string{"*.key"}, "www/users", "www/sub/groups"
	s := newSite(t, o, map[string]string{
		"www/a.txt": "a", "www/tls.key": "k", "www/users": "", "www/sub/groups": "", "www/sub/b.txt": "b",
		"www/" + temp + ".tmp": "t", "www/" + temp + ".append": "3\n", "www/.dot": "d",
	})
	for _, tc := range []struct {
		path   string
		hidden bool
	}{
		{"/a.txt", false},
		{"/.dot", false},
		{"/sub/b.txt", false},
		{"/" + temp, false}, // only together with their endings are the names ours
		{"/tls.key", true},
		{"/new.key", true},
		{"/x.key/new", true},
		{"/users", true},
		{"/sub/groups", true},
		{"/" + temp + ".tmp", true},
		{"/" + temp + ".append", true},
		{"/" + temp + ".tmp/x", true},
	} {
		before := s.content("www" + tc.path)
		put, del, patch := http.StatusForbidden, http.StatusForbidden, http.StatusForbidden
		get := http.StatusNotFound
		if !tc.hidden {
			put, del, patch, get = http.StatusOK, http.StatusOK, http.StatusOK, http.StatusOK
			if before == "" {
				put = http.StatusCreated
			}
		}
		wantStatus(t, "PUT "+tc.path, s.do(http.MethodPut, tc.path, "new"), put)
		wantStatus(t, "PATCH "+tc.path, s.do(http.MethodPatch, tc.path, "N", "Content-Range: bytes 0-0/*"), patch)
		wantStatus(t, "GET "+tc.path, s.get(tc.path), get)
		if tc.hidden {
			equal(t, "content of "+tc.path, s.content("www"+tc.path), before)
		}
		wantStatus(t, "DELETE "+tc.path, s.do(http.MethodDelete, tc.path, ""), del)
	}
	list := s.get("/", "Accept: application/json").body
	for _, name := range []string{"tls.key", "users", temp + ".tmp", temp + ".append", ".dot"} {
		if strings.Contains(list, name) {
			t.Errorf("listing: got %s in it, want it omitted", name)
		}
	}
	if list = s.get("/sub/", "Accept: application/json").body; strings.Contains(list, "groups") {
		t.Errorf("listing of sub: got groups in it, want it omitted")
	}
}

func TestRuleFileInsideItsDirectoryIsHidden(t *testing.T) {
	o := Options{ReadDirs: []string{"www/rules.ini"}, DirList: true}
	s := newSite(t, o, map[string]string{"www/rules.ini": "[.]\nwu=$ALL\n", "www/a.txt": "a"})
	wantReply(t, "another file", s.get("/a.txt"), http.StatusOK, "a")
	wantStatus(t, "GET", s.get("/rules.ini"), http.StatusNotFound)
	wantStatus(t, "PUT", s.do(http.MethodPut, "/rules.ini", "[.]\n"), http.StatusForbidden)
	wantStatus(t, "DELETE", s.do(http.MethodDelete, "/rules.ini", ""), http.StatusForbidden)
	if list := s.get("/", "Accept: application/json").body; strings.Contains(list, "rules.ini") {
		t.Errorf("listing: got %s, want it without the rule file", list)
	}
}

func TestHidePatternNamesWhatASymbolicLinkOfTheRootLeadsTo(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{"real/private/a.txt": "a", "real/b.txt": "b"})
	s := &site{t: t, root: root}
	s.link("real", "www")
	for _, dir := range []string{"real", "www"} {
		o := readOnly
		o.Hide = []string{filepath.Join(root, dir, "private")}
		s, err := newSiteIn(t, root, o, "", NewState())
		if err != nil {
			t.Fatal(err)
		}
		wantStatus(t, dir+": hidden", s.get("/private/a.txt"), http.StatusNotFound)
		wantStatus(t, dir+": not hidden", s.get("/b.txt"), http.StatusOK)
	}
}
