package caddytest_test

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestMultipartRanges asks for several ranges as RFC 9110 section 14.6 has it,
// by the option and by the request, and compares them with those of Caddy's
// file server.
func TestMultipartRanges(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		ranges multipart
	}
}
http://:{$CONCAT} {
	httpout {
		rdirs {$ROOT}
	}
}
http://:{$STOCK} {
	root {$ROOT}
	file_server
}
`,
		files: map[string]string{"f.bin": content},
	})
	for _, value := range []string{
		"bytes=0-1,4-5", "bytes=4-5,0-1", "bytes=0-1,-2", "bytes=0-1,34-", "bytes=0-1,30-99,3-3", "bytes=0-0,99-,4-4",
	} {
		t.Run(value, func(t *testing.T) {
			get := func(port, more string) []string {
				r := raw(t, s.addr(port), "GET /f.bin HTTP/1.1\nRange: "+value+more+"\n\n")
				equal(t, port+": status", r.status, http.StatusPartialContent)
				equal(t, port+": Content-Range", r.header.Get("Content-Range"), "")
				equal(t, port+": Content-Length", r.header.Get("Content-Length"), fmt.Sprint(len(r.body)))
				return parts(t, r)
			}
			want := fmt.Sprintf("%q", get("STOCK", ""))
			equal(t, "parts, by the option", fmt.Sprintf("%q", get("HTTP", "")), want)
			equal(t, "parts, by the request", fmt.Sprintf("%q", get("CONCAT", "\nAccept: multipart/byteranges")), want)
		})
	}
	t.Run("one range", func(t *testing.T) {
		r := raw(t, s.addr("HTTP"), "GET /f.bin HTTP/1.1\nRange: bytes=4-5\n\n")
		wantReply(t, "one range", r, http.StatusPartialContent, "45")
		equal(t, "Content-Range", r.header.Get("Content-Range"), "bytes 4-5/36")
	})
	t.Run("any type is not multipart by name", func(t *testing.T) {
		r := raw(t, s.addr("CONCAT"), "GET /f.bin HTTP/1.1\nRange: bytes=0-1,4-5\nAccept: */*\n\n")
		wantReply(t, "two ranges", r, http.StatusPartialContent, "0145")
	})
}

// parts takes a multipart response apart: a text for each part.
func parts(t *testing.T, r *reply) []string {
	t.Helper()
	typ, params, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil || typ != "multipart/byteranges" {
		t.Fatalf("Content-Type: got %q (%v), want multipart/byteranges", r.header.Get("Content-Type"), err)
	}
	var texts []string
	for rd := multipart.NewReader(strings.NewReader(r.body), params["boundary"]); ; {
		part, err := rd.NextRawPart()
		if err == io.EOF {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, part.Header.Get("Content-Range")+": "+string(data))
	}
}

// TestNoRange turns ranges off.
func TestNoRange(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		norange
	}
}
`,
		files: map[string]string{"f.bin": content},
	})
	for _, value := range []string{"bytes=0-1", "bytes=0-1,4-5", "bytes=99-", "bytes=x"} {
		r := raw(t, s.addr("HTTP"), "GET /f.bin HTTP/1.1\nRange: "+value+"\n\n")
		wantReply(t, value, r, http.StatusOK, content)
		equal(t, value+": Accept-Ranges", r.header.Get("Accept-Ranges"), "none")
		equal(t, value+": Content-Range", r.header.Get("Content-Range"), "")
	}
}

// TestLiveRanges asks for parts of an upload that is in progress, of which 20
// bytes have come.
func TestLiveRanges(t *testing.T) {
	t.Parallel()
	s := start(t, setup{sites: `
http://:{$HTTP} https://localhost:{$HTTPS} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		maxc 0
		maxp 0
	}
}
`})
	const partial = "X-Allow-Open-Partial-Range: "
	for _, tc := range []struct {
		name   string
		header []string
		status int
		want   string // Content-Range
		now    string // what comes before the upload goes on
		later  string // what comes after it went on
		open   bool   // whether the response is still open after now
	}{
		{name: "whole", status: 200, now: content[:20], later: content[20:], open: true},
		{name: "known part", header: []string{"Range: bytes=5-9"}, status: 206, want: "bytes 5-9/*", now: content[5:10]},
		{name: "first byte", header: []string{"Range: bytes=0-0"}, status: 206, want: "bytes 0-0/*", now: content[:1]},
		{name: "last known byte", header: []string{"Range: bytes=19-19"}, status: 206, want: "bytes 19-19/*", now: content[19:20]},
		{name: "over the edge", header: []string{"Range: bytes=15-24"}, status: 206, want: "bytes 15-24/*", now: content[15:20], later: content[20:25], open: true},
		{name: "to come", header: []string{"Range: bytes=25-29"}, status: 206, want: "bytes 25-29/*", later: content[25:30], open: true},
		{name: "beyond the end", header: []string{"Range: bytes=15-99"}, status: 206, want: "bytes 15-99/*", now: content[15:20], later: content[20:], open: true},
		{name: "without end", header: []string{"Range: bytes=15-"}, status: 206, want: "bytes 15-19/*", now: content[15:20]},
		{name: "all without end", header: []string{"Range: bytes=0-"}, status: 206, want: "bytes 0-19/*", now: content[:20]},
		{name: "open range, header", header: []string{"Range: bytes=15-", partial + "1"}, status: 206, want: "bytes 15-/*", now: content[15:20], later: content[20:], open: true},
		{name: "open range, true", header: []string{"Range: bytes=15-", partial + "true"}, status: 206, want: "bytes 15-/*", now: content[15:20], later: content[20:], open: true},
		{name: "open range, yes", header: []string{"Range: bytes=15-", partial + "yes"}, status: 206, want: "bytes 15-/*", now: content[15:20], later: content[20:], open: true},
		{name: "open range, no", header: []string{"Range: bytes=15-", partial + "no"}, status: 206, want: "bytes 15-19/*", now: content[15:20]},
		{name: "open range, agent", header: []string{"Range: bytes=0-", "User-Agent: GPAC/2.5"}, status: 206, want: "bytes 0-/*", now: content[:20], later: content[20:], open: true},
		{name: "suffix", header: []string{"Range: bytes=-5"}, status: 416},
		{name: "malformed", header: []string{"Range: bytes=9-5"}, status: 416},
		{name: "unknown unit", header: []string{"Range: items=5-9"}, status: 200, now: content[:20], later: content[20:], open: true},
	} {
		for _, p := range []protocol{plain, h2, h3} {
			t.Run(tc.name+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				name := "/" + strings.ReplaceAll(t.Name(), "/", "-") + ".bin"
				up := begin(t, newClient(t, plain), http.MethodPut, s.url("HTTP", name))
				up.write(content[:20])
				follow(t, newClient(t, plain), s.url("HTTP", name)).want(content[:20])

				c := newClient(t, p)
				if tc.status >= 400 {
					r := do(t, c, http.MethodGet, s.url(p.port, name), "", tc.header...)
					equal(t, "status", r.status, tc.status)
					return
				}
				f := follow(t, c, s.url(p.port, name), tc.header...)
				equal(t, "status", f.resp.StatusCode, tc.status)
				equal(t, "Content-Range", f.resp.Header.Get("Content-Range"), tc.want)
				f.want(tc.now)
				if !tc.open {
					f.wantEnd("")
				}
				up.write(content[20:])
				equal(t, "status of the upload", up.finish().status, http.StatusCreated)
				if tc.open {
					f.wantEnd(tc.later)
				}
			})
		}
	}
	t.Run("nothing has come", func(t *testing.T) {
		t.Parallel()
		up := begin(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/later.bin"))
		follow(t, newClient(t, plain), s.url("HTTP", "/later.bin"))
		c := newClient(t, plain)
		req := newRequest(t, t.Context(), http.MethodGet, s.url("HTTP", "/later.bin"), nil, "Range: bytes=0-")
		r := make(chan *reply, 1)
		go func() { r <- exchangeOn(c, req) }()
		select {
		case got := <-r:
			t.Errorf("got status %d before there was a byte, want it to wait", got.status)
		case <-time.After(100 * time.Millisecond):
			up.write(content[:4])
			wantReply(t, "the waiting one", <-r, http.StatusPartialContent, content[:4])
		}
		equal(t, "status of the upload", up.finish().status, http.StatusCreated)
	})
}
