//go:build unix

package sourcebus

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// newFIFO returns an input with a FIFO that is there already.
func newFIFO(t *testing.T) (*rig, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "radio.fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return newRig(t, &Pipe{Path: path}), path
}

// openWriter opens a FIFO for writing, which waits for the input to read it.
func openWriter(t *testing.T, path string) *os.File {
	t.Helper()
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func TestFIFOHasStreamForEachWriter(t *testing.T) {
	r, path := newFIFO(t)
	r.Start()
	for _, text := range []string{"one", strings.Repeat("two ", 100_000), "three"} {
		w := openWriter(t, path)
		write(t, w, text)
		w.Close()
		if got := r.whole(sinkbus.Completed); got != text {
			t.Errorf("got %d bytes, want %d", len(got), len(text))
		}
	}
	// it is open all the time, so these do not wait
	for range 3 {
		w, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatalf("opening without waiting: %v", err)
		}
		w.Close() // nothing was written: no stream
	}
	w := openWriter(t, path)
	write(t, w, "last")
	e := r.next(sinkbus.Opened)
	defer e.Reader.Close()
	r.stop()
	if got := string(r.drain(e.Reader)); got != "last" {
		t.Errorf("got %q, want what came before the stop", got)
	}
	if n := r.Opened(); n != 4 {
		t.Errorf("got %d streams, want 4", n)
	}
}

func TestFIFOGoesOnWhileOneWriterIsLeft(t *testing.T) {
	r, path := newFIFO(t)
	r.Start()
	one, two := openWriter(t, path), openWriter(t, path)
	write(t, one, "one\n")
	e := r.next(sinkbus.Opened)
	defer e.Reader.Close()
	one.Close()
	write(t, two, "two\n")
	for _, want := range []string{"one", "two"} {
		if got := r.line(e.Reader); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	two.Close()
	r.next(sinkbus.Completed)
}

func TestFIFOIsMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "radio.fifo")
	r := newRig(t, &Pipe{Path: path})
	r.Start()
	r.entries("reading fifo", 1)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Fatalf("got %v and error %v, want a fifo", info, err)
	}
	w := openWriter(t, path)
	write(t, w, "x")
	w.Close()
	r.whole(sinkbus.Completed)
}

func TestFIFOMustBeOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ path, want string }{
		{file, "is not a fifo"},
		{t.TempDir(), "is not a fifo"},
		{"/dev/null", "is not a fifo"},
		{filepath.Join(file, "radio.fifo"), "making fifo"},
	} {
		r := newRig(t, &Pipe{Path: test.path})
		r.Start()
		r.over()
		if got, _ := fieldsOf(r.entries("input ended", 1)[0])["error"].(string); !strings.Contains(got, test.want) {
			t.Errorf("%s: got error %q, want one with %q", test.path, got, test.want)
		}
	}
}

func TestFIFOStopsWhileNobodyWrites(t *testing.T) {
	r, path := newFIFO(t)
	r.Start()
	r.entries("reading fifo", 1)
	r.stop()

	// with a writer who says nothing
	r, path = newFIFO(t)
	r.Start()
	openWriter(t, path)
	r.stop()
	if n := r.Opened(); n != 0 {
		t.Errorf("got %d streams, want none", n)
	}
}

func TestFIFOIsHeld(t *testing.T) {
	r, path := newFIFO(t)
	r.Hold()
	r.Start()
	w := openWriter(t, path)
	write(t, w, "x")
	w.Close()
	if n := r.Opened(); n != 0 {
		t.Errorf("got %d streams, want none while the input is held", n)
	}
	r.Release()
	if got := r.whole(sinkbus.Completed); got != "x" {
		t.Errorf("got %q", got)
	}
}

func TestFIFOIsOpenedAnewWhenReplaced(t *testing.T) {
	r, path := newFIFO(t)
	r.Start()
	w := openWriter(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, w, "old")
	w.Close()
	if got := r.whole(sinkbus.Completed); got != "old" {
		t.Errorf("got %q", got)
	}
	w = openWriter(t, path)
	write(t, w, "new")
	w.Close()
	if got := r.whole(sinkbus.Completed); got != "new" {
		t.Errorf("got %q", got)
	}
}

func TestFIFOWriterFindsOutAboutAbort(t *testing.T) {
	r, path := newFIFO(t)
	r.Start()
	w := openWriter(t, path)
	write(t, w, "x")
	e := r.next(sinkbus.Opened)
	e.Reader.Close()
	e.Stream.Abort(nil)
	r.next(sinkbus.Broken)
	eventually(t, "writing fails", func() bool {
		_, err := io.WriteString(w, "y")
		return errors.Is(err, unix.EPIPE) || len(r.logs.FilterMessage("reading fifo").All()) > 1
	})
	r.stop()
}

// A system that does not tell when there is something in a FIFO is looked after.
func TestFIFOThatIsPolled(t *testing.T) {
	_, path := newFIFO(t)
	f, err := openFIFO(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	raw, err := f.file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// a descriptor that the runtime does not watch
	var plain *os.File
	err = raw.Control(func(fd uintptr) {
		dup, err := unix.Dup(int(fd))
		if err == nil {
			plain = os.NewFile(uintptr(dup), path)
		}
	})
	if err != nil || plain == nil {
		t.Fatalf("copying the descriptor: %v", err)
	}
	polled := &fifo{file: plain, ctx: t.Context(), stop: func() bool { return true }, polled: true}
	defer polled.close()

	for _, text := range []string{"one", "two"} {
		polled.begun = false
		got := make(chan string)
		go func() {
			content, err := io.ReadAll(polled)
			if err != nil {
				content = []byte(err.Error())
			}
			got <- string(content)
		}()
		w := openWriter(t, path)
		write(t, w, text)
		w.Close()
		if got := <-got; got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}
