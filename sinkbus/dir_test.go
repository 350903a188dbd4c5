package sinkbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// testDir is a directory in which tests write.
type testDir struct {
	*Dir
	t *testing.T
}

func newTestDir(t *testing.T) testDir {
	t.Helper()
	d, err := OpenDir(filepath.Join(t.TempDir(), "store"), NewFiles())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return testDir{d, t}
}

// begin opens an upload and writes to it.
func (d testDir) begin(name, content string) *Upload {
	d.t.Helper()
	u, err := d.Create(name, UploadOptions{Length: -1})
	if err != nil {
		d.t.Fatalf("creating %s: %v", name, err)
	}
	if _, err := io.WriteString(u, content); err != nil {
		d.t.Fatal(err)
	}
	return u
}

// put stores a file and returns whether it is new.
func (d testDir) put(name, content string) bool {
	d.t.Helper()
	created, info, err := d.begin(name, content).Commit(d.t.Context(), CommitOptions{})
	if err != nil {
		d.t.Fatalf("committing %s: %v", name, err)
	}
	if info.Size() != int64(len(content)) {
		d.t.Errorf("got size %d, want %d", info.Size(), len(content))
	}
	return created
}

// want checks what is stored: names and contents, temporary files included.
func (d testDir) want(want map[string]string) {
	d.t.Helper()
	got := make(map[string]string)
	err := filepath.WalkDir(d.Path, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == d.Path {
			return err
		}
		rel, err := filepath.Rel(d.Path, p)
		if err != nil {
			return err
		}
		if e.IsDir() {
			got[filepath.ToSlash(rel)+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(p)
		got[filepath.ToSlash(rel)] = string(content)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	if len(got) != len(want) {
		d.t.Errorf("got %q, want %q", got, want)
	}
	for name, content := range want {
		if got[name] != content {
			d.t.Errorf("%s: got %q, want %q", name, got[name], content)
		}
	}
}

func TestUploadAppearsWhole(t *testing.T) {
	d := newTestDir(t)
	u := d.begin("a/b/x.txt", "first")
	if _, err := d.Stat("a/b/x.txt"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v for an upload in progress, want that there is no file", err)
	}
	if got := d.Uploading("a/b/x.txt"); got != u.Stream {
		t.Error("the upload in progress is not found")
	}
	if got := d.UploadingIn("a/b"); got["x.txt"] != u.Stream || len(got) != 1 {
		t.Errorf("got %v in the folder, want the upload", got)
	}
	created, _, err := u.Commit(t.Context(), CommitOptions{Fsync: true})
	if err != nil || !created {
		t.Fatalf("got %v, %v, want a new file", created, err)
	}
	if d.Uploading("a/b/x.txt") != nil {
		t.Error("a committed upload is still found")
	}
	if d.put("a/b/x.txt", "second") {
		t.Error("a replaced file counts as new")
	}
	d.want(map[string]string{"a/": "", "a/b/": "", "a/b/x.txt": "second"})
}

func TestDiscardLeavesNothing(t *testing.T) {
	d := newTestDir(t)
	d.put("x.txt", "old")
	reason := errors.New("cut off")
	for _, name := range []string{"x.txt", "new/deep/y.txt"} {
		u := d.begin(name, "half")
		r, err := u.NewReader(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		u.Discard(reason)
		if _, err := readAll(r); !errors.Is(err, reason) {
			t.Errorf("reader got %v, want %v", err, reason)
		}
		r.Close()
		u.Discard(nil) // once more does no harm
	}
	d.want(map[string]string{"x.txt": "old"})
	if n := d.files.Uploads.Len(); n != 0 {
		t.Errorf("got %d uploads on the bus, want none", n)
	}
}

func TestCommitAsksCheck(t *testing.T) {
	d := newTestDir(t)
	d.put("x.txt", "old")
	refused := errors.New("refused")
	u := d.begin("x.txt", "new")
	_, _, err := u.Commit(t.Context(), CommitOptions{Check: func(old fs.FileInfo) error {
		if old == nil || old.Size() != 3 {
			t.Errorf("got %v, want the old file", old)
		}
		return refused
	}})
	if !errors.Is(err, refused) {
		t.Errorf("got %v, want the check's error", err)
	}
	d.want(map[string]string{"x.txt": "old"})
}

func TestLastToCompleteIsTheFile(t *testing.T) {
	d := newTestDir(t)
	first := d.begin("x", "first")
	second := d.begin("x", "second")
	if d.Uploading("x") != second.Stream {
		t.Error("want the newest upload to be found")
	}
	for _, u := range []*Upload{second, first} {
		if _, _, err := u.Commit(t.Context(), CommitOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	d.want(map[string]string{"x": "first"})
}

func TestVersionsOfOneSizeDifferInTime(t *testing.T) {
	d := newTestDir(t)
	seen := make(map[time.Time]bool)
	for range 50 {
		d.put("x", "same")
		info, err := d.Stat("x")
		if err != nil {
			t.Fatal(err)
		}
		if seen[info.ModTime()] {
			t.Fatalf("two versions have the modification time %v", info.ModTime())
		}
		seen[info.ModTime()] = true
	}
}

func TestReaderOfAReplacedUploadGetsAllOfIt(t *testing.T) {
	d := newTestDir(t)
	want := strings.Repeat("0123456789", 200_000) // more than stays in memory
	u := d.begin("x", want)
	r, err := u.NewReader(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := u.Commit(t.Context(), CommitOptions{}); err != nil {
		t.Fatal(err)
	}
	d.put("x", "other")
	got, err := readAll(r)
	r.Close()
	if err != nil || string(got) != want {
		t.Errorf("got %d bytes and %v, want %d", len(got), err, len(want))
	}
}

func TestRemovePrunesFoldersOfUploads(t *testing.T) {
	d := newTestDir(t)
	if err := os.Mkdir(filepath.Join(d.Path, "kept"), 0o755); err != nil {
		t.Fatal(err)
	}
	agree := func(fs.FileInfo) error { return nil }
	d.put("kept/a/b/1", "")
	d.put("kept/a/2", "")
	for _, tc := range []struct {
		name string
		want map[string]string
	}{
		{"kept/a/b/1", map[string]string{"kept/": "", "kept/a/": "", "kept/a/2": ""}},
		{"kept/a/2", map[string]string{"kept/": ""}},
	} {
		removed, err := d.Remove(t.Context(), tc.name, agree)
		if err != nil || !removed {
			t.Fatalf("removing %s: got %v, %v", tc.name, removed, err)
		}
		d.want(tc.want)
	}
	if removed, err := d.Remove(t.Context(), "kept/a/2", agree); removed || err != nil {
		t.Errorf("removing nothing: got %v, %v", removed, err)
	}
	if _, err := d.Remove(t.Context(), "kept", agree); !errors.Is(err, ErrIsDirectory) {
		t.Errorf("removing a directory: got %v, want ErrIsDirectory", err)
	}
}

func TestNothingLeavesTheDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("making symbolic links takes rights that tests do not have there")
	}
	d := newTestDir(t)
	outside := t.TempDir()
	for name, target := range map[string]string{"abs": outside, "up": "..", "in": "real"} {
		if err := os.Symlink(target, filepath.Join(d.Path, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(d.Path, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"abs/x", "up/x", "../x"} {
		if u, err := d.Create(name, UploadOptions{Length: -1}); err == nil {
			u.Discard(nil)
			t.Errorf("%s: got an upload, want an error", name)
		}
	}
	u := d.begin("in/x", "through a link")
	if d.Uploading("real/x") != u.Stream || d.Uploading("in/x") != u.Stream {
		t.Error("an upload through a link is not found under both of its names")
	}
	if _, _, err := u.Commit(t.Context(), CommitOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(d.Path, "real", "x")); err != nil || string(got) != "through a link" {
		t.Errorf("got %q, %v", got, err)
	}
}

// patch applies body to pieces of a file.
func (d testDir) patch(name, body string, pieces ...Piece) error {
	d.t.Helper()
	u, err := d.Create(name, UploadOptions{Length: int64(len(body)), Hidden: true})
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := io.WriteString(u, body); err != nil {
		d.t.Fatal(err)
	}
	_, _, err = u.Patch(d.t.Context(), false, func(fs.FileInfo) ([]Piece, error) { return pieces, nil })
	return err
}

func TestPatch(t *testing.T) {
	for _, tc := range []struct {
		name, old, body string
		pieces          []Piece
		want            string
		wantErr         error
	}{
		{name: "begin", old: "0123456789", body: "ab", pieces: []Piece{{0, 2}}, want: "ab23456789"},
		{name: "middle", old: "0123456789", body: "ab", pieces: []Piece{{4, 2}}, want: "0123ab6789"},
		{name: "several", old: "0123456789", body: "abc", pieces: []Piece{{8, 1}, {1, 2}}, want: "0bc34567a9"},
		{name: "over the end", old: "0123456789", body: "abcd", pieces: []Piece{{8, 4}}, want: "01234567abcd"},
		{name: "append", old: "0123456789", body: "ab", pieces: []Piece{{10, 2}}, want: "0123456789ab"},
		{name: "append to nothing", old: "", body: "ab", pieces: []Piece{{0, 2}}, want: "ab"},
		{name: "no file", body: "ab", old: "-", pieces: []Piece{{0, 2}}, want: "ab"},
		{name: "no file, not from 0", body: "ab", old: "-", pieces: []Piece{{1, 2}}, wantErr: fs.ErrNotExist},
		{name: "body too short", old: "0123456789", body: "a", pieces: []Piece{{4, 2}}, want: "0123456789", wantErr: io.EOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newTestDir(t)
			want := map[string]string{}
			if tc.old != "-" {
				d.put("x", tc.old)
				want["x"] = tc.want
			} else if tc.wantErr == nil {
				want["x"] = tc.want
			}
			if err := d.patch("x", tc.body, tc.pieces...); !errors.Is(err, tc.wantErr) {
				t.Errorf("got %v, want %v", err, tc.wantErr)
			}
			d.want(want)
		})
	}
}

// Readers that open the file while it is appended to and patched must see one
// version each.
func TestReadersNeverSeeHalfAPatch(t *testing.T) {
	d := newTestDir(t)
	const unit = 40_000
	d.put("x", strings.Repeat("a", unit))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				f, info, err := d.Open("x")
				if err != nil {
					t.Error(err)
					return
				}
				content, err := io.ReadAll(io.LimitReader(f, info.Size()))
				f.Close()
				if err != nil {
					t.Error(err)
				}
				if len(content)%unit != 0 {
					t.Errorf("got %d bytes, want whole units of %d", len(content), unit)
				}
				for i := 1; i < unit; i++ {
					if content[i] != content[0] {
						t.Errorf("got a torn first unit: %c and %c", content[0], content[i])
						break
					}
				}
			}
		})
	}
	for i := range 30 {
		body := strings.Repeat(string(rune('b'+i%20)), unit)
		if err := d.patch("x", body, Piece{int64(i+1) * unit, unit}); err != nil {
			t.Fatal(err)
		}
		if err := d.patch("x", body, Piece{0, unit}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	wg.Wait()
}

func TestSweepRemovesWhatAProcessLeft(t *testing.T) {
	d := newTestDir(t)
	d.put("sub/x", "0123456789")
	left := map[string]string{
		"sub/.httpout-AAAAAAAAAAAAAAAA.tmp":    "half an upload",
		".httpout-BBBBBBBBBBBBBBBB.tmp":        "",
		"sub/.httpout-CCCCCCCCCCCCCCCC.append": "4\nx\n", // x was 4 bytes long
		"sub/.httpout-DDDDDDDDDDDDDDDD.append": "7",      // cut off: nothing was appended
		"sub/.httpout-EEEEEEEEEEEEEEEE.append": "1\ngone\n",
	}
	for name, content := range left {
		if err := os.WriteFile(filepath.Join(d.Path, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	live := d.begin("live", "still here")
	n, err := d.Sweep(t.Context())
	if err != nil || n != len(left) {
		t.Errorf("got %d removed and %v, want %d", n, err, len(left))
	}
	if _, _, err := live.Commit(t.Context(), CommitOptions{}); err != nil {
		t.Errorf("an upload in progress was swept: %v", err)
	}
	d.want(map[string]string{"sub/": "", "sub/x": "0123", "live": "still here"})
}

func TestSweepRefusesJournalsThatLeaveTheFolder(t *testing.T) {
	d := newTestDir(t)
	d.put("x", "0123456789")
	if err := os.Mkdir(filepath.Join(d.Path, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(d.Path, "sub", ".httpout-AAAAAAAAAAAAAAAA.append")
	if err := os.WriteFile(journal, []byte("1\n../x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Sweep(t.Context()); err == nil {
		t.Error("got no error for a journal that names a file elsewhere")
	}
	if info, err := d.Stat("x"); err != nil || info.Size() != 10 {
		t.Errorf("got %v, %v, want the file untouched", info, err)
	}
}

func TestConcurrentUploadsAndDeletesInOneFolder(t *testing.T) {
	d := newTestDir(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("a/b/%d", i)
			for range 50 {
				u, err := d.Create(name, UploadOptions{Length: 1})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := u.Write([]byte("x")); err != nil {
					t.Error(err)
				}
				if _, _, err := u.Commit(t.Context(), CommitOptions{}); err != nil {
					t.Error(err)
				}
				if _, err := d.Remove(t.Context(), name, func(fs.FileInfo) error { return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	d.want(map[string]string{})
}

func TestDescriptorsAreClosed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("descriptors are counted in /proc")
	}
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	d := newTestDir(t)
	d.put("x", "warm up")
	before := count()
	for range 20 {
		d.put("x", "again")
		if err := d.patch("x", "y", Piece{0, 1}); err != nil {
			t.Fatal(err)
		}
		if err := d.patch("x", "z", Piece{5, 1}); err != nil {
			t.Fatal(err)
		}
		d.begin("y", "half").Discard(nil)
	}
	if after := count(); after != before {
		t.Errorf("got %d descriptors, want %d as before", after, before)
	}
}
