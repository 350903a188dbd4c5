//go:build unix

package handler

import (
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
)

// TestWhatIsNoFileIsNotFound puts into the directory what could hang a request,
// or fail in ways of its own.
func TestWhatIsNoFileIsNotFound(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/": ""})
	if err := syscall.Mkfifo(filepath.Join(s.root, "www", "fifo"), 0o644); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	t.Chdir(filepath.Join(s.root, "www")) // the address of a socket is short
	l, err := net.Listen("unix", "socket")
	if err != nil {
		t.Skipf("no sockets here: %v", err)
	}
	defer l.Close()
	for _, path := range []string{"/fifo", "/socket"} {
		wantStatus(t, "GET "+path, s.get(path), http.StatusNotFound)
		wantStatus(t, "HEAD "+path, s.do(http.MethodHead, path, ""), http.StatusNotFound)
	}
	wantStatus(t, "PUT", s.do(http.MethodPut, "/fifo", "x"), http.StatusOK)
	wantReply(t, "GET of what replaced it", s.get("/fifo"), http.StatusOK, "x")
}
