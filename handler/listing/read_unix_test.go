//go:build unix && !aix

package listing

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestReadOmitsWhatIsNoFile(t *testing.T) {
	dir, root := tree(t, "file", "sub/", "bad\xffname")
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("pipe", filepath.Join(dir, "link-to-pipe")); err != nil {
		t.Fatal(err)
	}
	entries, err := Read(root, ".", nil)
	if err != nil {
		t.Fatal(err)
	}
	Sort(entries, Order{})
	if got, want := namesOf(entries), "sub/ bad\xffname file"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadOfAPipeDoesNotWait(t *testing.T) {
	dir, root := tree(t)
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Read(root, "pipe", nil)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("got no error, want one")
		}
	case <-time.After(10 * time.Second):
		t.Error("got no answer, want an error at once")
	}
}
