package handler

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// answers are requests for every kind of answer, errors included.
var answers = []struct {
	name, method, target, body string
	header                     []string
	status                     int
}{
	{"file", "GET", "/a.txt", "", nil, 200},
	{"HEAD", "HEAD", "/a.txt", "", nil, 200},
	{"range", "GET", "/a.txt", "", []string{"Range: bytes=1-2"}, 206},
	{"several ranges", "GET", "/a.txt", "", []string{"Range: bytes=1-2,4-5"}, 206},
	{"listing", "GET", "/", "", nil, 200},
	{"redirect", "GET", "/d", "", nil, 308},
	{"not modified", "GET", "/a.txt", "", []string{"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"}, 304},
	{"upload", "PUT", "/new.txt", "x", nil, 201},
	{"replacement", "POST", "/new.txt", "y", nil, 200},
	{"patch", "PATCH", "/new.txt", "z", []string{"Content-Range: bytes 0-0/1"}, 200},
	{"deletion", "DELETE", "/new.txt", "", nil, 200},
	{"deletion of nothing", "DELETE", "/new.txt", "", nil, 204},
	{"options", "OPTIONS", "/a.txt", "", nil, 200},
	{"malformed path", "GET", "/" + strings.Repeat("a", maxPath), "", nil, 400},
	{"patch without a range", "PATCH", "/a.txt", "x", nil, 400},
	{"hidden name", "PUT", "/x.secret", "x", nil, 403},
	{"missing", "GET", "/missing", "", nil, 404},
	{"missing, HEAD", "HEAD", "/missing", "", nil, 404},
	{"stream of unknown length", "SOURCE", "/a.txt", "", nil, 405},
	{"folder as a file", "PUT", "/d", "x", nil, 409},
	{"unframed body", "PUT", "/a.txt", "", []string{"Expect: 100-continue"}, 411},
	{"failed precondition", "PUT", "/a.txt", "x", []string{"If-None-Match: *"}, 412},
	{"failed precondition of GET", "GET", "/a.txt", "", []string{`If-Match: "x"`}, 412},
	{"too large", "PUT", "/big", "12345678901", nil, 413},
	{"parts", "PATCH", "/a.txt", "x", []string{"Content-Type: message/byteranges"}, 415},
	{"range that is not there", "GET", "/a.txt", "", []string{"Range: bytes=99-"}, 416},
	{"unknown method", "BREW", "/a.txt", "", nil, 501},
}

// answersSite returns a site for which answers are what they say.
func answersSite(t testing.TB, change func(*Options)) *site {
	t.Helper()
	maxs := int64(10)
	o := readWrite
	o.DirList, o.Hide, o.MaxUpload = true, []string{"*.secret"}, &maxs
	change(&o)
	return newSite(t, o, map[string]string{"www/a.txt": "0123456789", "www/d/": ""})
}

// eachAnswer calls f with every answer of a site, without and with error
// routes.
func eachAnswer(t *testing.T, change func(*Options), f func(what string, r reply), header ...string) {
	t.Helper()
	for _, routes := range []bool{false, true} {
		s := answersSite(t, change)
		if routes {
			s.withErrorRoutes()
		}
		for _, a := range answers {
			what := a.name
			if routes {
				what += ", with error routes"
			}
			r := s.do(a.method, a.target, a.body, slices.Concat(a.header, header)...)
			wantStatus(t, what, r, a.status)
			equal(t, what+": left to the error routes", r.err != nil, routes && a.status >= 400)
			f(what, r)
		}
	}
}

// withErrorRoutes gives the site error routes, as handle_errors does.
func (s *site) withErrorRoutes() {
	s.caddy.Errors = &caddyhttp.HTTPErrorConfig{Routes: caddyhttp.RouteList{{}}}
}

func TestHeadersOfEveryResponse(t *testing.T) {
	change := func(o *Options) {
		o.Headers = http.Header{"X-Custom": {"one", "{http.request.method}"}, "Content-Type": {"text/x-ours"}, "Vary": {"X-Ours"}}
		o.ServerUTC, o.UserAgent, o.Close = true, "test/1", true
	}
	before := time.Now().UnixMilli()
	eachAnswer(t, change, func(what string, r reply) {
		wantHeader(t, what, r.header, "Content-Type: text/x-ours", "Vary: X-Ours", "Server: test/1", "Connection: close", "Keep-Alive:")
		custom := r.header.Values("X-Custom")
		if len(custom) != 2 || custom[0] != "one" || custom[1] == "" || strings.Contains(custom[1], "{") {
			t.Errorf("%s: got X-Custom %q, want one and the method", what, custom)
		}
		var utc int64
		if _, err := fmt.Sscan(strings.Join(r.header["Server-UTC"], ","), &utc); err != nil || utc < before || utc > time.Now().UnixMilli() {
			t.Errorf("%s: got Server-UTC %q, want the time", what, r.header["Server-UTC"])
		}
	})
}

func TestHeadersWithoutOptions(t *testing.T) {
	eachAnswer(t, func(*Options) {}, func(what string, r reply) {
		wantHeader(t, what, r.header, "Server:", "Server-UTC:")
		if r.status == http.StatusLengthRequired { // the body may still come
			wantHeader(t, what, r.header, "Connection: close", "Keep-Alive:")
		} else {
			wantHeader(t, what, r.header, "Connection:", "Keep-Alive: timeout=30")
		}
	})
}

// TestConfiguredHeaderReplacesWhateverItsCase is for JSON configurations, whose
// names nobody has canonicalized.
func TestConfiguredHeaderReplacesWhateverItsCase(t *testing.T) {
	s := answersSite(t, func(o *Options) {
		o.Headers = http.Header{"content-type": {"text/x-ours"}, "x-custom": {"one"}, "server-utc": {"0"}}
		o.ServerUTC = true
	})
	wantHeader(t, "file", s.get("/a.txt").header, "Content-Type: text/x-ours", "X-Custom: one", "Server-UTC: 0")
}

func TestConnectionHeaders(t *testing.T) {
	second, none := caddy.Duration(1500*time.Millisecond), caddy.Duration(0)
	tiny := caddy.Duration(time.Millisecond)
	for _, tc := range []struct {
		name       string
		o          Options
		proto      int
		lastOfConn bool
		want       []string
	}{
		{"as configured", Options{Timeout: &second}, 1, false, []string{"Keep-Alive: timeout=1", "Connection:"}},
		{"less than a second", Options{Timeout: &tiny}, 1, false, []string{"Keep-Alive: timeout=1"}},
		{"for ever", Options{Timeout: &none}, 1, false, []string{"Keep-Alive:", "Connection:"}},
		{"the client closes", Options{}, 1, true, []string{"Keep-Alive:"}},
		{"close", Options{Close: true}, 1, false, []string{"Keep-Alive:", "Connection: close"}},
		{"HTTP/2", Options{}, 2, false, []string{"Keep-Alive:", "Connection:"}},
		{"HTTP/2 and close", Options{Close: true}, 2, false, []string{"Keep-Alive:", "Connection:"}},
		{"HTTP/3", Options{}, 3, false, []string{"Keep-Alive:", "Connection:"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := tc.o
			o.ReadDirs = []string{"www"}
			s := newSite(t, o, map[string]string{"www/a": "a"})
			for _, path := range []string{"/a", "/missing"} {
				r := newRequest(http.MethodGet, path, "")
				r.ProtoMajor, r.Close = tc.proto, tc.lastOfConn
				wantHeader(t, path, s.serve(r).header, tc.want...)
			}
		})
	}
}

func TestMaxClientErrorsClosesTheConnection(t *testing.T) {
	limit := 3
	s := answersSite(t, func(o *Options) { o.MaxClientErrors = &limit })
	conn := s.connect(t)
	closes := func(path string) bool {
		r := s.serve(newRequest(http.MethodGet, path, "").WithContext(conn))
		return r.header.Get("Connection") == "close"
	}
	for i, tc := range []struct {
		path string
		want bool
	}{
		{"/missing", false},
		{"/missing", false},
		{"/a.txt", false}, // begins anew
		{"/missing", false},
		{"/missing", false},
		{"/missing", true},
		{"/missing", true},
	} {
		equal(t, fmt.Sprintf("request %d closes", i), closes(tc.path), tc.want)
	}

	other := s.connect(t)
	r := s.serve(newRequest(http.MethodGet, "/missing", "").WithContext(other))
	wantHeader(t, "another connection", r.header, "Connection:")

	limit = 0
	s = answersSite(t, func(o *Options) { o.MaxClientErrors = &limit })
	conn = s.connect(t)
	for range 50 {
		equal(t, "without a limit, closes", closes("/missing"), false)
	}
}

// connect returns the context of requests on a connection of their own.
func (s *site) connect(t testing.TB) context.Context {
	t.Helper()
	here, there := net.Pipe()
	ctx := s.state.conns.begin(t.Context(), here)
	t.Cleanup(func() {
		s.state.conns.changed(here, http.StateClosed)
		here.Close()
		there.Close()
	})
	return ctx
}

func TestHeadHasTheHeadersOfGet(t *testing.T) {
	o := readWrite
	o.DirList, o.CacheControl = true, "max-age=1"
	long := strings.Repeat("text ", 1000)
	s := newSite(t, o, map[string]string{"www/a.txt": long, "www/a.bin": "\x00\x01\x02", "www/empty": "", "www/d/x": ""})
	s.upload("live.mp4", "video/mp4", "0123456789")
	for _, tc := range []struct {
		name, target string
		header       []string
		status       int
	}{
		{"file", "/a.txt", nil, 200},
		{"binary file", "/a.bin", nil, 200},
		{"empty file", "/empty", nil, 200},
		{"compressed", "/a.txt", []string{"Accept-Encoding: gzip"}, 200},
		{"range", "/a.txt", []string{"Range: bytes=5-9"}, 206},
		{"several ranges", "/a.txt", []string{"Range: bytes=5-9,0-0"}, 206},
		{"range that is not there", "/a.txt", []string{"Range: bytes=99999-"}, 416},
		{"malformed range", "/a.txt", []string{"Range: bytes=b-a"}, 416},
		{"listing", "/", nil, 200},
		{"JSON listing", "/", []string{"Accept: application/json"}, 200},
		{"folder", "/d", nil, 308},
		{"missing", "/missing", nil, 404},
		{"not modified", "/a.txt", []string{"If-None-Match: *"}, 304},
		{"failed precondition", "/a.txt", []string{"If-Unmodified-Since: Thu, 01 Jan 1970 00:00:01 GMT"}, 412},
		{"live, whole range", "/live.mp4", []string{"Range: bytes=2-5"}, 206},
		{"live, frozen range", "/live.mp4", []string{"Range: bytes=2-"}, 206},
		{"live, suffix", "/live.mp4", []string{"Range: bytes=-2"}, 416},
	} {
		t.Run(tc.name, func(t *testing.T) {
			get := s.get(tc.target, tc.header...)
			head := s.do(http.MethodHead, tc.target, "", tc.header...)
			wantStatus(t, "GET", get, tc.status)
			wantReply(t, "HEAD", head, tc.status, "")
			if len(head.header) != len(get.header) {
				t.Errorf("got fields %v, want those of GET %v", head.header, get.header)
			}
			for name, want := range get.header {
				if got := head.header[name]; !slices.Equal(got, want) {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestHeadersOfFile(t *testing.T) {
	modified := time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC)
	for _, tc := range []struct {
		name, file, content string
		o                   Options
		want                []string
	}{
		{"text", "a.txt", "text", Options{}, []string{
			"Content-Type: text/plain; charset=utf-8", "Content-Length: 4", "Last-Modified: Mon, 03 Feb 2020 04:05:06 GMT",
			"Accept-Ranges: bytes", "X-Content-Type-Options: nosniff", "Cache-Control:", "Vary: Origin, Accept-Encoding", "Content-Encoding:",
		}},
		{"segment", "a.m4s", "text", Options{}, []string{"Content-Type: video/iso.segment", "Vary: Origin", "X-Content-Type-Options: nosniff"}},
		{"manifest", "a.mpd", "<MPD/>", Options{}, []string{"Content-Type: application/dash+xml"}},
		{"playlist", "A.M3U8", "#EXTM3U", Options{}, []string{"Content-Type: application/vnd.apple.mpegurl"}},
		{"sniffed by content", "noext", "\x89PNG\r\n\x1a\n", Options{}, []string{"Content-Type: image/png"}},
		{"sniffed text", "noext", "plain words", Options{}, []string{"Content-Type: text/plain; charset=utf-8"}},
		{"empty", "a.bin", "", Options{}, []string{"Content-Length: 0", "Accept-Ranges: bytes"}},
		{"Cache-Control", "a.txt", "x", Options{CacheControl: "max-age={env.HTTPOUT_TEST_AGE}"}, []string{"Cache-Control: max-age=7"}},
		{"no Cache-Control", "a.txt", "x", Options{CacheControl: "none"}, []string{"Cache-Control:", "ETag:", "Last-Modified: Mon, 03 Feb 2020 04:05:06 GMT"}},
		{"no ranges", "a.txt", "x", Options{NoRange: true}, []string{"Accept-Ranges: none"}},
		{"no CORS", "a.txt", "x", Options{CORS: "off"}, []string{"Vary: Accept-Encoding"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("HTTPOUT_TEST_AGE", "7")
			tc.o.ReadDirs = []string{"www"}
			s := newSite(t, tc.o, map[string]string{"www/" + tc.file: tc.content})
			if err := os.Chtimes(filepath.Join(s.root, "www", tc.file), modified, modified); err != nil {
				t.Fatal(err)
			}
			r := s.get("/" + tc.file)
			wantReply(t, "GET", r, http.StatusOK, tc.content)
			wantHeader(t, "GET", r.header, tc.want...)
			tag := r.header.Get("ETag")
			if tc.o.CacheControl != "none" && (len(tag) < 3 || tag[0] != '"' || tag[len(tag)-1] != '"') {
				t.Errorf("got ETag %q, want a strong one", tag)
			}
		})
	}
}

func TestEtagTellsVersionsApart(t *testing.T) {
	s := newSite(t, readWrite, nil)
	seen := make(map[string]bool)
	for i := range 20 { // within one tick of a file system's clock
		s.do(http.MethodPut, "/a", fmt.Sprint(i%10))
		seen[s.get("/a").header.Get("ETag")] = true
	}
	equal(t, "entity tags", len(seen), 20)
}

func TestNotModified(t *testing.T) {
	o := readOnly
	o.CacheControl = "max-age=9"
	s := newSite(t, o, map[string]string{"www/a.txt": strings.Repeat("text ", 100)})
	full := s.get("/a.txt")
	tag, modified := full.header.Get("ETag"), full.header.Get("Last-Modified")
	for _, tc := range []struct {
		name   string
		header []string
		status int
	}{
		{"its tag", []string{"If-None-Match: " + tag}, 304},
		{"its tag, weak", []string{"If-None-Match: W/" + tag}, 304},
		{"its tag among others", []string{`If-None-Match: "x", ` + tag}, 304},
		{"any", []string{"If-None-Match: *"}, 304},
		{"another tag", []string{`If-None-Match: "x"`}, 200},
		{"its time", []string{"If-Modified-Since: " + modified}, 304},
		{"before its time", []string{"If-Modified-Since: Thu, 01 Jan 1970 00:00:01 GMT"}, 200},
		{"the tag decides", []string{`If-None-Match: "x"`, "If-Modified-Since: " + modified}, 200},
		{"with a range", []string{"If-None-Match: " + tag, "Range: bytes=0-1"}, 304},
		{"If-Match", []string{"If-Match: " + tag}, 200},
		{"If-Match of another", []string{`If-Match: "x"`}, 412},
		{"If-Match comes first", []string{`If-Match: "x"`, "If-None-Match: " + tag}, 412},
		{"If-Unmodified-Since", []string{"If-Unmodified-Since: " + modified}, 200},
		{"If-Unmodified-Since of before", []string{"If-Unmodified-Since: Thu, 01 Jan 1970 00:00:01 GMT"}, 412},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := s.get("/a.txt", tc.header...)
			wantStatus(t, "GET", r, tc.status)
			switch tc.status {
			case http.StatusNotModified:
				equal(t, "body", r.body, "")
				wantHeader(t, "304", r.header, "ETag: "+tag, "Cache-Control: max-age=9", "Vary: Origin, Accept-Encoding",
					"Last-Modified: "+modified, "Content-Type:", "Content-Length:", "Content-Encoding:", "Content-Range:")
			case http.StatusPreconditionFailed:
				wantHeader(t, "412", r.header, "ETag:", "Cache-Control:", "Last-Modified:", "Content-Type: text/plain; charset=utf-8")
			}
		})
	}
}

// TestErrorHasNothingOfTheFile is about header fields that were set before the
// error was found: with Content-Encoding left, the error page is unreadable.
func TestErrorHasNothingOfTheFile(t *testing.T) {
	for _, routes := range []bool{false, true} {
		name := map[bool]string{false: "own page", true: "error routes"}[routes]
		t.Run(name, func(t *testing.T) {
			o := readOnly
			o.CacheControl = "max-age=9"
			s := newSite(t, o, map[string]string{"www/a.txt": strings.Repeat("text ", 100), "www/a.mp4": "x"})
			if routes {
				s.withErrorRoutes()
			}
			for _, tc := range []struct {
				target string
				header []string
				status int
			}{
				{"/a.txt", []string{`If-Match: "x"`, "Accept-Encoding: gzip"}, 412},
				{"/a.txt", []string{"Range: bytes=9999-"}, 416},
				{"/a.mp4", []string{"Range: bytes=9999-"}, 416},
			} {
				r := s.get(tc.target, tc.header...)
				wantStatus(t, tc.target, r, tc.status)
				wantHeader(t, tc.target, r.header, "Content-Encoding:", "ETag:", "Last-Modified:", "Cache-Control:", "Accept-Ranges:")
				if ct := r.header.Get("Content-Type"); ct == "video/mp4" {
					t.Errorf("%s: got Content-Type %s, want none of the file", tc.target, ct)
				}
			}
		})
	}
}

func TestNamesThatCannotBe(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/b/": ""})
	name := "/" + strings.Repeat("a", 300)
	for _, method := range []string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"} {
		for _, path := range []string{name, name + "/b", "/b" + name} {
			r := s.do(method, path, "x", "Content-Range: bytes 0-0/*")
			wantStatus(t, method+" "+path[:10], r, http.StatusBadRequest)
		}
		r := newRequest(method, "/a", "")
		r.URL.Path = "/a\x00b"
		wantStatus(t, method+" with NUL", s.serve(r), http.StatusBadRequest)
	}
	equal(t, "files", strings.Join(s.names("www"), " "), "b")
}

func TestErrorTellsTheReason(t *testing.T) {
	s := answersSite(t, func(*Options) {})
	r := s.get("/missing")
	wantReply(t, "GET", r, http.StatusNotFound, "Not found\n")
	wantHeader(t, "GET", r.header, "Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff", "Content-Length: 10")
	head := s.do(http.MethodHead, "/missing", "")
	wantReply(t, "HEAD", head, http.StatusNotFound, "")
	wantHeader(t, "HEAD", head.header, "Content-Length: 10")
}

func TestMethodsThatAreNotPossible(t *testing.T) {
	const write = "PUT, POST, PATCH, DELETE, OPTIONS"
	for _, tc := range []struct {
		name    string
		o       Options
		methods string
		status  int
		allow   string
	}{
		{"read only", readOnly, "PUT POST PATCH DELETE SOURCE", 405, "GET, HEAD, OPTIONS"},
		{"write only", Options{WriteDir: "www"}, "GET HEAD SOURCE", 405, write},
		{"read and write", readWrite, "SOURCE", 405, "GET, HEAD, " + write},
		{"unknown", readWrite, "BREW get PROPFIND TRACE", 501, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, tc.o, map[string]string{"www/a": "a"})
			for method := range strings.FieldsSeq(tc.methods) {
				for _, path := range []string{"/a", "/", "/missing"} {
					r := s.do(method, path, "")
					wantStatus(t, method+" "+path, r, tc.status)
					wantHeader(t, method+" "+path, r.header, "Allow: "+tc.allow)
				}
			}
			if tc.allow != "" {
				for _, target := range []string{"/anything", "/a", "/", "*"} {
					r := s.do(http.MethodOptions, target, "")
					wantReply(t, "OPTIONS "+target, r, http.StatusOK, "")
					wantHeader(t, "OPTIONS "+target, r.header, "Allow: "+tc.allow, "Content-Length: 0")
				}
			}
		})
	}
}

func TestServerUTCFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := readOnly
		o.ServerUTC = true
		s := newSite(t, o, map[string]string{"www/a": "a"})
		want := time.Now().UnixMilli()
		wantHeader(t, "first", s.get("/a").header, fmt.Sprint("Server-UTC: ", want))
		time.Sleep(1500 * time.Millisecond)
		wantHeader(t, "later", s.get("/a").header, fmt.Sprint("Server-UTC: ", want+1500))
	})
}
