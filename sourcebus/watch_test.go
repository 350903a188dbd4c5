package sourcebus

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// watching starts an input of a folder, in virtual time if it is to look at it
// again and again.
func watching(t *testing.T, dir string, scan bool) *running {
	t.Helper()
	in := prepare(t, &Watch{Dir: dir, scan: scan}, Config{})
	if scan {
		in.wait = virtualPatience
	}
	in.Start()
	in.logs("watching", 1)
	return in
}

// bothWays runs a test with what the system tells, where it does, and with a
// folder that is looked at again and again. In the latter case time is virtual.
func bothWays(t *testing.T, test func(t *testing.T, dir string, scan bool)) {
	t.Run("told", func(t *testing.T) {
		checkLeaks(t)
		test(t, t.TempDir(), false)
	})
	t.Run("scan", func(t *testing.T) {
		checkLeaks(t)
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) { test(t, dir, true) })
	})
}

func mkdir(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(name, 0o777); err != nil {
		t.Fatal(err)
	}
}

func renameFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func removeAll(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

// create makes a file that stays open for writing until the end of the test.
func create(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func put(t *testing.T, f *os.File, text string) {
	t.Helper()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestGrowingFileIsStream(t *testing.T) {
	bothWays(t, func(t *testing.T, dir string, scan bool) {
		writeFile(t, filepath.Join(dir, "before.ts"), "was there ")
		in := watching(t, dir, scan)

		f := create(t, filepath.Join(dir, "a.m4s"))
		put(t, f, "one ")
		s := in.open("/a.m4s")
		if s.MediaType != "video/iso.segment" || s.Length != -1 {
			t.Errorf("got type %q and length %d", s.MediaType, s.Length)
		}
		s.next("one ")
		put(t, f, "two ")
		s.next("two ")
		put(t, f, "three")
		f.Close()
		began := time.Now()
		s.complete("three")
		if scan {
			took(t, &began, settleFile, settleFile+3*scanEvery)
		}

		// one that was there before is a stream from its first byte on
		f, err := os.OpenFile(filepath.Join(dir, "before.ts"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		put(t, f, "and grows")
		s = in.open("/before.ts")
		s.next("was there and grows")
		f.Close()
		s.complete("")

		// what is written to again is another stream
		writeFile(t, filepath.Join(dir, "a.m4s"), "new")
		in.open("/a.m4s").complete("new")
	})
}

func TestRenamedFileIsComplete(t *testing.T) {
	bothWays(t, func(t *testing.T, dir string, scan bool) {
		in := watching(t, dir, scan)
		for i, temp := range []string{"a.m4s.tmp", "b.PART", ".hidden", "a.m4s.tmp"} {
			content := fmt.Sprint(strings.Repeat("content", 1000), i)
			writeFile(t, filepath.Join(dir, temp), content)
			if scan {
				time.Sleep(scanEvery * 5 / 2) // virtual: it has been seen under that name
			}
			renameFile(t, filepath.Join(dir, temp), filepath.Join(dir, "a.m4s"))
			s := in.open("/a.m4s")
			if s.Length != int64(len(content)) {
				t.Errorf("got length %d, want %d", s.Length, len(content))
			}
			s.complete(content)
		}
		writeFile(t, filepath.Join(dir, "live.mpd.tmp"), "<MPD/>")
		if scan {
			time.Sleep(2 * scanEvery)
		}
		renameFile(t, filepath.Join(dir, "live.mpd.tmp"), filepath.Join(dir, "live.mpd"))
		s := in.open("/live.mpd")
		if s.MediaType != "application/dash+xml" || s.Length != 6 {
			t.Errorf("got type %q and length %d", s.MediaType, s.Length)
		}
		s.complete("<MPD/>")
		if !scan { // a name that is taken away is deleted
			renameFile(t, filepath.Join(dir, "live.mpd"), filepath.Join(dir, "old.mpd"))
			in.want(sinkbus.Deleted, "/live.mpd")
			in.open("/old.mpd").complete("<MPD/>")
		}
	})
}

func TestRemovedFileIsDeleted(t *testing.T) {
	bothWays(t, func(t *testing.T, dir string, scan bool) {
		writeFile(t, filepath.Join(dir, "old.m4s"), "old")
		in := watching(t, dir, scan)
		removeAll(t, filepath.Join(dir, "old.m4s"))
		in.want(sinkbus.Deleted, "/old.m4s")

		f := create(t, filepath.Join(dir, "a.m4s"))
		put(t, f, "some")
		s := in.open("/a.m4s")
		s.next("some")
		put(t, f, " more")
		removeAll(t, filepath.Join(dir, "a.m4s"))
		s.complete(" more")
		in.want(sinkbus.Deleted, "/a.m4s")

		// of names that are passed over nothing is told
		writeFile(t, filepath.Join(dir, "x.tmp"), "temp")
		if scan {
			time.Sleep(2 * scanEvery)
		}
		removeAll(t, filepath.Join(dir, "x.tmp"))
		writeFile(t, filepath.Join(dir, "next"), "next")
		in.open("/next").complete("next")
	})
}

func TestFileThatGetsShorterIsNewStream(t *testing.T) {
	bothWays(t, func(t *testing.T, dir string, scan bool) {
		in := watching(t, dir, scan)
		f := create(t, filepath.Join(dir, "a.txt"))
		put(t, f, "the first version")
		s := in.open("/a.txt")
		s.next("the first version")
		if err := f.Truncate(0); err != nil {
			t.Fatal(err)
		}
		s.broken("written anew")
		if _, err := f.WriteAt([]byte("second"), 0); err != nil {
			t.Fatal(err)
		}
		s = in.open("/a.txt")
		s.next("second")
		f.Close()
		s.complete("")
	})
}

func TestFoldersWithinAreWatched(t *testing.T) {
	bothWays(t, func(t *testing.T, dir string, scan bool) {
		mkdir(t, filepath.Join(dir, "there"))
		in := watching(t, dir, scan)
		writeFile(t, filepath.Join(dir, "there", "a.ts"), "a")
		in.open("/there/a.ts").complete("a")

		// files may be there before the folder is watched
		for i := range 2 {
			name := fmt.Sprintf("new%d/deep/er", i)
			mkdir(t, filepath.Join(dir, name))
			writeFile(t, filepath.Join(dir, name, "b.ts"), name)
			in.open("/" + name + "/b.ts").complete(name)
		}
		mkdir(t, filepath.Join(dir, ".git"))
		writeFile(t, filepath.Join(dir, ".git", "c"), "c")

		writeFile(t, filepath.Join(dir, "new0/deep/d"), "d")
		in.open("/new0/deep/d").complete("d")
		removeAll(t, filepath.Join(dir, "new0"))
		for range 2 {
			if e, _ := in.event(); e.Kind != sinkbus.Deleted {
				t.Fatalf("got %v %s, want two files deleted", e.Kind, e.Name)
			}
		}
	})
}

func TestFolderThatIsMoved(t *testing.T) {
	checkLeaks(t)
	dir, elsewhere := t.TempDir(), t.TempDir()
	in := watching(t, dir, false)

	mkdir(t, filepath.Join(elsewhere, "x", "y"))
	writeFile(t, filepath.Join(elsewhere, "x", "y", "a"), "a")
	renameFile(t, filepath.Join(elsewhere, "x"), filepath.Join(dir, "x"))
	s := in.open("/x/y/a")
	if s.Length != 1 {
		t.Errorf("got length %d, want 1", s.Length)
	}
	s.complete("a")

	// what is written to goes on under the new name
	renameFile(t, filepath.Join(dir, "x"), filepath.Join(dir, "z"))
	in.open("/z/y/a").complete("a")
	f := create(t, filepath.Join(dir, "z", "y", "b"))
	put(t, f, "b")
	s = in.open("/z/y/b")
	s.next("b")
	renameFile(t, filepath.Join(dir, "z"), filepath.Join(elsewhere, "z"))
	s.complete("")
	in.want(sinkbus.Deleted, "/z/y/b")

	// it is no longer watched
	put(t, f, "more")
	writeFile(t, filepath.Join(elsewhere, "z", "y", "c"), "c")
	writeFile(t, filepath.Join(dir, "last"), "last")
	in.open("/last").complete("last")
}

func TestLinksOutOfTheFolder(t *testing.T) {
	bothWays(t, func(t *testing.T, dir string, scan bool) {
		outside := filepath.Join(filepath.Dir(dir), filepath.Base(dir)+"-outside")
		mkdir(t, outside)
		t.Cleanup(func() { os.RemoveAll(outside) })
		writeFile(t, filepath.Join(outside, "secret"), "secret")
		in := watching(t, dir, scan)
		for name, target := range map[string]string{
			"link": filepath.Join(outside, "secret"), "relative": "../" + filepath.Base(outside) + "/secret", "folder": outside,
		} {
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		writeFile(t, filepath.Join(outside, "secret"), "secret again")
		writeFile(t, filepath.Join(dir, "real"), "real")
		in.open("/real").complete("real")
		if err := os.Symlink("real", filepath.Join(dir, "within")); err != nil {
			t.Fatal(err)
		}
		in.open("/within").complete("real")
	})
}

func TestFolderThatComesAndGoes(t *testing.T) {
	bothWays(t, func(t *testing.T, parent string, scan bool) {
		dir := filepath.Join(parent, "out")
		in := prepare(t, &Watch{Dir: dir, scan: scan}, Config{})
		if scan {
			in.wait = virtualPatience
		}
		in.Start()
		for i := range 2 {
			in.logs("cannot watch the folder, trying again", i+1)
			mkdir(t, parent)
			mkdir(t, dir)
			writeFile(t, filepath.Join(dir, "a"), fmt.Sprint("new ", i))
			in.skipTo("/a").complete(fmt.Sprint("new ", i))
			f := create(t, filepath.Join(dir, "open.ts"))
			put(t, f, "goes on")
			s := in.open("/open.ts")
			removeAll(t, dir)
			if got, err := s.rest(); err != nil || string(got) != "goes on" {
				t.Errorf("got %q and error %v", got, err)
			}
		}
	})
}

func TestFolderIsHeldBack(t *testing.T) {
	bothWays(t, func(t *testing.T, dir string, scan bool) {
		in := prepare(t, &Watch{Dir: dir, scan: scan}, Config{})
		if scan {
			in.wait = virtualPatience
		}
		in.Hold()
		in.Start()
		in.logs("watching", 1)
		writeFile(t, filepath.Join(dir, "a"), "a")
		if scan {
			time.Sleep(time.Minute) // virtual
		}
		if n := in.Opened(); n != 0 {
			t.Errorf("got %d streams, want none yet", n)
		}
		in.Release()
		in.open("/a").complete("a")
	})
}

func TestFoldersEnd(t *testing.T) {
	bothWays(t, func(t *testing.T, dir string, scan bool) {
		in := watching(t, dir, scan)
		f := create(t, filepath.Join(dir, "a"))
		put(t, f, "a")
		s := in.open("/a")
		s.next("a")
		slow, err := s.NewWholeReader(t.Context(), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		put(t, f, strings.Repeat("x", 1000)) // the writer waits for the reader
		in.Suspend()
		s.rest()
		in.want(sinkbus.Completed, "/a")
	})
}

func TestPassedOver(t *testing.T) {
	for name, want := range map[string]bool{
		"a.ts": false, "d/a.ts": false, "a.tmp.ts": false, "tmp": false, "part": false, "a": false,
		"a.tmp": true, "a.ts.tmp": true, "d/a.TMP": true, "a.part": true, ".a": true, "d/.a.ts": true, "\xff": true,
	} {
		if got := passedOver(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}
