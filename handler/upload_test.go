package handler

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestUnframedBodyThatIsExpectedIsRefused(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/a": "old"})
	r := s.do(http.MethodPut, "/a", "", "Expect: 100-continue")
	wantStatus(t, "HTTP/1", r, http.StatusLengthRequired)
	wantHeader(t, "HTTP/1", r.header, "Connection: close")
	wantStatus(t, "PATCH", s.do(http.MethodPatch, "/a", "", "Expect: 100-Continue", "Content-Range: bytes 0-0/*"), http.StatusLengthRequired)
	equal(t, "content", s.content("www/a"), "old")

	req := newRequest(http.MethodPut, "/a", "", "Expect: 100-continue")
	req.ProtoMajor = 2
	wantStatus(t, "HTTP/2", s.serve(req), http.StatusOK)
}

func TestRefusedUploadThatIsExpectedClosesTheConnection(t *testing.T) {
	maxs := int64(3)
	o := readWrite
	o.MaxUpload, o.Hide = &maxs, []string{"secret"}
	s := newSite(t, o, map[string]string{"www/dir/": ""})
	for _, tc := range []struct {
		path   string
		header string
		status int
	}{
		{"/a", "X-None: 1", 413},
		{"/secret", "X-None: 1", 403},
		{"/dir", "X-None: 1", 409},
		{"/a", "If-Match: *", 412},
	} {
		body := unread{t}
		req := chunked(http.MethodPut, tc.path, body, "Expect: 100-continue", tc.header)
		req.ContentLength = 4
		if tc.status != http.StatusRequestEntityTooLarge {
			req.ContentLength = 1
		}
		r := s.serve(req)
		wantStatus(t, tc.path, r, tc.status)
		wantHeader(t, tc.path, r.header, "Connection: close")
	}
}

// unread is a body that must not be read.
type unread struct{ t testing.TB }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("got the body read, want it let alone")
	return 0, io.EOF
}

// TestRefusedBodyIsDroppedForAWhile is about a client that sends on when it has
// been answered: if the connection were closed at once, it would never see why.
func TestRefusedBodyIsDroppedForAWhile(t *testing.T) {
	for _, tc := range []struct {
		name   string
		path   string
		proto  int
		length int64 // -1: chunked
		expect bool
		sent   bool // whether the client sends it at once
		status int
		drops  bool // whether the body is read after a second
		closes bool
	}{
		{"too large", "/a", 1, 10_000_000, false, false, 413, true, true},
		{"of no declared length", "/dir", 1, -1, false, false, 409, true, true},
		{"small", "/dir", 1, 1000, false, true, 409, false, false},
		{"small, but it does not come", "/dir", 1, 1000, false, false, 409, true, true},
		{"waited with", "/a", 1, 10_000_000, true, false, 413, false, true},
		{"waited with, of no declared length", "/dir", 1, -1, true, false, 409, false, true},
		{"HTTP/2", "/a", 2, 10_000_000, false, false, 413, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				maxs := int64(1000)
				o := readWrite
				o.MaxUpload = &maxs
				s := newSite(t, o, map[string]string{"www/dir/": ""})
				here, there := net.Pipe()
				defer here.Close()
				defer there.Close()
				r := chunked(http.MethodPut, tc.path, here)
				if r.ContentLength, r.ProtoMajor = tc.length, tc.proto; tc.length >= 0 {
					r.TransferEncoding, r.Body = nil, io.NopCloser(io.LimitReader(here, tc.length))
				}
				if tc.expect {
					r.Header.Set("Expect", "100-continue")
				}
				start := time.Now()
				x := s.startOn(r, here)
				if tc.sent {
					if _, err := there.Write(make([]byte, tc.length)); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Second)
				synctest.Wait()
				equal(t, "status after a second", x.rec.Code, tc.status)
				equal(t, "reads on", !x.ended(), tc.drops)
				closes := ""
				if tc.closes {
					closes = "close"
				}
				wantHeader(t, "answer", x.rec.Header(), "Connection: "+closes)
				if tc.drops {
					equal(t, "answer that is out", x.rec.flushed, x.rec.Body.Len())
				}
				for !x.ended() { // a client that never ends
					there.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
					_, _ = io.WriteString(there, "x") // fails when nobody reads any more
					time.Sleep(100 * time.Millisecond)
				}
				if d := time.Since(start); d > 10*time.Second {
					t.Errorf("got %v until the end, want a few seconds", d)
				}
				equal(t, "files", strings.Join(s.names("www"), " "), "dir")
				wantNoTemps(t, s)
			})
		})
	}
}

func TestMaxUpload(t *testing.T) {
	size := func(n int64) *int64 { return &n }
	for _, tc := range []struct {
		name   string
		maxs   *int64
		size   int64
		status int
	}{
		{"as large as allowed", size(1000), 1000, 201},
		{"too large", size(1000), 1001, 413},
		{"no limit", size(0), 300_000, 201},
		{"the default", nil, DefaultMaxUpload + 1, 413},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := readWrite
			o.MaxUpload = tc.maxs
			for _, declared := range []bool{true, false} {
				s := newSite(t, o, nil)
				zeros := io.LimitReader(zero{}, tc.size)
				r := chunked(http.MethodPut, "/d/a", zeros)
				what := "chunked"
				if declared {
					what = "declared"
					r.ContentLength, r.TransferEncoding = tc.size, nil
					if tc.status == http.StatusRequestEntityTooLarge {
						r.Body = io.NopCloser(unread{t})
					}
				}
				wantStatus(t, what, s.serve(r), tc.status)
				if tc.status == http.StatusRequestEntityTooLarge {
					equal(t, what+": files", strings.Join(s.names("www"), " "), "")
				}
				wantNoTemps(t, s)
			}
		})
	}
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestMaxUploadOfPatch(t *testing.T) {
	maxs := int64(3)
	o := readWrite
	o.MaxUpload = &maxs
	s := newSite(t, o, map[string]string{"www/a": "0123456789"})
	wantStatus(t, "declared", s.do(http.MethodPatch, "/a", "xxxx", "Content-Range: bytes 0-3/10"), http.StatusRequestEntityTooLarge)
	wantStatus(t, "chunked", s.serve(chunked(http.MethodPatch, "/a", strings.NewReader("xxxx"), "Content-Range: bytes 0-3/10")), http.StatusRequestEntityTooLarge)
	wantStatus(t, "as large as allowed", s.do(http.MethodPatch, "/a", "xxx", "Content-Range: bytes 0-2/10"), http.StatusOK)
	equal(t, "content", s.content("www/a"), "xxx3456789")
}

func TestBrokenUploadChangesNothing(t *testing.T) {
	for _, tc := range []struct {
		name   string
		length int64 // -1: not declared
		err    error
		status int
	}{
		{"shorter than declared", 10, io.ErrUnexpectedEOF, 400},
		{"shorter than declared, without an error", 10, nil, 400},
		{"chunked, cut off", -1, io.ErrUnexpectedEOF, 400},
		{"connection reset", -1, net.ErrClosed, 400},
		{"stalled", -1, os.ErrDeadlineExceeded, 408},
		{"limit of Caddy", -1, caddyhttp.Error(http.StatusRequestEntityTooLarge, errors.New("too large")), 413},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, method := range []string{http.MethodPut, http.MethodPatch} {
				s := newSite(t, readWrite, map[string]string{"www/a": "old one"})
				for _, path := range []string{"/a", "/new/a"} {
					r := chunked(method, path, io.MultiReader(strings.NewReader("half"), errReader{tc.err}))
					r.ContentLength = tc.length
					if method == http.MethodPatch {
						r.Header.Set("Content-Range", "bytes 0-9/*")
					}
					got := s.serve(r)
					wantStatus(t, method+" "+path, got, tc.status)
					if tc.status == http.StatusRequestTimeout {
						wantHeader(t, method+" "+path, got.header, "Connection: close")
					}
				}
				equal(t, method+": files", strings.Join(s.names("www"), " "), "a")
				equal(t, method+": content", s.content("www/a"), "old one")
				wantNoTemps(t, s)
				equal(t, method+": errors in the log", s.logs.FilterLevelExact(zap.ErrorLevel).Len(), 0)
			}
		})
	}
}

// errReader ends with err, or well if that is nil.
type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) {
	if e.err == nil {
		return 0, io.EOF
	}
	return 0, e.err
}

func TestStalledUploadIsEnded(t *testing.T) {
	seconds := func(n int) *caddy.Duration { d := caddy.Duration(time.Duration(n) * time.Second); return &d }
	for _, tc := range []struct {
		name    string
		timeout *caddy.Duration
		caddy   bool // whether Caddy has an idle timeout, of a minute
		pause   time.Duration
		status  int
	}{
		{"within the default", nil, false, 29 * time.Second, 201},
		{"longer than the default", nil, false, 31 * time.Second, 408},
		{"within ours", seconds(7), false, 6 * time.Second, 201},
		{"longer than ours", seconds(7), false, 8 * time.Second, 408},
		{"for ever", seconds(0), false, 24 * time.Hour, 201},
		{"ours is longer than Caddy's", seconds(100), true, 99 * time.Second, 201},
		{"ours is shorter than Caddy's", seconds(7), true, 8 * time.Second, 408},
		{"for ever instead of Caddy's", seconds(0), true, 24 * time.Hour, 201},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := readWrite
				o.Timeout = tc.timeout
				s := newSite(t, o, map[string]string{"www/": ""})
				here, there := net.Pipe()
				defer there.Close()
				r := chunked(http.MethodPut, "/a", here)
				if tc.caddy {
					r = r.WithContext(caddyhttp.ContextWithIdleTimeouts(r.Context(), &caddyhttp.IdleTimeoutReader{
						ReadCloser: r.Body,
						Ctrl:       http.NewResponseController(&recorder{conn: here}),
						Deadline:   caddyhttp.IdleDeadline{Timeout: time.Minute},
						Logger:     nopLogger,
					}, nil))
					reader, _ := caddyhttp.IdleTimeoutsFromContext(r.Context())
					r.Body = reader
				}
				x := s.startOn(r, here)
				for range 3 { // each pause counts for itself
					if x.ended() {
						break
					}
					if _, err := io.WriteString(there, "x"); err != nil {
						t.Fatal(err)
					}
					time.Sleep(tc.pause)
				}
				there.Close()
				got := x.wait()
				wantStatus(t, "PUT", got, tc.status)
				if tc.status == http.StatusRequestTimeout {
					wantHeader(t, "PUT", got.header, "Connection: close")
					equal(t, "files", strings.Join(s.names("www"), " "), "")
				} else {
					equal(t, "content", s.content("www/a"), "xxx")
				}
			})
		})
	}
}
