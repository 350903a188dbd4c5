package caddytest_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// exchange is one row of the matrix: a request and what must come of it.
type exchange struct {
	name   string
	method string   // GET if empty
	path   string   // /f.bin if empty
	port   string   // HTTP if empty
	header []string // field lines of the request

	status int
	want   []string // field lines of the response; "Name:" alone means: there is none
	body   string   // of a successful response to a GET

	// Whether Caddy's own file server answers the same. Where it does not, we
	// follow the RFC more closely, or the contract of httpout says otherwise.
	agree bool
}

// content is what /f.bin holds: each of its bytes tells its own position.
const content = "0123456789abcdefghijklmnopqrstuvwxyz"

// listed is the listing of /dir/.
const listed = `[{"name":"x","size":1,"modified":"2024-05-01T12:30:15Z","type":"file","live":false}]` + "\n"

// modified is when the files were modified.
var modified = time.Date(2024, time.May, 1, 12, 30, 15, 0, time.UTC)

// reading is the part of the matrix about GET and HEAD without conditions.
var reading = []exchange{
	{
		name: "whole file", status: 200, body: content, agree: true,
		want: []string{"Content-Length: 36", "Accept-Ranges: bytes", "Last-Modified: $MTIME", "ETag: $ETAG", "Content-Range:", "Transfer-Encoding:"},
	},
	{name: "not sniffed", status: 200, body: content, want: []string{"X-Content-Type-Options: nosniff"}},
	{name: "text", path: "/f.txt", status: 200, body: "text", want: []string{"Content-Type: text/plain; charset=utf-8"}},
	{name: "manifest", path: "/f.mpd", status: 200, body: "<MPD/>", want: []string{"Content-Type: application/dash+xml"}},
	{name: "playlist", path: "/f.m3u8", status: 200, body: "#EXTM3U\n", want: []string{"Content-Type: application/vnd.apple.mpegurl"}},
	{
		name: "HEAD", method: "HEAD", status: 200, agree: true,
		want: []string{"Content-Length: 36", "Accept-Ranges: bytes", "Last-Modified: $MTIME", "ETag: $ETAG"},
	},
	{name: "empty file", path: "/empty.bin", status: 200, agree: true, want: []string{"Content-Length: 0", "Transfer-Encoding:"}},
	{name: "empty file, HEAD", method: "HEAD", path: "/empty.bin", status: 200, agree: true, want: []string{"Content-Length: 0"}},
	{name: "missing", path: "/none.bin", status: 404, agree: true},
	{name: "missing, HEAD", method: "HEAD", path: "/none.bin", status: 404, agree: true},
	{name: "missing, range", path: "/none.bin", header: []string{"Range: bytes=0-3"}, status: 404, agree: true, want: []string{"Content-Range:"}},
	{name: "missing, If-Match", path: "/none.bin", header: []string{"If-Match: *"}, status: 404, agree: true},
	{name: "missing, If-None-Match", path: "/none.bin", header: []string{"If-None-Match: *"}, status: 404, agree: true},
	{name: "query", path: "/f.bin?a=b&Range=bytes", status: 200, body: content, agree: true},
	{name: "encoded path", path: "/%66%2ebin", status: 200, body: content, agree: true},
	{name: "file with a slash", path: "/f.txt/x", status: 404, agree: true},
	{name: "folder without listing", path: "/dir/", status: 403},
	{name: "folder without listing, HEAD", method: "HEAD", path: "/dir/", status: 403},
	{name: "folder", port: "LIST", path: "/dir/", header: []string{"Accept: application/json"}, status: 200, body: listed, want: []string{"Content-Type: application/json"}},
	{name: "folder, HEAD", method: "HEAD", port: "LIST", path: "/dir/", header: []string{"Accept: application/json"}, status: 200, want: []string{"Content-Type: application/json"}},
	{name: "folder without slash", port: "LIST", path: "/dir", status: 308, want: []string{"Location: ./dir/"}},
	{name: "folder without slash, HEAD", method: "HEAD", port: "LIST", path: "/dir", status: 308, want: []string{"Location: ./dir/"}},
	{name: "folder without slash, query", port: "LIST", path: "/dir?a=b", status: 308, want: []string{"Location: ./dir/?a=b"}},
	{name: "folder without slash, two leading slashes", port: "LIST", path: "//dir", status: 308, want: []string{"Location: ./dir/"}},
	{name: "folder, range", port: "LIST", path: "/dir/", header: []string{"Accept: application/json", "Range: bytes=0-1"}, status: 200, body: listed, want: []string{"Content-Range:"}},
	{name: "OPTIONS", method: "OPTIONS", status: 200, want: []string{"Allow: GET, HEAD, OPTIONS", "Content-Length: 0"}},
	{name: "OPTIONS of nothing", method: "OPTIONS", path: "/none.bin", status: 200, want: []string{"Content-Length: 0"}},
	{name: "PUT", method: "PUT", header: []string{"Content-Length: 0"}, status: 405, want: []string{"Allow: GET, HEAD, OPTIONS"}},
	{name: "POST", method: "POST", header: []string{"Content-Length: 0"}, status: 405, want: []string{"Allow: GET, HEAD, OPTIONS"}},
	{name: "PATCH", method: "PATCH", header: []string{"Content-Length: 0"}, status: 405, want: []string{"Allow: GET, HEAD, OPTIONS"}},
	{name: "DELETE", method: "DELETE", status: 405, want: []string{"Allow: GET, HEAD, OPTIONS"}},
	{name: "SOURCE", method: "SOURCE", header: []string{"Content-Length: 0"}, status: 405, want: []string{"Allow: GET, HEAD, OPTIONS"}},
	{name: "unknown method", method: "BREW", status: 501},
	{name: "method in lower case", method: "get", status: 501},
}

// ranging is the part of the matrix about Range (RFC 9110 section 14).
var ranging = []exchange{
	ranged("bytes=0-0", 0, 0),
	ranged("bytes=0-9", 0, 9),
	ranged("bytes=5-9", 5, 9),
	ranged("bytes=35-35", 35, 35),
	ranged("bytes=0-35", 0, 35),
	ranged("bytes=0-", 0, 35),
	ranged("bytes=30-", 30, 35),
	ranged("bytes=35-", 35, 35),
	ranged("bytes=-1", 35, 35),
	ranged("bytes=-10", 26, 35),
	ranged("bytes=-36", 0, 35),
	ranged("bytes=-37", 0, 35),
	ranged("bytes=-999999999999", 0, 35),
	ranged("bytes=30-36", 30, 35),
	ranged("bytes=30-999999999999", 30, 35),
	ranged("bytes=007-0008", 7, 8),
	ranged("bytes=0-4,", 0, 4),
	ranged("bytes=,0-4", 0, 4),
	ranged("bytes= 0-4", 0, 4),
	ranged("bytes=0-4 ,\t", 0, 4),
	ranged("bytes=0-1,36-40", 0, 1),
	ranged("bytes=36-,0-1", 0, 1),
	ours(ranged("Bytes=0-4", 0, 4)), // range units are case-insensitive (section 14.1)
	ours(ranged("BYTES=-4", 32, 35)),
	ours(ranged("bytes=0-99999999999999999999", 0, 35)),
	ours(ranged("bytes=-99999999999999999999", 0, 35)),

	unsatisfiable("bytes=36-"),
	unsatisfiable("bytes=36-40"),
	unsatisfiable("bytes=999999999999-"),
	unsatisfiable("bytes=36-40,50-60"),
	ours(unsatisfiable("bytes=99999999999999999999-")),
	ours(unsatisfiable("bytes=-0")),

	malformed("bytes=a-b"),
	malformed("bytes=5-2"),
	malformed("bytes=5"),
	malformed("bytes=-"),
	malformed("bytes=--5"),
	malformed("bytes=1-2-3"),
	malformed("bytes=0-4;5-6"),
	malformed("bytes=+1-4"),
	malformed("bytes=0x1-4"),
	malformed("bytes=1.5-4"),
	malformed("bytes=0-1,x"),
	malformed("bytes="),
	malformed("bytes=,"),
	malformed("bytes"),

	ignored("items=0-4"),
	ignored("seconds=0-4"),
	ignored("bytes2=0-4"),

	several("bytes=0-1,4-5", "0145", "bytes 0-1/36, 4-5/36"),
	several("bytes=0-1, 4-5", "0145", "bytes 0-1/36, 4-5/36"),
	several("bytes=0-1,bytes=4-5", "0145", "bytes 0-1/36, 4-5/36"),
	several("bytes=0-1, bytes=4-5", "0145", "bytes 0-1/36, 4-5/36"),
	several("bytes=4-5,0-1", "4501", "bytes 4-5/36, 0-1/36"),
	several("bytes=0-5,3-8", "012345345678", "bytes 0-5/36, 3-8/36"),
	several("bytes=0-0,0-0,0-0", "000", "bytes 0-0/36, 0-0/36, 0-0/36"),
	several("bytes=0-1,-2", "01yz", "bytes 0-1/36, 34-35/36"),
	several("bytes=0-1,34-", "01yz", "bytes 0-1/36, 34-35/36"),
	several("bytes=0-1,34-99", "01yz", "bytes 0-1/36, 34-35/36"),
	several("bytes=0-1,40-50,4-5", "0145", "bytes 0-1/36, 4-5/36"),
	several("bytes=0-35,0-35", content+content, "bytes 0-35/36, 0-35/36"),
	several("bytes=0-0"+strings.Repeat(",1-1", 63), "0"+strings.Repeat("1", 63), "bytes 0-0/36"+strings.Repeat(", 1-1/36", 63)),
	{name: "too many", header: []string{"Range: bytes=0-0" + strings.Repeat(",1-1", 64)}, status: 416},

	// HEAD has the header of GET
	{name: "HEAD bytes=0-9", method: "HEAD", header: []string{"Range: bytes=0-9"}, status: 206, agree: true, want: []string{"Content-Range: bytes 0-9/36", "Content-Length: 10"}},
	{name: "HEAD bytes=36-", method: "HEAD", header: []string{"Range: bytes=36-"}, status: 416, agree: true, want: []string{"Content-Range: bytes */36"}},
	{name: "HEAD bytes=0-1,4-5", method: "HEAD", header: []string{"Range: bytes=0-1,4-5"}, status: 206, want: []string{"Content-Range: bytes 0-1/36, 4-5/36", "Content-Length: 4"}},
	{name: "empty file, bytes=0-", path: "/empty.bin", header: []string{"Range: bytes=0-"}, status: 416, want: []string{"Content-Range: bytes */0"}},
	{name: "empty file, bytes=0-4", path: "/empty.bin", header: []string{"Range: bytes=0-4"}, status: 416, want: []string{"Content-Range: bytes */0"}},
	{name: "PUT with range, nothing writable", method: "PUT", header: []string{"Range: bytes=0-3", "Content-Length: 0"}, status: 405},
	{name: "OPTIONS with range", method: "OPTIONS", header: []string{"Range: bytes=0-3"}, status: 200, want: []string{"Content-Range:", "Content-Length: 0"}},
}

// conditional is the part of the matrix about conditions (RFC 9110 section 13).
var conditional = []exchange{
	condition(304, "If-None-Match: $ETAG"),
	condition(304, "If-None-Match: W/$ETAG"),
	condition(304, "If-None-Match: *"),
	condition(304, `If-None-Match: "x", $ETAG`),
	condition(304, `If-None-Match: $ETAG, "x"`),
	condition(304, `If-None-Match: W/"x",W/$ETAG,"y"`),
	condition(304, `If-None-Match:   $ETAG  `),
	condition(200, `If-None-Match: "x"`),
	condition(200, `If-None-Match: "x", W/"y"`),
	condition(200, `If-None-Match: x`),
	condition(200, `If-None-Match: "x`),
	ours(condition(304, `If-None-Match: "x"`, "If-None-Match: $ETAG")), // two lines are one list (section 5.3)

	condition(304, "If-Modified-Since: $MTIME"),
	condition(304, "If-Modified-Since: $LATER"),
	condition(200, "If-Modified-Since: $EARLIER"),
	condition(304, "If-Modified-Since: Wednesday, 01-May-24 12:30:15 GMT"),
	condition(304, "If-Modified-Since: Wed May  1 12:30:15 2024"),
	condition(200, "If-Modified-Since: yesterday"),
	condition(200, "If-Modified-Since: 2024-05-01T12:30:15Z"),
	condition(200, `If-None-Match: "x"`, "If-Modified-Since: $MTIME"),
	condition(304, "If-None-Match: $ETAG", "If-Modified-Since: $EARLIER"),

	condition(200, "If-Match: $ETAG"),
	condition(200, "If-Match: *"),
	condition(200, `If-Match: "x", $ETAG`),
	condition(412, `If-Match: "x"`),
	condition(412, "If-Match: W/$ETAG"),
	condition(412, `If-Match: "x", W/$ETAG`),
	condition(412, "If-Match: x"),
	ours(condition(200, `If-Match: "x"`, "If-Match: $ETAG")),

	condition(200, "If-Unmodified-Since: $MTIME"),
	condition(200, "If-Unmodified-Since: $LATER"),
	condition(412, "If-Unmodified-Since: $EARLIER"),
	condition(200, "If-Unmodified-Since: yesterday"),
	condition(200, "If-Match: $ETAG", "If-Unmodified-Since: $EARLIER"),
	condition(412, `If-Match: "x"`, "If-Unmodified-Since: $LATER"),

	condition(304, "If-Match: $ETAG", "If-None-Match: $ETAG"),
	condition(412, `If-Match: "x"`, "If-None-Match: $ETAG"),
	condition(412, "If-Unmodified-Since: $EARLIER", "If-None-Match: $ETAG"),
	condition(200, "If-Match: $ETAG", `If-None-Match: "x"`),
	condition(304, "If-Unmodified-Since: $MTIME", "If-Modified-Since: $MTIME"),

	withRange(206, "If-Range: $ETAG"),
	withRange(206, "If-Range: $MTIME"),
	withRange(200, `If-Range: "x"`),
	withRange(200, "If-Range: W/$ETAG"),
	withRange(200, "If-Range: $EARLIER"),
	withRange(200, "If-Range: $LATER"),
	withRange(200, "If-Range: yesterday"),
	withRange(304, "If-None-Match: $ETAG"),
	withRange(206, `If-None-Match: "x"`),
	withRange(304, "If-Modified-Since: $MTIME"),
	withRange(206, "If-Modified-Since: $EARLIER"),
	withRange(206, "If-Match: $ETAG"),
	withRange(412, `If-Match: "x"`),
	withRange(412, "If-Unmodified-Since: $EARLIER"),
	withRange(206, "If-Match: $ETAG", "If-Range: $ETAG"),
	withRange(304, "If-None-Match: $ETAG", "If-Range: $ETAG"),
	withRange(412, `If-Match: "x"`, "If-Range: $ETAG"),

	{name: "If-Range without Range", header: []string{"If-Range: $ETAG"}, status: 200, body: content, agree: true},
	{name: "unsatisfiable, If-Range fails", header: []string{"Range: bytes=36-", `If-Range: "x"`}, status: 200, body: content, agree: true},
	{name: "unsatisfiable, If-Range holds", header: []string{"Range: bytes=36-", "If-Range: $ETAG"}, status: 416, agree: true, want: []string{"Content-Range: bytes */36"}},
	{name: "unsatisfiable, If-None-Match", header: []string{"Range: bytes=36-", "If-None-Match: $ETAG"}, status: 304, agree: true},
	{name: "unsatisfiable, If-Match fails", header: []string{"Range: bytes=36-", `If-Match: "x"`}, status: 412, agree: true},
	{name: "several, If-Range holds", header: []string{"Range: bytes=0-1,4-5", "If-Range: $ETAG"}, status: 206, body: "0145", want: []string{"Content-Range: bytes 0-1/36, 4-5/36"}},
	{name: "several, If-Range fails", header: []string{"Range: bytes=0-1,4-5", `If-Range: "x"`}, status: 200, body: content, agree: true},
	{name: "HEAD, If-None-Match", method: "HEAD", header: []string{"If-None-Match: $ETAG"}, status: 304, agree: true, want: []string{"ETag: $ETAG"}},
	{name: "HEAD, If-Modified-Since", method: "HEAD", header: []string{"If-Modified-Since: $MTIME"}, status: 304, agree: true},
	{name: "HEAD, If-Match fails", method: "HEAD", header: []string{`If-Match: "x"`}, status: 412, agree: true},
	{name: "HEAD, If-Unmodified-Since fails", method: "HEAD", header: []string{"If-Unmodified-Since: $EARLIER"}, status: 412, agree: true},
	{name: "empty file, If-Modified-Since", path: "/empty.bin", header: []string{"If-Modified-Since: $MTIME"}, status: 304, agree: true},
	{name: "folder, If-None-Match", port: "LIST", path: "/dir", header: []string{"If-None-Match: *"}, status: 308},
	{name: "not allowed, If-Match fails", method: "PUT", header: []string{"Content-Length: 0", `If-Match: "x"`}, status: 405},
	{name: "OPTIONS, If-Match fails", method: "OPTIONS", header: []string{`If-Match: "x"`}, status: 200},
}

func ranged(value string, first, last int) exchange {
	return exchange{
		name: value, header: []string{"Range: " + value}, status: 206, body: content[first : last+1], agree: true,
		want: []string{
			fmt.Sprintf("Content-Range: bytes %d-%d/36", first, last), fmt.Sprintf("Content-Length: %d", last-first+1),
			"Accept-Ranges: bytes", "ETag: $ETAG", "Last-Modified: $MTIME",
		},
	}
}

func unsatisfiable(value string) exchange {
	return exchange{
		name: value, header: []string{"Range: " + value}, status: 416, agree: true,
		want: []string{"Content-Range: bytes */36"},
	}
}

func malformed(value string) exchange {
	return ours(unsatisfiable(value))
}

func ignored(value string) exchange {
	return exchange{name: value, header: []string{"Range: " + value}, status: 200, body: content, want: []string{"Content-Range:", "Content-Length: 36"}}
}

// several are ranges that are answered by their plain concatenation.
func several(value, body, contentRange string) exchange {
	name := value
	if len(name) > 60 {
		name = name[:60] + " and more"
	}
	return exchange{
		name: name, header: []string{"Range: " + value}, status: 206, body: body,
		want: []string{"Content-Range: " + contentRange, fmt.Sprintf("Content-Length: %d", len(body)), "Content-Type: application/octet-stream"},
	}
}

func condition(status int, header ...string) exchange {
	e := exchange{name: strings.Join(header, " & "), header: header, status: status, agree: true}
	switch status {
	case 200:
		e.body = content
		e.want = []string{"Content-Length: 36", "ETag: $ETAG"}
	case 304:
		e.want = []string{"ETag: $ETAG", "Content-Length:", "Content-Type:"}
	case 412:
		e.want = []string{"Content-Range:"}
	}
	return e
}

// withRange is a condition on a request for bytes 5 to 9.
func withRange(status int, header ...string) exchange {
	e := condition(status, append([]string{"Range: bytes=5-9"}, header...)...)
	if status == 206 {
		e.body = content[5:10]
		e.want = []string{"Content-Range: bytes 5-9/36", "Content-Length: 5", "ETag: $ETAG"}
	}
	return e
}

// ours marks a row in which the file server differs.
func ours(e exchange) exchange {
	e.agree = false
	return e
}

// TestMatrix sends each row to our server and, where both are to agree, to
// Caddy's file server in the same process.
func TestMatrix(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		maxc 0
		maxp 0
	}
}
http://:{$LIST} {
	httpout {
		rdirs {$ROOT}
		dlist
	}
}
http://:{$STOCK} {
	root {$ROOT}
	file_server
}
`,
		files: map[string]string{
			"f.bin": content, "empty.bin": "", "dir/x": "x",
			"f.txt": "text", "f.mpd": "<MPD/>", "f.m3u8": "#EXTM3U\n",
		},
	})
	for _, name := range []string{"f.bin", "empty.bin", "dir/x"} {
		if err := os.Chtimes(s.file(name), modified, modified); err != nil {
			t.Fatal(err)
		}
	}

	rows := slices.Concat(reading, ranging, conditional)
	t.Logf("%d rows", len(rows))
	names := make(map[string]bool)
	for _, e := range rows {
		if e.path == "" {
			e.path = "/f.bin"
		}
		if e.method == "" {
			e.method = http.MethodGet
		}
		if names[e.name] {
			t.Errorf("there are two rows %q", e.name)
		}
		names[e.name] = true
		t.Run(e.name, func(t *testing.T) {
			port := "HTTP"
			if e.port != "" {
				port = e.port
			}
			got := e.send(t, s.addr(port))
			if !e.agree {
				return
			}
			stock := e.send(t, s.addr("STOCK"))
			fields := []string{"Content-Range"}
			if e.status < 300 {
				fields = append(fields, "Content-Length", "Last-Modified", "Accept-Ranges")
				equal(t, "body, compared with file_server", got.body, stock.body)
			}
			for _, name := range fields {
				equal(t, name+", compared with file_server", got.header.Get(name), stock.header.Get(name))
			}
		})
	}
}

// send sends the request of a row and checks the response.
func (e exchange) send(t *testing.T, addr string) *reply {
	t.Helper()
	etag := raw(t, addr, "HEAD "+e.path+" HTTP/1.1\n\n").header.Get("ETag")
	fill := strings.NewReplacer(
		"$ETAG", etag,
		"$MTIME", modified.Format(http.TimeFormat),
		"$EARLIER", modified.Add(-time.Second).Format(http.TimeFormat),
		"$LATER", modified.Add(time.Second).Format(http.TimeFormat),
	).Replace
	text := fill(e.method + " " + e.path + " HTTP/1.1\n" + strings.Join(e.header, "\n") + "\n\n")
	r := raw(t, addr, text)
	if r.err != nil {
		t.Errorf("the body ended with %v", r.err)
	}
	equal(t, "status", r.status, e.status)
	for _, line := range e.want {
		name, value, _ := strings.Cut(line, ":")
		equal(t, name, strings.Join(r.header.Values(name), " | "), fill(strings.TrimSpace(value)))
	}
	switch {
	case e.method == http.MethodHead || e.status == http.StatusNotModified:
		equal(t, "body", r.body, "")
	case e.status < 300:
		equal(t, "body", r.body, e.body)
	case e.status >= 400 && e.status < 500 && r.body == "" && !strings.Contains(r.header.Get("Server"), "Caddy"):
		t.Error("the error has no text that says why")
	}
	return r
}
