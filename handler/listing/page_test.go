package listing

import (
	"encoding/json"
	"html"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

var stamp = time.Date(2026, 1, 2, 3, 4, 5, 999_999_999, time.FixedZone("", 3600))

func TestRow(t *testing.T) {
	const when = `<td><time datetime="2026-01-02T02:04:05Z">2026-01-02 02:04:05</time>` + "\n"
	tests := []struct {
		entry Entry
		want  string
	}{
		{Entry{Name: "seg_1.m4s", Size: 1_234_567}, `<a href="seg_1.m4s">seg_1.m4s</a><td>1.2 MB` + when},
		{Entry{Name: "sub", Size: 4096, Dir: true}, `<a href="sub/">sub/</a><td>-` + when},
		{Entry{Name: "a b", Dir: true}, `<a href="a%20b/">a b/</a><td>-` + when},
		{Entry{Name: "live.ts", Size: 7, Live: true}, `<a href="live.ts">live.ts</a> <b>live</b><td>7 B` + when},
		{Entry{Name: "a&b<c>.txt"}, `<a href="a%26b%3Cc%3E.txt">a&amp;b&lt;c&gt;.txt</a><td>0 B` + when},
		{Entry{Name: `"q"`}, `<a href="%22q%22">&#34;q&#34;</a><td>0 B` + when},
		{Entry{Name: `it's`}, `<a href="it%27s">it&#39;s</a><td>0 B` + when},
		{Entry{Name: "#"}, `<a href="%23">#</a><td>0 B` + when},
		{Entry{Name: "?"}, `<a href="%3F">?</a><td>0 B` + when},
		{Entry{Name: "%41"}, `<a href="%2541">%41</a><td>0 B` + when},
		{Entry{Name: "%2e%2e"}, `<a href="%252e%252e">%2e%2e</a><td>0 B` + when},
		{Entry{Name: "两.mp4"}, `<a href="%E4%B8%A4.mp4">两.mp4</a><td>0 B` + when},
		{Entry{Name: "a\nb\x7f"}, "<a href=\"a%0Ab%7F\">a\uFFFDb\uFFFD</a><td>0 B" + when},
		{Entry{Name: "\u0085"}, "<a href=\"%C2%85\">\uFFFD</a><td>0 B" + when},
		{Entry{Name: "\xffz"}, "<a href=\"%FFz\">\uFFFDz</a><td>0 B" + when},
		{Entry{Name: `back\slash`}, `<a href="back%5Cslash">back\slash</a><td>0 B` + when},
		{Entry{Name: "javascript:alert(1)"}, `<a href="./javascript:alert(1)">javascript:alert(1)</a><td>0 B` + when},
		{Entry{Name: "12:30.ts"}, `<a href="./12:30.ts">12:30.ts</a><td>0 B` + when},
		{Entry{Name: "a:b", Dir: true}, `<a href="./a:b/">a:b/</a><td>-` + when},
	}
	for _, tc := range tests {
		tc.entry.ModTime = stamp
		if got, want := string(appendRow(nil, &tc.entry)), "<tr><td>"+tc.want; got != want {
			t.Errorf("%q: got %s, want %s", tc.entry.Name, got, want)
		}
	}
}

func TestRowWithoutTime(t *testing.T) {
	for _, mod := range []time.Time{{}, time.Unix(math.MaxInt32*1000, 0), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)} {
		got := string(appendRow(nil, &Entry{Name: "x", ModTime: mod}))
		if want := "<tr><td><a href=\"x\">x</a><td>0 B<td>-\n"; got != want {
			t.Errorf("%v: got %q, want %q", mod, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	tests := []struct {
		n    int64
		want string
	}{
		{0, "0 B"},
		{999, "999 B"},
		{1000, "1.0 kB"},
		{1049, "1.0 kB"},
		{1050, "1.1 kB"},
		{12_345, "12.3 kB"},
		{999_949, "999.9 kB"},
		{999_950, "1.0 MB"},
		{1_500_000_000, "1.5 GB"},
		{999_999_999_999, "1.0 TB"},
		{math.MaxInt64, "9.2 EB"},
	}
	for _, tc := range tests {
		if got := string(appendSize(nil, tc.n)); got != tc.want {
			t.Errorf("%d: got %s, want %s", tc.n, got, tc.want)
		}
	}
}

func TestPage(t *testing.T) {
	entries := []Entry{{Name: "x.ts", Size: 5, ModTime: stamp}}
	tests := []struct {
		name string
		page Page
		has  []string
		not  []string
	}{
		{
			"sub-directory",
			Page{Path: "/a/<b>/", Entries: entries, Footer: "Caddy & co"},
			[]string{
				"<!DOCTYPE html>", `<meta charset="utf-8">`, "<title>Index of /a/&lt;b&gt;/</title>", `<a href="../">Parent directory</a>`,
				`<th aria-sort="ascending"><a href="?sort=name&amp;order=desc">Name</a>`,
				`<th><a href="?sort=size&amp;order=asc">Size</a>`, `<th><a href="?sort=time&amp;order=asc">`,
				"prefers-color-scheme", "<footer>Caddy &amp; co</footer>", "</html>\n",
			},
			[]string{"<script", "http:", "https:", "<link", "url(", "@import", "<b>live"},
		},
		{
			"root",
			Page{Path: "/", Order: Order{BySize, true}},
			[]string{
				"<h1>Index of /</h1>", `<th aria-sort="descending"><a href="?sort=size&amp;order=asc">Size</a>`,
				`<th><a href="?sort=name&amp;order=asc">Name</a>`,
			},
			[]string{"../", "<footer>"},
		},
		{"top below a prefix", Page{Path: "/prefix/", Top: true}, []string{"Index of /prefix/"}, []string{"../"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got := string(AppendHTML([]byte("kept"), tc.page))
			if !strings.HasPrefix(got, "kept<!DOCTYPE") {
				t.Errorf("got %.20q, want the buffer's content first", got)
			}
			for _, s := range tc.has {
				if !strings.Contains(got, s) {
					t.Errorf("got a page without %q", s)
				}
			}
			for _, s := range tc.not {
				if strings.Contains(got, s) {
					t.Errorf("got a page with %q, want none", s)
				}
			}
		})
	}
}

var hrefs = regexp.MustCompile(`<td><a href="([^"]*)">`)

// TestLinksWorkUnderAPrefix follows every link of a page as a browser would,
// from a server whose files are below a prefix.
func TestLinksWorkUnderAPrefix(t *testing.T) {
	names := []string{
		"plain.m4s", "a&b<c>.txt", "#", "a?b=c", "%41", "%2e%2e", "sp ace", "плюс+.ts", "javascript:alert(1)",
		`back\slash`, `"q"`, "it's", "new\nline", "\xff\xfe", ";semi", "...", "~", "http:", "=@$!*(),",
	}
	if runtime.GOOS == "windows" {
		names = []string{"plain.m4s", "a&b.txt", "#", "%41", "sp ace", "плюс+.ts", "it's", ";semi", "=@$!(),"}
	}
	if runtime.GOOS == "darwin" {
		names = append(names[:13:13], names[14:]...) // its file systems insist on UTF-8
	}
	dir, root := tree(t, "sub/", "sub/inner/")
	visible := 0
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, "sub", name), []byte("content of "+name), 0o644); err != nil {
			t.Fatal(err)
		}
		if name[0] != '.' {
			visible++
		}
	}

	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rel := strings.TrimPrefix(r.URL.Path, "/")
		if !strings.HasSuffix(r.URL.Path, "/") {
			content, err := root.ReadFile(rel)
			if err != nil {
				http.NotFound(w, r)
				return
			}
			w.Write(content)
			return
		}
		entries, err := Read(root, strings.TrimSuffix(rel, "/"), nil)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		o := ParseOrder(r.URL.Query())
		Sort(entries, o)
		w.Write(AppendHTML(nil, Page{Path: "/pre/fix" + r.URL.Path, Order: o, Entries: entries}))
	})
	srv := httptest.NewServer(http.StripPrefix("/pre/fix", handler))
	defer srv.Close()
	get := func(u *url.URL) string {
		t.Helper()
		resp, err := srv.Client().Get(u.String())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: got status %d and error %v, want 200", u, resp.StatusCode, err)
		}
		return string(body)
	}

	base, err := url.Parse(srv.URL + "/pre/fix/sub/")
	if err != nil {
		t.Fatal(err)
	}
	page := get(base)
	found := map[string]bool{}
	for _, m := range hrefs.FindAllStringSubmatch(page, -1) {
		ref, err := url.Parse(html.UnescapeString(m[1]))
		if err != nil {
			t.Fatalf("%s: %v", m[1], err)
		}
		target := base.ResolveReference(ref)
		if target.Host != base.Host || !strings.HasPrefix(target.Path, "/pre/fix/") {
			t.Errorf("%s: got %s, want it below the prefix", m[1], target)
			continue
		}
		if content, ok := strings.CutPrefix(get(target), "content of "); ok {
			found[content] = true
		}
	}
	for _, name := range names {
		if name[0] != '.' && !found[name] {
			t.Errorf("got no link that leads to %q", name)
		}
	}
	if len(found) != visible {
		t.Errorf("got %d files, want %d", len(found), visible)
	}
	if got := strings.Count(page, `<a href="inner/">`); got != 1 {
		t.Errorf("got %d links to inner/, want 1", got)
	}
	if again := get(base.ResolveReference(&url.URL{RawQuery: "sort=name&order=desc"})); strings.Index(again, "plain.m4s") > strings.Index(again, `href="a%26`) {
		t.Error("got an ascending listing, want it descending")
	}
}

func TestJSON(t *testing.T) {
	entries := []Entry{
		{Name: "sub", Size: 4096, ModTime: stamp, Dir: true},
		{Name: `a"b\<&>` + "\n\x01日", Size: math.MaxInt64, ModTime: stamp},
		{Name: "live.ts", Size: 12, ModTime: stamp, Live: true},
		{Name: "\xff", ModTime: time.Time{}},
		{Name: "with: colon"},
	}
	got := string(AppendJSON([]byte("kept"), entries))
	want := `kept[{"name":"sub","size":0,"modified":"2026-01-02T02:04:05Z","type":"directory","live":false},
{"name":"a\"b\\\u003c\u0026\u003e\n\u0001日","size":9223372036854775807,"modified":"2026-01-02T02:04:05Z","type":"file","live":false},
{"name":"live.ts","size":12,"modified":"2026-01-02T02:04:05Z","type":"file","live":true},
{"name":"\ufffd","size":0,"modified":null,"type":"file","live":false},
{"name":"with: colon","size":0,"modified":null,"type":"file","live":false}]
`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var parsed []struct {
		Name     string     `json:"name"`
		Size     int64      `json:"size"`
		Modified *time.Time `json:"modified"`
		Type     string     `json:"type"`
		Live     bool       `json:"live"`
	}
	if err := json.Unmarshal([]byte(got[len("kept"):]), &parsed); err != nil {
		t.Fatal(err)
	}
	if len(parsed) != len(entries) || parsed[1].Name != entries[1].Name || !parsed[0].Modified.Equal(stamp.Truncate(time.Second)) {
		t.Errorf("got %+v, want the entries", parsed)
	}
	if got := string(AppendJSON(nil, nil)); got != "[]\n" {
		t.Errorf("got %q, want an empty array", got)
	}
}

// FuzzNames checks that any name is a link that leads to it, and text that
// cannot become markup.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"a", "a&b<c>.txt", "javascript:alert(1)", "%41", "\xff", "a\nb", `"'`, ".", "日本", "//x"} {
		f.Add(name)
	}
	base := &url.URL{Scheme: "http", Host: "host", Path: "/pre/"}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || name == "." || name == ".." {
			return
		}
		ref, err := url.Parse(string(appendLink(nil, name)))
		if err != nil {
			t.Fatal(err)
		}
		if got := base.ResolveReference(ref); got.Path != "/pre/"+name || got.Host != "host" || got.RawQuery != "" || got.Fragment != "" {
			if !strings.Contains(name, "/") {
				t.Errorf("got %s, want a link to %q", got, name)
			}
		}
		text := string(appendText(nil, name))
		if strings.ContainsAny(text, "<>\"'\x00\n") {
			t.Errorf("got %q, want it escaped", text)
		}
		if isPlain(name) && text != name {
			t.Errorf("got %q for the plain name %q", text, name)
		}
		if !json.Valid(AppendJSON(nil, []Entry{{Name: name}})) {
			t.Errorf("got invalid JSON for %q", name)
		}
	})
}
