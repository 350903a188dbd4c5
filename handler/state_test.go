package handler

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

func TestDrainInterruptsUploadsAndAbortsTheirReaders(t *testing.T) {
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, readWrite, map[string]string{"www/a": "old"})
				here, there := net.Pipe()
				defer there.Close()
				r := chunked(method, "/a", here)
				if method == http.MethodPatch {
					r.Header.Set("Content-Range", "bytes 0-9/*")
				}
				x := s.startOn(r, here)
				if _, err := io.WriteString(there, "half"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				reader := s.start(newRequest(http.MethodGet, "/a", ""))
				synctest.Wait()
				equal(t, "reader follows the upload", !reader.ended(), method == http.MethodPut)

				start := time.Now()
				s.state.Drain()
				s.state.Drain() // it may be called again
				synctest.Wait()
				equal(t, "reader aborted", reader.wait().aborted, method == http.MethodPut)
				equal(t, "time until the reader was", time.Since(start), 0)
				equal(t, "status of the upload", x.rec.Code, http.StatusServiceUnavailable)
				wantStatus(t, "upload", x.wait(), http.StatusServiceUnavailable)
				if d := time.Since(start); d > 5*time.Second { // its body may be dropped for a while
					t.Errorf("got %v until the upload's end, want a few seconds", d)
				}
				equal(t, "content", s.content("www/a"), "old")
				equal(t, "files", strings.Join(s.names("www"), " "), "a")
				wantNoTemps(t, s)
			})
		})
	}
}

func TestDrainDuringTheLastBytesStoresNothing(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/a": "old"})
	body := io.MultiReader(strings.NewReader("new"), meanwhile(s.state.Drain))
	wantStatus(t, "PUT", s.serve(chunked(http.MethodPut, "/a", body)), http.StatusServiceUnavailable)
	equal(t, "content", s.content("www/a"), "old")
	wantNoTemps(t, s)
}

func TestNoUploadBeginsAfterDrain(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/a": "old"})
	if err := s.state.Destruct(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/a", "/new/b"} {
		wantStatus(t, "PUT "+path, s.serve(chunked(http.MethodPut, path, unread{t})), http.StatusServiceUnavailable)
	}
	wantStatus(t, "PATCH", s.serve(chunked(http.MethodPatch, "/a", unread{t}, "Range: bytes=0-1")), http.StatusServiceUnavailable)
	wantReply(t, "GET", s.get("/a"), http.StatusOK, "old")
	equal(t, "files", strings.Join(s.names("www"), " "), "a")
	wantNoTemps(t, s)
}

func TestRequestKeepsItsServerAfterTheConfigurationIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root, state := t.TempDir(), NewState()
		writeFiles(t, root, map[string]string{"www/a": "old"})
		srv, err := newSiteIn(t, root, readWrite, "key", state)
		if err != nil {
			t.Fatal(err)
		}
		body, client := newPipe()
		put := srv.start(chunked(http.MethodPut, "/d/b", body))
		client.send(t, "one ")
		reader := srv.start(newRequest(http.MethodGet, "/d/b", ""))
		reader.has(t, "before", "one ")
		srv.Close()

		next, err := newSiteIn(t, root, readWrite, "key", state)
		if err != nil {
			t.Fatal(err)
		}
		later := next.start(newRequest(http.MethodGet, "/d/b", ""))
		later.has(t, "by the next configuration", "one ")
		client.send(t, "two")
		client.Close()
		wantStatus(t, "upload", put.wait(), http.StatusCreated)
		wantReply(t, "reader", reader.wait(), http.StatusOK, "one two")
		wantReply(t, "reader of the next", later.wait(), http.StatusOK, "one two")
		equal(t, "folders that are open", srv.openFolders(), 0)

		// a connection of HTTP/2 may still bring one
		wantReply(t, "late request", srv.get("/a"), http.StatusOK, "old")
		equal(t, "folders that are open afterwards", srv.openFolders(), 0)
		srv.use() // the test's own end closes it again
	})
}

// TestLateRequestsFindTheFoldersOpen has many requests come and go when the
// configuration is gone: the folders are closed between them.
func TestLateRequestsFindTheFoldersOpen(t *testing.T) {
	s := newSite(t, readOnly, map[string]string{"www/a": "a"})
	s.Close()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				wantReply(t, "GET", s.get("/a"), http.StatusOK, "a")
			}
		})
	}
	wg.Wait()
	equal(t, "folders that are open", s.openFolders(), 0)
	s.use() // the test's own end closes it again
}

// openFolders returns how many folders a server holds open.
func (s *site) openFolders() int {
	s.folders.mu.Lock()
	defer s.folders.mu.Unlock()
	return len(s.folders.open)
}

// openFiles returns how many files the process has open, -1 where the system
// does not tell.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(entries)
}

func TestRequestsLeaveNoGoroutinesAndNoFilesOpen(t *testing.T) {
	maxs := int64(20)
	o := readWrite
	o.DirList, o.MaxUpload = true, &maxs
	s := newSite(t, o, map[string]string{"www/a.txt": strings.Repeat("text ", 1000), "www/d/x": "x"})
	s.upload("live.mp4", "", "0123456789")
	round := func(i int) {
		s.get("/a.txt")
		s.get("/a.txt", "Accept-Encoding: zstd")
		s.get("/a.txt", "Range: bytes=0-1,5-9")
		s.get("/", "Accept: application/json")
		s.get("/missing")
		s.get("/live.mp4", "Range: bytes=2-")
		s.do(http.MethodHead, "/live.mp4", "")
		s.do(http.MethodPut, fmt.Sprintf("/new/%d", i), "0123456789")
		s.do(http.MethodPatch, fmt.Sprintf("/new/%d", i), "x", "Content-Range: bytes 10-10/11")
		s.do(http.MethodDelete, fmt.Sprintf("/new/%d", i), "")
		s.do(http.MethodPut, "/too-large", strings.Repeat("x", 30))
		s.serve(chunked(http.MethodPut, "/broken", errReader{io.ErrUnexpectedEOF}))
		s.serve(newRequest(http.MethodGet, "/a.txt", "").WithContext(s.connect(t)))
	}
	for i := range 5 {
		round(i) // what is kept, such as encoders, exists afterwards
	}
	before, files := runtime.NumGoroutine(), openFiles()
	for i := range 100 {
		if round(i); t.Failed() {
			return
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		buf := make([]byte, 1<<20)
		t.Errorf("got %d goroutines, want %d as before:\n%s", after, before, buf[:runtime.Stack(buf, true)])
	}
	equal(t, "open files", openFiles(), files)
	wantFiles(t, s, "www", "a.txt d d/x")
	equal(t, "errors in the log", s.logs.FilterLevelExact(zap.ErrorLevel).Len(), 0)
}

// wantFiles checks what there is in a folder, but for uploads in progress.
func wantFiles(t testing.TB, s *site, folder, want string) {
	t.Helper()
	var got []string
	for _, name := range s.names(folder) {
		if !strings.Contains(name, ".httpout-") {
			got = append(got, name)
		}
	}
	equal(t, "files", strings.Join(got, " "), want)
}
