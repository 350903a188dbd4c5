package access

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// watchTest watches a file whose content is the value; "bad..." is an error.
type watchTest struct {
	*Watched[string]
	t        *testing.T
	filename string
	parses   int
	errs     []string
}

func newWatchTest(t *testing.T, content string) *watchTest {
	t.Helper()
	w := &watchTest{t: t, filename: filepath.Join(t.TempDir(), "f")}
	w.write(content, time.Hour)
	parse := func(r io.Reader, filename string) (string, error) {
		w.parses++
		b, err := io.ReadAll(r)
		if err == nil && strings.HasPrefix(string(b), "bad") {
			err = errors.New(string(b))
		}
		return string(b), err
	}
	var err error
	w.Watched, err = NewWatched(w.filename, parse, func(err error) { w.errs = append(w.errs, err.Error()) })
	if err != nil {
		t.Fatalf("got error %v, want none", err)
	}
	return w
}

// write writes the file as if it had been done some time ago.
func (w *watchTest) write(content string, ago time.Duration) {
	w.t.Helper()
	if err := os.WriteFile(w.filename, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.touch(ago)
}

func (w *watchTest) touch(ago time.Duration) {
	w.t.Helper()
	at := time.Now().Add(-ago)
	if err := os.Chtimes(w.filename, at, at); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watchTest) want(value string, parses, errs int) {
	w.t.Helper()
	if got := w.Get(); got != value {
		w.t.Errorf("got value %q, want %q", got, value)
	}
	if w.parses != parses {
		w.t.Errorf("got %d parses, want %d", w.parses, parses)
	}
	if len(w.errs) != errs {
		w.t.Errorf("got errors %q, want %d", w.errs, errs)
	}
}

func TestEditIsSeenWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchTest(t, "one")
		w.want("one", 1, 0)
		w.write("two!", 0)
		w.want("one", 1, 0) // looked at just now
		time.Sleep(time.Second - time.Millisecond)
		w.want("two!", 2, 0)
		time.Sleep(time.Hour)
		w.want("two!", 2, 0)
		w.want("two!", 2, 0)
	})
}

func TestEditsInQuickSuccessionAreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchTest(t, "one")
		time.Sleep(time.Hour)
		w.write("two", 0)
		w.want("one", 1, 0) // could still be written to
		time.Sleep(watchSettle)
		w.want("two", 2, 0)

		// Same size and time as before, as on a coarse file system.
		info, err := os.Stat(w.filename)
		if err != nil {
			t.Fatal(err)
		}
		w.write("six", 0)
		if err := os.Chtimes(w.filename, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(watchInterval)
		w.want("six", 3, 0)
		time.Sleep(watchInterval)
		w.want("six", 3, 0)
	})
}

func TestFileThatKeepsChangingIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchTest(t, "one")
		start := time.Now()
		for n := 0; w.Get() == "one"; n++ {
			w.write(strings.Repeat("x", n%7+4), 0)
			time.Sleep(20 * time.Millisecond)
		}
		if got := time.Since(start); got > time.Second {
			t.Errorf("got the edit after %v, want at most 1s", got)
		}
	})
}

func TestBadVersionKeepsValueAndIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchTest(t, "one")
		w.write("bad", time.Minute)
		time.Sleep(time.Second)
		w.want("one", 2, 1)
		for range 5 {
			time.Sleep(time.Second)
			w.want("one", w.parses+1, 1) // tried again, not reported
		}

		w.touch(10 * time.Second) // somebody saved it again
		time.Sleep(time.Second)
		w.want("one", w.parses+1, 2)

		w.write("bad too", time.Minute)
		time.Sleep(time.Second)
		w.want("one", w.parses+1, 3)

		w.write("two", time.Minute)
		time.Sleep(time.Second)
		w.want("two", w.parses+1, 3)
		time.Sleep(time.Second)
		w.want("two", w.parses, 3)

		w.write("bad too", time.Minute)
		time.Sleep(time.Second)
		w.want("two", w.parses+1, 4)
	})
}

func TestMissingFileKeepsValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchTest(t, "one")
		if err := os.Rename(w.filename, w.filename+"~"); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(time.Second)
			w.want("one", 1, 1)
		}
		if err := os.Rename(w.filename+"~", w.filename); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.want("one", 2, 1)

		// Replaced by another file of the same size and time.
		w.filename += ".new"
		w.write("two", time.Hour)
		info, err := os.Stat(w.Filename())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(w.filename, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(w.filename, w.Filename()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.want("two", 3, 1)
	})
}

func TestFaultOutsideTheFileIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		filename := filepath.Join(dir, "rules.ini")
		write := func(text string) {
			if err := os.WriteFile(filename, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			at := time.Now().Add(-time.Minute)
			if err := os.Chtimes(filename, at, at); err != nil {
				t.Fatal(err)
			}
		}
		parse := func(r io.Reader, filename string) (*Rules, error) {
			rules, err := ParseRules(r, filename, nil)
			if err != nil {
				return nil, err
			}
			return rules, rules.Validate(func(dir string) bool {
				info, err := os.Stat(dir)
				return err == nil && info.IsDir()
			})
		}
		var errs []error
		write("[.]\n")
		w, err := NewWatched(filename, parse, func(err error) { errs = append(errs, err) })
		if err != nil {
			t.Fatalf("got error %v, want none", err)
		}
		write("[.]\n[films]\nru=bob\n")
		time.Sleep(time.Second)
		if got := len(w.Get().Sections); got != 1 || len(errs) != 1 {
			t.Errorf("got %d sections and errors %v, want 1 and one", got, errs)
		}
		if err := os.Mkdir(filepath.Join(dir, "films"), 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := len(w.Get().Sections); got != 2 || len(errs) != 1 {
			t.Errorf("got %d sections and errors %v, want 2 and one", got, errs)
		}
	})
}

func TestNewWatchedErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := NewWatched(filepath.Join(dir, "users"), ParseUsers, nil); !os.IsNotExist(err) {
		t.Errorf("got error %v, want one for a missing file", err)
	}
	filename := filepath.Join(dir, "bad")
	if err := os.WriteFile(filename, []byte("bob"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewWatched(filename, ParseUsers, nil); err == nil || !strings.HasPrefix(err.Error(), filename+":1: ") {
		t.Errorf("got error %v, want one for line 1", err)
	}
}

func TestWatchedByManyGoroutines(t *testing.T) {
	filename := filepath.Join(t.TempDir(), "groups")
	write := func(text string) {
		if err := os.WriteFile(filename+"~", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filename+"~", filename); err != nil {
			t.Fatal(err)
		}
	}
	write("a: bob\n")
	var failed atomic.Int32
	w, err := NewWatched(filename, ParseGroups, func(error) { failed.Add(1) })
	if err != nil {
		t.Fatalf("got error %v, want none", err)
	}

	deadline := time.Now().Add(5 * time.Second)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for !w.Get().Has("b", "eve") {
				time.Sleep(100 * time.Microsecond) // the machine is shared
				if time.Now().After(deadline) {
					t.Error("got the old groups after 5s, want the new ones")
					return
				}
			}
		})
	}
	write("b: eve\n")
	wg.Wait()
	if n := failed.Load(); n != 0 {
		t.Errorf("got %d errors, want none", n)
	}
}

func BenchmarkWatchedGet(b *testing.B) {
	filename := filepath.Join(b.TempDir(), "groups")
	if err := os.WriteFile(filename, []byte("a: bob\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	w, err := NewWatched(filename, ParseGroups, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w.Get()
		}
	})
}
