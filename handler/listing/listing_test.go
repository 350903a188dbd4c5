package listing

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// tree creates files (with their name's length as their size) and directories
// (names that end with a slash) below a new directory.
func tree(t testing.TB, names ...string) (dir string, root *os.Root) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range names {
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(filepath.Join(dir, name), 0o755)
		} else {
			err = os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return dir, root
}

func namesOf(entries []Entry) string {
	var names []string
	for _, e := range entries {
		if e.Dir {
			e.Name += "/"
		}
		names = append(names, e.Name)
	}
	return strings.Join(names, " ")
}

func TestRead(t *testing.T) {
	dir, root := tree(t, "b.mp4", "a.txt", "sub/", "sub/deep/", "sub/c.m4s", ".hidden", ".git/", "tmp~")
	mtime := time.Date(2026, 3, 4, 5, 6, 7, 891_000_000, time.UTC)
	if err := os.Chtimes(filepath.Join(dir, "b.mp4"), mtime, mtime); err != nil {
		t.Fatal(err)
	}
	skip := func(name string) bool { return strings.HasSuffix(name, "~") }

	tests := []struct {
		name, rel string
		skip      func(string) bool
		want      string
	}{
		{"root", ".", skip, "sub/ a.txt b.mp4"},
		{"empty is the root", "", skip, "sub/ a.txt b.mp4"},
		{"no skip", ".", nil, "sub/ a.txt b.mp4 tmp~"},
		{"sub-directory", "sub", skip, "deep/ c.m4s"},
		{"empty directory", "sub/deep", skip, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			entries, err := Read(root, tc.rel, tc.skip)
			if err != nil {
				t.Fatal(err)
			}
			Sort(entries, Order{})
			if got := namesOf(entries); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			for _, e := range entries {
				if e.Name == "b.mp4" && (e.Size != 5 || !e.ModTime.Equal(mtime) || e.ModTime.Location() != time.UTC) {
					t.Errorf("got %d bytes of %v, want 5 of %v", e.Size, e.ModTime, mtime)
				}
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	_, root := tree(t, "file", "sub/")
	tests := []struct {
		name, rel string
		want      error
	}{
		{"missing", "none", fs.ErrNotExist},
		{"outside", "..", nil},
		{"below a file", "file/x", nil},
		{"a file", "file", nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			entries, err := Read(root, tc.rel, nil)
			if err == nil {
				t.Fatalf("got %d entries, want an error", len(entries))
			}
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestReadOmitsLinksThatLeaveTheRoot(t *testing.T) {
	dir, root := tree(t, "file.txt", "sub/", "sub/inner.bin")
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	links := []struct{ name, target string }{
		{"link-file", "file.txt"},
		{"link-dir", "sub"},
		{"sub/link-up", "../file.txt"},
		{"sub/link-down", "inner.bin"},
		{"absolute", filepath.Join(dir, "file.txt")},
		{"outside", filepath.Join(outside, "secret")},
		{"relative-outside", "../" + filepath.Base(outside)},
		{"sub/outside", "../../" + filepath.Base(outside)},
		{"dangling", "none"},
		{"loop", "loop"},
		{"via-outside", "relative-outside/secret"},
	}
	for _, l := range links {
		if err := os.Symlink(filepath.FromSlash(l.target), filepath.Join(dir, l.name)); err != nil {
			if runtime.GOOS == "windows" {
				t.Skipf("creating a symbolic link: %v", err)
			}
			t.Fatal(err)
		}
	}

	for rel, want := range map[string]string{
		".":        "link-dir/ sub/ file.txt link-file",
		"sub":      "inner.bin link-down link-up",
		"link-dir": "inner.bin link-down link-up",
	} {
		entries, err := Read(root, rel, nil)
		if err != nil {
			t.Fatal(err)
		}
		Sort(entries, Order{})
		if got := namesOf(entries); got != want {
			t.Errorf("%s: got %q, want %q", rel, got, want)
		}
		for _, e := range entries {
			switch e.Name {
			case "link-file", "link-up":
				if e.Size != int64(len("file.txt")) {
					t.Errorf("%s: got %d bytes, want those of file.txt", e.Name, e.Size)
				}
			}
		}
	}
}

func TestSort(t *testing.T) {
	at := func(sec int64) time.Time { return time.Unix(sec, 0) }
	entries := []Entry{
		{Name: "seg10.m4s", Size: 30, ModTime: at(5)},
		{Name: "seg9.m4s", Size: 300, ModTime: at(4)},
		{Name: "Seg9.m4s", Size: 300, ModTime: at(4)},
		{Name: "audio", Size: 4096, ModTime: at(9), Dir: true},
		{Name: "video", Size: 1, ModTime: at(1), Dir: true},
		{Name: "init.mp4", Size: 0, ModTime: at(6)},
	}
	tests := []struct{ query, want string }{
		{"", "audio/ video/ init.mp4 Seg9.m4s seg9.m4s seg10.m4s"},
		{"sort=name&order=asc", "audio/ video/ init.mp4 Seg9.m4s seg9.m4s seg10.m4s"},
		{"sort=name&order=desc", "video/ audio/ seg10.m4s seg9.m4s Seg9.m4s init.mp4"},
		{"order=desc", "video/ audio/ seg10.m4s seg9.m4s Seg9.m4s init.mp4"},
		{"sort=size", "audio/ video/ init.mp4 seg10.m4s Seg9.m4s seg9.m4s"},
		{"sort=size&order=desc", "audio/ video/ Seg9.m4s seg9.m4s seg10.m4s init.mp4"},
		{"sort=time", "video/ audio/ Seg9.m4s seg9.m4s seg10.m4s init.mp4"},
		{"sort=time&order=desc", "audio/ video/ init.mp4 seg10.m4s Seg9.m4s seg9.m4s"},
		{"sort=type&order=up", "audio/ video/ init.mp4 Seg9.m4s seg9.m4s seg10.m4s"},
		{"sort=SIZE", "audio/ video/ init.mp4 Seg9.m4s seg9.m4s seg10.m4s"},
	}
	for _, tc := range tests {
		t.Run(tc.query, func(t *testing.T) {
			query, err := url.ParseQuery(tc.query)
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				shuffled := slices.Clone(entries)
				rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
				Sort(shuffled, ParseOrder(query))
				if got := namesOf(shuffled); got != tc.want {
					t.Fatalf("got %q, want %q", got, tc.want)
				}
			}
		})
	}
}

// TestCompareNamesIsATotalOrder checks each pair and its reverse in a list that
// is in order.
func TestCompareNamesIsATotalOrder(t *testing.T) {
	names := []string{
		"", "!", "-1", "0", "00", "000a", "0A", "0a", "01", "1", "1.5", "1.10", "2", "10", "0x1", "72057594037927934", "72057594037927935", "72057594037927936", "x072057594037927936", "99999999999999999998",
		"099999999999999999999", "100000000000000000000", "a", "A0", "a0", "a00", "a1", "a1b", "a01c", "a2",
		"a10", "B", "b", "b-", "é", "日本", "abcdefgh1", "abcdefg1", "abcdefg02", "abcdefgh", "ABCDEFGHI",
	}
	slices.SortFunc(names, compareNames)
	for i, a := range names {
		for j, b := range names {
			got := compareNames(a, b)
			if ra, rb := nameRank(a), nameRank(b); ra != rb && (ra < rb) != (got < 0) {
				t.Errorf("%q and %q: got ranks %x and %x, want their order to be %d", a, b, ra, rb, got)
			}
			if (i < j && got >= 0) || (i == j && got != 0) || (i > j && got <= 0) {
				t.Errorf("%q and %q: got %d at positions %d and %d", a, b, got, i, j)
			}
		}
	}
	before := [][2]string{{"seg9", "seg10"}, {"seg009", "seg10"}, {"a", "B"}, {"A", "a"}, {"a1", "a1b"}, {"1.9", "1.10"}}
	for _, p := range before {
		if compareNames(p[0], p[1]) >= 0 {
			t.Errorf("got %q after %q, want it before", p[0], p[1])
		}
	}
}

// TestSortAgreesWithCompareNames sorts random names that share prefixes, numbers
// and letters of either case.
func TestSortAgreesWithCompareNames(t *testing.T) {
	const alphabet = "aAb0019_-\x00\xff"
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		prefix := []string{"", "seg_", "a1", "é"}[rng.IntN(4)]
		entries := make([]Entry, rng.IntN(12))
		var want []string
		for i := range entries {
			name := []byte(prefix)
			for range rng.IntN(11) {
				name = append(name, alphabet[rng.IntN(len(alphabet))])
			}
			entries[i].Name = string(name)
			want = append(want, string(name))
		}
		slices.SortFunc(want, compareNames)
		Sort(entries, Order{})
		for i, e := range entries {
			if e.Name != want[i] {
				t.Fatalf("got %q, want %q", namesOf(entries), want)
			}
		}
	}
}

func TestWantsJSON(t *testing.T) {
	tests := []struct {
		accept string
		want   bool
	}{
		{"", false},
		{"*/*", false},
		{"application/json", true},
		{"Application/JSON", true},
		{"application/json;charset=utf-8", true},
		{"application/json, text/plain, */*", true},
		{"application/*", true},
		{"text/html", false},
		{"text/html, application/json", false},
		{"application/json, text/html", false},
		{"application/json, text/html;q=0.9", true},
		{"application/json;q=0.8, text/html;q=0.801", false},
		{"application/json; q=0.8 , */*; q=0.1", true},
		{"application/json;q=0", false},
		{"text/html;q=0, */*", true},
		{"*/*;q=0.1, application/json;q=0", false},
		{"application/json;q=2", false},
		{"application/json;q=1.001", false},
		{"application/json;q=x, text/html;q=0.1", false},
		{"application/json;q=1.", true},
		{"application/json;q=0.001", true},
		{"application/json;q=.5", false},
		{"application/ld+json", false},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", false},
		{"text/html|application/json;q=0.5", false},
		{"text/html;q=0.5|application/json", true},
	}
	for _, tc := range tests {
		if got := WantsJSON(strings.Split(tc.accept, "|")); got != tc.want {
			t.Errorf("%q: got %v, want %v", tc.accept, got, tc.want)
		}
	}
}
