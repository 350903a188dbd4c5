package handler

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestPut(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		status     int
		file       string // below www, "" if nothing is stored
		location   string
	}{
		{"new file", "/new", 201, "new", "/new"},
		{"new folders", "/a/b/c/new", 201, "a/b/c/new", "/a/b/c/new"},
		{"replacement", "/old", 200, "old", "/old"},
		{"in a folder that is there", "/dir/new", 201, "dir/new", "/dir/new"},
		{"odd name", "/%C3%A4%20%25%3F%23.txt", 201, "ä %?#.txt", "/%C3%A4%20%25%3F%23.txt"},
		{"dots", "/dir/../new", 201, "new", "/dir/../new"},
		{"dot file", "/.well-known/x", 201, ".well-known/x", "/.well-known/x"},
		{"query", "/new?a=b", 201, "new", "/new"},
		{"slash at the end", "/new/", 409, "", ""},
		{"dot at the end", "/new/.", 409, "", ""},
		{"folder", "/dir", 409, "", ""},
		{"folder with its slash", "/dir/", 409, "", ""},
		{"root", "/", 409, "", ""},
		{"root by dots", "/dir/..", 409, "", ""},
		{"through a file", "/old/new", 409, "", ""},
		{"further through a file", "/old/a/b/new", 409, "", ""},
		{"over-long name", "/" + strings.Repeat("a", 300), 400, "", ""},
		{"over-long folder", "/" + strings.Repeat("a", 300) + "/new", 400, "", ""},
		{"over-long path", "/" + strings.Repeat("a/", maxPath/2) + "new", 400, "", ""},
	} {
		for _, method := range []string{http.MethodPut, http.MethodPost} {
			t.Run(method+" "+tc.name, func(t *testing.T) {
				s := newSite(t, readWrite, map[string]string{"www/old": "old", "www/dir/x": "x"})
				before := strings.Join(s.names(""), " ")
				r := s.do(method, tc.path, "content")
				wantStatus(t, "answer", r, tc.status)
				if tc.file == "" {
					equal(t, "files", strings.Join(s.names(""), " "), before)
					equal(t, "old file", s.content("www/old"), "old")
					return
				}
				equal(t, "body", r.body, "")
				equal(t, "content", s.content("www/"+tc.file), "content")
				wantHeader(t, "answer", r.header, "Content-Length: 0", "Content-Location: "+tc.location,
					"ETag: "+s.get(tc.path).header.Get("ETag"))
				wantNoTemps(t, s)

				again := s.do(method, tc.path, "more")
				wantReply(t, "once more", again, http.StatusOK, "")
				wantReply(t, "GET", s.get(tc.path), http.StatusOK, "more")
			})
		}
	}
}

// wantNoTemps checks that nothing of an upload is left.
func wantNoTemps(t testing.TB, s *site) {
	t.Helper()
	for _, name := range s.names("") {
		if strings.Contains(name, ".httpout-") {
			t.Errorf("got %s left, want no temporary file", name)
		}
	}
	equal(t, "uploads in progress", s.state.files.Uploads.Len(), 0)
	equal(t, "bodies being read", len(s.state.bodies), 0)
}

func TestPutOfOddBodies(t *testing.T) {
	for _, tc := range []struct {
		name    string
		request *http.Request
		status  int
		want    string
	}{
		{"empty", newRequest("PUT", "/a", "", "Content-Length: 0"), 201, ""},
		{"empty, chunked", chunked("PUT", "/a", strings.NewReader("")), 201, ""},
		{"empty, expected", newRequest("PUT", "/a", "", "Content-Length: 0", "Expect: 100-continue"), 201, ""},
		{"chunked, expected", chunked("PUT", "/a", strings.NewReader("x"), "Expect: 100-continue"), 201, "x"},
		{"chunked in capitals", chunked("PUT", "/a", strings.NewReader("x"), "Transfer-Encoding: Chunked"), 201, "x"},
		{"no type", newRequest("PUT", "/a", "x", "Content-Type: *"), 201, "x"},
		{"wants an upgrade", newRequest("PUT", "/a", "x", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"), 201, "x"},
		{"large", newRequest("PUT", "/a", strings.Repeat("0123456789", 200_000)), 201, strings.Repeat("0123456789", 200_000)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, readWrite, nil)
			wantStatus(t, "PUT", s.serve(tc.request), tc.status)
			wantReply(t, "GET", s.get("/a"), http.StatusOK, tc.want)
			equal(t, "stored", s.content("www/a") == tc.want, true)
		})
	}
}

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
		status int
		drops  bool // whether more of the body is read
		closes bool
	}{
		{"too large", "/a", 1, 10_000_000, false, 413, true, true},
		{"of no declared length", "/dir", 1, -1, false, 409, true, true},
		{"small, but not there", "/dir", 1, 1000, false, 409, true, true},
		{"not yet sent", "/a", 1, 10_000_000, true, 413, false, true},
		{"not yet sent, of no declared length", "/dir", 1, -1, true, 409, false, true},
		{"HTTP/2", "/a", 2, 10_000_000, false, 413, false, false},
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
					r.TransferEncoding = nil
				}
				if tc.expect {
					r.Header.Set("Expect", "100-continue")
				}
				start := time.Now()
				x := s.startOn(r, here)
				time.Sleep(2 * smallWait)
				synctest.Wait()
				equal(t, "status, before anything was sent", x.rec.Code, tc.status)
				equal(t, "reads on", !x.ended(), tc.drops)
				closes := ""
				if tc.closes {
					closes = "close"
				}
				wantHeader(t, "answer", x.rec.Header(), "Connection: "+closes)
				if tc.drops {
					equal(t, "answer that is out", x.rec.flushed, x.rec.Body.Len())
					for !x.ended() { // one that never ends
						_, _ = io.WriteString(there, "x") // fails when nobody reads any more
						there.SetWriteDeadline(time.Now().Add(time.Second))
						time.Sleep(100 * time.Millisecond)
					}
				}
				x.wait()
				if d := time.Since(start); d > 10*time.Second {
					t.Errorf("got %v until the end, want a few seconds", d)
				}
				equal(t, "files", strings.Join(s.names("www"), " "), "dir")
				wantNoTemps(t, s)
			})
		})
	}
}

func TestPutLocationIsThatOfTheRequest(t *testing.T) {
	s := newSite(t, readWrite, nil)
	s.rewrite = stripPrefix("/files")
	r := s.do(http.MethodPut, "/files/d/a%20b", "x")
	wantStatus(t, "PUT", r, http.StatusCreated)
	wantHeader(t, "PUT", r.header, "Content-Location: /files/d/a%20b")
	equal(t, "content", s.content("www/d/a b"), "x")
}

func TestPutHasTheTagOfTheFollowingGet(t *testing.T) {
	for _, tc := range []struct {
		name, cacheControl string
		want               bool
	}{{"default", "", true}, {"configured", "max-age=1", true}, {"none", "none", false}} {
		t.Run(tc.name, func(t *testing.T) {
			o := readWrite
			o.CacheControl = tc.cacheControl
			s := newSite(t, o, nil)
			for _, step := range []struct{ method, body, header string }{
				{"PUT", "one", ""}, {"PUT", "two", ""}, {"PATCH", "X", "Content-Range: bytes 0-0/3"}, {"PATCH", "more", "Content-Range: bytes 3-6/7"},
			} {
				tag := s.do(step.method, "/a", step.body, step.header).header.Get("ETag")
				equal(t, step.method+": has a tag", tag != "", tc.want)
				equal(t, step.method+": tag", s.get("/a").header.Get("ETag"), tag)
			}
			equal(t, "content", s.content("www/a"), "Xwomore")
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

func TestPreconditionsOfWrites(t *testing.T) {
	const long, ago = "Fri, 01 Jan 2100 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:01 GMT"
	for _, tc := range []struct {
		name, header string
		exists       bool
		holds        bool
	}{
		{"If-None-Match: * and nothing there", "If-None-Match: *", false, true},
		{"If-None-Match: * and something there", "If-None-Match: *", true, false},
		{"If-None-Match of its tag", "If-None-Match: $ETAG", true, false},
		{"If-None-Match of another tag", `If-None-Match: "x"`, true, true},
		{"If-Match: * and nothing there", "If-Match: *", false, false},
		{"If-Match: * and something there", "If-Match: *", true, true},
		{"If-Match of its tag", "If-Match: $ETAG", true, true},
		{"If-Match of its compressed tag", "If-Match: $GZIP", true, true},
		{"If-Match of another tag", `If-Match: "x"`, true, false},
		{"If-Match and nothing there", `If-Match: "x"`, false, false},
		{"If-Unmodified-Since later", "If-Unmodified-Since: " + long, true, true},
		{"If-Unmodified-Since before", "If-Unmodified-Since: " + ago, true, false},
		{"If-Unmodified-Since and nothing there", "If-Unmodified-Since: " + ago, false, true},
		{"If-Modified-Since means nothing", "If-Modified-Since: " + long, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete} {
				old := strings.Repeat("old ", 100)
				s := newSite(t, readWrite, map[string]string{"www/": ""})
				if tc.exists {
					writeFiles(t, s.root, map[string]string{"www/a.txt": old})
				}
				tags := strings.NewReplacer(
					"$ETAG", s.get("/a.txt").header.Get("ETag"),
					"$GZIP", s.get("/a.txt", "Accept-Encoding: gzip").header.Get("ETag"))
				header := []string{tags.Replace(tc.header)}
				body := "new"
				status, want := http.StatusOK, "new"
				switch method {
				case http.MethodPatch:
					header = append(header, "Content-Range: bytes 0-2/*")
					if tc.exists {
						want = "new" + old[3:]
					}
				case http.MethodDelete:
					body, want = "", ""
					if !tc.exists {
						status = http.StatusNoContent
					}
				}
				if !tc.exists && method != http.MethodDelete {
					status = http.StatusCreated
				}
				if !tc.holds {
					status, want = http.StatusPreconditionFailed, ""
					if tc.exists {
						want = old
					}
				}
				wantStatus(t, method, s.do(method, "/a.txt", body, header...), status)
				equal(t, method+": content", s.content("www/a.txt"), want)
				wantNoTemps(t, s)
			}
		})
	}
}

func TestPreconditionsAreCheckedBeforeTheBodyIsRead(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/a": "old"})
	wantStatus(t, "PUT", s.serve(chunked(http.MethodPut, "/a", unread{t}, "If-None-Match: *")), http.StatusPreconditionFailed)
	wantStatus(t, "PATCH", s.serve(chunked(http.MethodPatch, "/a", unread{t}, "If-Match: \"x\"", "Content-Range: bytes 0-0/*")), http.StatusPreconditionFailed)
}

// TestPreconditionsAreCheckedAgainAtTheEnd has the file change while the body
// arrives.
func TestPreconditionsAreCheckedAgainAtTheEnd(t *testing.T) {
	for _, tc := range []struct {
		name, method, header string
		before, meanwhile    string // "" for no file
	}{
		{"it appears", http.MethodPut, "If-None-Match: *", "", "other"},
		{"it changes", http.MethodPut, "If-Match: $ETAG", "old", "other"},
		{"it goes", http.MethodPut, "If-Match: $ETAG", "old", ""},
		{"it changes under a patch", http.MethodPatch, "If-Match: $ETAG", "old", "other"},
		{"it appears under a patch", http.MethodPatch, "If-None-Match: *", "", "other"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, readWrite, nil)
			if tc.before != "" {
				s.do(http.MethodPut, "/a", tc.before)
			}
			header := []string{strings.ReplaceAll(tc.header, "$ETAG", s.get("/a").header.Get("ETag"))}
			if tc.method == http.MethodPatch {
				header = append(header, "Content-Range: bytes 0-2/*")
			}
			body := io.MultiReader(strings.NewReader("new"), meanwhile(func() {
				if tc.meanwhile == "" {
					s.do(http.MethodDelete, "/a", "")
				} else {
					s.do(http.MethodPut, "/a", tc.meanwhile)
				}
			}))
			wantStatus(t, tc.method, s.serve(chunked(tc.method, "/a", body, header...)), http.StatusPreconditionFailed)
			equal(t, "content", s.content("www/a"), tc.meanwhile)
			wantNoTemps(t, s)
		})
	}
}

// meanwhile is a reader that does something before its end.
type meanwhile func()

func (f meanwhile) Read([]byte) (int, error) { f(); return 0, io.EOF }

// TestPreconditionsOfLinkAreThoseOfGet is about a file that is reached by a
// link: its validator is what GET says, not that of the link itself.
func TestPreconditionsOfLinkAreThoseOfGet(t *testing.T) {
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
		s := newSite(t, readWrite, map[string]string{"www/target": "0123456789"})
		s.link("target", "www/link")
		tag := s.get("/link").header.Get("ETag")
		header := []string{"If-Match: " + tag}
		if method == http.MethodPatch {
			header = append(header, "Content-Range: bytes 0-0/10")
		}
		wantStatus(t, method, s.do(method, "/link", "x", header...), http.StatusOK)
	}
}

func TestFolderThatAppearsMeanwhileIsKept(t *testing.T) {
	s := newSite(t, readWrite, nil)
	body := io.MultiReader(strings.NewReader("x"), meanwhile(func() { s.do(http.MethodPut, "/a/b", "b") }))
	wantStatus(t, "PUT", s.serve(chunked(http.MethodPut, "/a", body)), http.StatusConflict)
	equal(t, "content", s.content("www/a/b"), "b")
	wantNoTemps(t, s)
}

func TestDelete(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		status     int
		left       string
	}{
		{"file", "/a", 200, "d d/x"},
		{"file in a folder", "/d/x", 200, "a d"},
		{"nothing", "/missing", 204, "a d d/x"},
		{"nothing in no folder", "/no/missing", 204, "a d d/x"},
		{"through a file", "/a/b", 204, "a d d/x"},
		{"folder", "/d", 409, "a d d/x"},
		{"folder with its slash", "/d/", 409, "a d d/x"},
		{"root", "/", 409, "a d d/x"},
		{"a file with a slash", "/a/", 204, "a d d/x"}, // names a folder, which there is not
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, readWrite, map[string]string{"www/a": "a", "www/d/x": "x"})
			r := s.do(http.MethodDelete, tc.path, "")
			wantStatus(t, "DELETE", r, tc.status)
			equal(t, "files left", strings.Join(s.names("www"), " "), tc.left)
			switch tc.status {
			case http.StatusOK:
				wantHeader(t, "DELETE", r.header, "Content-Length: 0")
				wantStatus(t, "GET", s.get(tc.path), http.StatusNotFound)
				wantStatus(t, "once more", s.do(http.MethodDelete, tc.path, ""), http.StatusNoContent)
			case http.StatusNoContent:
				wantHeader(t, "DELETE", r.header, "Content-Length:")
			}
		})
	}
}

func TestFolderThatUploadsMadeGoesWithItsLastFile(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/kept/": ""})
	for _, path := range []string{"/made/deep/a", "/made/deep/b", "/kept/a"} {
		wantStatus(t, "PUT "+path, s.do(http.MethodPut, path, "x"), http.StatusCreated)
	}
	for _, tc := range []struct{ path, left string }{
		{"/made/deep/a", "kept kept/a made made/deep made/deep/b"},
		{"/made/deep/b", "kept kept/a"},
		{"/kept/a", "kept"},
	} {
		wantStatus(t, "DELETE "+tc.path, s.do(http.MethodDelete, tc.path, ""), http.StatusOK)
		equal(t, "after "+tc.path, strings.Join(s.names("www"), " "), tc.left)
	}
}

func TestDeleteLeavesUploadInProgressAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, readWrite, map[string]string{"www/a": "old"})
		u := s.upload("a", "", "new")
		x := s.start(newRequest(http.MethodGet, "/a", ""))
		x.has(t, "GET", "new")
		wantStatus(t, "DELETE", s.do(http.MethodDelete, "/a", ""), http.StatusOK)
		equal(t, "content", s.content("www/a"), "")
		x.has(t, "GET after that", "new")
		commit(t, u)
		wantReply(t, "GET", x.wait(), http.StatusOK, "new")
		equal(t, "content in the end", s.content("www/a"), "new")
	})
}

func TestReplacementKeepsTheFilesRights(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such rights")
	}
	s := newSite(t, readWrite, map[string]string{"www/a": "old"})
	name := filepath.Join(s.root, "www", "a")
	if err := os.Chmod(name, 0o600); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "PUT", s.do(http.MethodPut, "/a", "new"), http.StatusOK)
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "rights", info.Mode().Perm(), 0o600)
}

func TestUploadIsFlushedWhenConfigured(t *testing.T) {
	o := readWrite
	o.Fsync = true
	s := newSite(t, o, nil)
	wantStatus(t, "PUT", s.do(http.MethodPut, "/d/a", "one"), http.StatusCreated)
	wantStatus(t, "PATCH", s.do(http.MethodPatch, "/d/a", "two", "Content-Range: bytes 3-5/6"), http.StatusOK)
	equal(t, "content", s.content("www/d/a"), "onetwo")
}

func TestWriteSideOfNamedDirectory(t *testing.T) {
	s := newSite(t, Options{ReadDirs: []string{"rules.ini"}, WriteDir: "in"}, map[string]string{
		"rules.ini": "[base]\n[films]\nname=movies\nwu=$ALL\n", "base/": "", "films/": "",
	})
	wantStatus(t, "below the name", s.do(http.MethodPut, "/movies/a", "x"), http.StatusCreated)
	equal(t, "in its directory", s.content("films/a"), "x")
	wantReply(t, "GET", s.get("/movies/a"), http.StatusOK, "x")
	wantStatus(t, "the name itself", s.do(http.MethodPut, "/movies", "x"), http.StatusConflict)
	wantStatus(t, "elsewhere", s.do(http.MethodPut, "/b", "x"), http.StatusCreated)
	equal(t, "in wdir", s.content("in/b"), "x")
	wantStatus(t, "what wdir has is not read", s.get("/b"), http.StatusNotFound)
}
