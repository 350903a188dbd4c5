package handler

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestRanges(t *testing.T) {
	const content = "0123456789"
	for _, tc := range []struct {
		name, header string
		status       int
		body         string
		contentRange string
	}{
		{"one", "bytes=2-4", 206, "234", "bytes 2-4/10"},
		{"one byte", "bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"to the end", "bytes=7-", 206, "789", "bytes 7-9/10"},
		{"all of it", "bytes=0-", 206, content, "bytes 0-9/10"},
		{"past the end", "bytes=8-99", 206, "89", "bytes 8-9/10"},
		{"far past the end", "bytes=8-99999999999999999999", 206, "89", "bytes 8-9/10"},
		{"suffix", "bytes=-3", 206, "789", "bytes 7-9/10"},
		{"suffix longer than the file", "bytes=-99", 206, content, "bytes 0-9/10"},
		{"several", "bytes=0-1,5-6", 206, "0156", "bytes 0-1/10, 5-6/10"},
		{"several, as the reference", "bytes=0-1,bytes=5-6", 206, "0156", "bytes 0-1/10, 5-6/10"},
		{"order is kept", "bytes=5-6,0-1", 206, "5601", "bytes 5-6/10, 0-1/10"},
		{"overlaps are kept", "bytes=0-4,2-6", 206, "0123423456", "bytes 0-4/10, 2-6/10"},
		{"repeated", "bytes=3-3,3-3", 206, "33", "bytes 3-3/10, 3-3/10"},
		{"mixed", "bytes=-1,0-0,8-", 206, "9089", "bytes 9-9/10, 0-0/10, 8-9/10"},
		{"some are not there", "bytes=0-0,99-,5-5", 206, "05", "bytes 0-0/10, 5-5/10"},
		{"one is left", "bytes=99-,5-5", 206, "5", "bytes 5-5/10"},
		{"spaces", "bytes= 1-2 , 4-5", 206, "1245", "bytes 1-2/10, 4-5/10"},
		{"unit in capitals", "BYTES=1-2", 206, "12", "bytes 1-2/10"},
		{"unknown unit", "items=1-2", 200, content, ""},
		{"as many as can be", "bytes=" + strings.Repeat("0-0,", 63) + "1-1", 206, strings.Repeat("0", 63) + "1",
			"bytes " + strings.Repeat("0-0/10, ", 63) + "1-1/10"},
		{"too many", "bytes=" + strings.Repeat("0-0,", 64) + "1-1", 416, "", "bytes */10"},
		{"after the end", "bytes=10-", 416, "", "bytes */10"},
		{"all after the end", "bytes=10-,20-30", 416, "", "bytes */10"},
		{"suffix of nothing", "bytes=-0", 416, "", "bytes */10"},
		{"end before the start", "bytes=5-2", 416, "", "bytes */10"},
		{"no numbers", "bytes=a-b", 416, "", "bytes */10"},
		{"nothing", "bytes=", 416, "", "bytes */10"},
		{"one is malformed", "bytes=0-1,x", 416, "", "bytes */10"},
		{"negative", "bytes=--1", 416, "", "bytes */10"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, readOnly, map[string]string{"www/a.mp4": content})
			r := s.get("/a.mp4", "Range: "+tc.header)
			wantStatus(t, "GET", r, tc.status)
			wantHeader(t, "GET", r.header, "Content-Range: "+tc.contentRange, "Content-Length: "+itoa(len(r.body)))
			if tc.status == http.StatusRequestedRangeNotSatisfiable {
				if r.body == "" {
					t.Error("got no reason, want one")
				}
				return
			}
			equal(t, "body", r.body, tc.body)
			wantHeader(t, "GET", r.header, "Content-Type: video/mp4", "Accept-Ranges: bytes")
		})
	}
}

func TestRangesOfSeveralLines(t *testing.T) {
	s := newSite(t, readOnly, map[string]string{"www/a": "0123456789"})
	wantReply(t, "GET", s.get("/a", "Range: bytes=0-1", "Range: bytes=5-6"), http.StatusPartialContent, "0156")
}

func TestRangesOfEmptyFile(t *testing.T) {
	s := newSite(t, readOnly, map[string]string{"www/a": ""})
	for _, header := range []string{"bytes=0-", "bytes=0-0", "bytes=-1"} {
		r := s.get("/a", "Range: "+header)
		wantStatus(t, header, r, http.StatusRequestedRangeNotSatisfiable)
		wantHeader(t, header, r.header, "Content-Range: bytes */0")
	}
}

func TestNoRange(t *testing.T) {
	o := readOnly
	o.NoRange = true
	s := newSite(t, o, map[string]string{"www/a": "0123456789"})
	for _, header := range []string{"bytes=0-1", "bytes=0-1,3-4", "bytes=99-", "bytes=b-a"} {
		r := s.get("/a", "Range: "+header)
		wantReply(t, header, r, http.StatusOK, "0123456789")
		wantHeader(t, header, r.header, "Accept-Ranges: none", "Content-Range:")
	}
}

func TestIfRange(t *testing.T) {
	s := newSite(t, readOnly, map[string]string{"www/a": "0123456789"})
	old := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(s.root, "www", "a"), old, old); err != nil {
		t.Fatal(err)
	}
	full := s.get("/a")
	tag, modified := full.header.Get("ETag"), full.header.Get("Last-Modified")
	for _, tc := range []struct {
		name, value string
		status      int
	}{
		{"its tag", tag, 206},
		{"its tag, weak", "W/" + tag, 200},
		{"another tag", `"x"`, 200},
		{"its time", modified, 206},
		{"a later time", "Fri, 01 Jan 2100 00:00:00 GMT", 200},
		{"an earlier time", "Thu, 01 Jan 1970 00:00:01 GMT", 200},
		{"nonsense", "x", 200},
	} {
		want := "0123456789"
		if tc.status == http.StatusPartialContent {
			want = "12"
		}
		wantReply(t, tc.name, s.get("/a", "Range: bytes=1-2", "If-Range: "+tc.value), tc.status, want)
	}
	wantStatus(t, "range that is not there, another tag", s.get("/a", "Range: bytes=99-", `If-Range: "x"`), http.StatusOK)
	wantStatus(t, "range that is not there, its tag", s.get("/a", "Range: bytes=99-", "If-Range: "+tag), http.StatusRequestedRangeNotSatisfiable)
}

func TestMultipartRanges(t *testing.T) {
	const content = "0123456789"
	for _, tc := range []struct {
		name, ranges string
		header       []string
		multipart    bool
	}{
		{"configured", "multipart", []string{"Range: bytes=0-1,5-6"}, true},
		{"asked for", "", []string{"Range: bytes=0-1,5-6", "Accept: multipart/byteranges"}, true},
		{"asked for among others", "concat", []string{"Range: bytes=0-1,5-6", "Accept: video/mp4, Multipart/ByteRanges;q=0.5"}, true},
		{"asked for in another line", "", []string{"Range: bytes=0-1,5-6", "Accept: */*", "Accept: multipart/byteranges"}, true},
		{"not by name", "", []string{"Range: bytes=0-1,5-6", "Accept: */*, multipart/*"}, false},
		{"one range", "multipart", []string{"Range: bytes=0-1"}, false},
		{"one range is left", "multipart", []string{"Range: bytes=0-1,99-"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := readOnly
			o.Ranges = tc.ranges
			s := newSite(t, o, map[string]string{"www/a.mp4": content})
			r := s.get("/a.mp4", tc.header...)
			wantStatus(t, "GET", r, http.StatusPartialContent)
			wantHeader(t, "GET", r.header, "Content-Length: "+itoa(len(r.body)))
			kind, params, err := mime.ParseMediaType(r.header.Get("Content-Type"))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "multipart", kind == "multipart/byteranges", tc.multipart)
			if !tc.multipart {
				return
			}
			wantHeader(t, "GET", r.header, "Content-Range:")
			rd := multipart.NewReader(strings.NewReader(r.body), params["boundary"])
			for _, want := range []struct{ body, contentRange string }{{"01", "bytes 0-1/10"}, {"56", "bytes 5-6/10"}} {
				part, err := rd.NextPart()
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(part)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "part", string(body), want.body)
				wantHeader(t, "part", http.Header(part.Header), "Content-Range: "+want.contentRange, "Content-Type: video/mp4")
			}
			if _, err := rd.NextPart(); err != io.EOF {
				t.Errorf("got %v after the parts, want io.EOF", err)
			}
		})
	}
}

// TestLargeFiles goes through a connection, since only there is sendfile, both
// with and without the writer that Caddy sets deadlines with.
func TestLargeFiles(t *testing.T) {
	// around what is copied, and what is handed to the kernel at a time
	const small, chunk = 64 << 10, 256 << 10
	const size = 11*chunk + small + 12345
	content := noise(size)
	s := newSite(t, readOnly, map[string]string{"www/a.bin": string(content)})
	h := &Handler{srv: s.Server}
	for _, idle := range []bool{false, true} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if idle {
				iw := &caddyhttp.IdleTimeoutWriter{
					ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
					Ctrl:                  http.NewResponseController(w),
					Deadline:              caddyhttp.IdleDeadline{Timeout: time.Minute},
				}
				w = iw
				r = r.WithContext(caddyhttp.ContextWithIdleTimeouts(r.Context(), nil, iw))
			}
			if err := h.ServeHTTP(w, s.prepare(w, r), nil); err != nil {
				t.Errorf("got error %v, want none", err)
			}
		}))
		for _, tc := range []struct {
			name, header string
			want         []byte
		}{
			{"all", "", content},
			{"a bit", "bytes=1000-1099", content[1000:1100]},
			{"a small one", fmt.Sprintf("bytes=1-%d", small), content[1 : small+1]},
			{"a byte more", fmt.Sprintf("bytes=1-%d", small+1), content[1 : small+2]},
			{"one chunk", fmt.Sprintf("bytes=7-%d", chunk+6), content[7 : chunk+7]},
			{"a byte less than two chunks", fmt.Sprintf("bytes=7-%d", 2*chunk+5), content[7 : 2*chunk+6]},
			{"two chunks", fmt.Sprintf("bytes=7-%d", 2*chunk+6), content[7 : 2*chunk+7]},
			{"many chunks", fmt.Sprintf("bytes=7-%d", 10*chunk+6), content[7 : 10*chunk+7]},
			{"the end", fmt.Sprintf("bytes=-%d", small+1), content[size-small-1:]},
			{
				"several", fmt.Sprintf("bytes=5-%d,0-%d", chunk+4, small*2-1),
				append(bytes.Clone(content[5:chunk+5]), content[:small*2]...),
			},
		} {
			what := fmt.Sprintf("%s, deadlines: %v", tc.name, idle)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/a.bin", nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.header != "" {
				req.Header.Set("Range", tc.header)
			}
			resp, err := srv.Client().Do(req)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			equal(t, what+": length", resp.ContentLength, int64(len(tc.want)))
			if !bytes.Equal(body, tc.want) {
				t.Errorf("%s: got %d bytes, want %d others", what, len(body), len(tc.want))
			}
		}
		srv.Close()
	}
}

// TestFileRangeIsReadWhereTheSystemCannot is about writers that read a range
// instead of asking for its descriptor.
func TestFileRangeIsReadWhereTheSystemCannot(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(2, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	r := &fileRange{f: f, end: 8, chunk: 4}
	if _, err := r.SyscallConn(); err != nil {
		t.Errorf("a chunk is left: got error %v, want its descriptor", err)
	}
	if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.SyscallConn(); err == nil {
		t.Error("less than a chunk is left: got its descriptor, want an error")
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "rest", string(rest), "567")
}

// TestWriterThatCannotFlushGetsTheWholeBody is about writers of other handlers
// around us, which need not pass everything on.
func TestWriterThatCannotFlushGetsTheWholeBody(t *testing.T) {
	content := string(noise(copySize + 1))
	s := newSite(t, readWrite, map[string]string{"www/large": content})
	s.upload("live", "", "01234")
	for _, tc := range []struct {
		target, header, want string
	}{
		{"/large", "", content},
		{"/live", "Range: bytes=1-3", "123"},
	} {
		rec := httptest.NewRecorder()
		r := s.serveTo(noFlush{rec}, rec, newRequest(http.MethodGet, tc.target, "", tc.header))
		equal(t, tc.target+": whole", r.body == tc.want, true)
		equal(t, tc.target+": length", len(r.body), len(tc.want))
	}
}

// noFlush is a response that has ReadFrom but no Flush.
type noFlush struct{ http.ResponseWriter }

func (w noFlush) ReadFrom(r io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, r) }

// TestFileThatBecameShorterAbortsTheResponse is about what only others than we
// do to a file. The length has been sent by then.
func TestFileThatBecameShorterAbortsTheResponse(t *testing.T) {
	s := newSite(t, readOnly, map[string]string{"www/a": "0123456789"})
	f, err := os.Open(filepath.Join(s.root, "www", "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rec := httptest.NewRecorder()
	q := &request{Server: s.Server, w: rec, r: newRequest(http.MethodGet, "/a", "")}
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("got panic %v, want http.ErrAbortHandler", v)
		}
	}()
	err = q.copyFile(f, 5, 6)
	t.Errorf("got %v and no panic, want one", err)
}

// TestClientThatLeavesIsNoError checks what is returned when the client takes
// no more.
func TestClientThatLeavesIsNoError(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/a": "0123456789", "www/b.txt": strings.Repeat("text ", 100)})
	s.upload("live", "", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, target := range []string{"/a", "/b.txt", "/missing", "/live"} {
		rec := httptest.NewRecorder()
		r := newRequest(http.MethodGet, target, "", "Accept-Encoding: gzip").WithContext(ctx)
		got := s.serveTo(brokenWriter{rec}, rec, r)
		if got.err != nil || got.aborted {
			t.Errorf("%s: got error %v, aborted %v, want neither", target, got.err, got.aborted)
		}
	}
	equal(t, "errors in the log", s.logs.FilterMessage("request failed").Len(), 0)
}

// brokenWriter is the response of a client that is gone.
type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
