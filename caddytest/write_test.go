package caddytest_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// writable is a server on which everything can be read and written, without
// limits other than those of the test.
const writable = `
http://:{$HTTP} https://localhost:{$HTTPS} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		maxc 0
		maxp 0
	}
}
`

// TestWrite is the contract of PUT, POST, PATCH and DELETE, one row a case. Each
// row has a folder of its own, and is sent on a connection of its own.
func TestWrite(t *testing.T) {
	t.Parallel()
	s := start(t, setup{sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		maxs 1000
		maxc 0
		maxp 0
	}
}
`})
	thousand := pattern(1, 1000)
	for _, tc := range []struct {
		name    string
		files   map[string]string
		request string // METHOD is at $DIR; see rawText
		etag    string // the file whose ETag is $ETAG
		status  int
		header  []string          // "Name: value" that the response has, "Name:" that it has not
		after   map[string]string // all the files that are there afterwards; nil: as before
	}{
		{
			name: "new file", request: "PUT $DIR/f HTTP/1.1\nContent-Length: 5\n\nhello",
			status: 201, header: []string{"Content-Length: 0", "Content-Location: $DIR/f"}, after: map[string]string{"f": "hello"},
		},
		{
			name: "replaced", files: map[string]string{"f": "something longer"}, request: "PUT $DIR/f HTTP/1.1\nContent-Length: 5\n\nhello",
			status: 200, header: []string{"Content-Length: 0", "Content-Location: $DIR/f"}, after: map[string]string{"f": "hello"},
		},
		{name: "new file by POST", request: "POST $DIR/f HTTP/1.1\nContent-Length: 5\n\nhello", status: 201, after: map[string]string{"f": "hello"}},
		{name: "replaced by POST", files: map[string]string{"f": "old"}, request: "POST $DIR/f HTTP/1.1\nContent-Length: 5\n\nhello", status: 200, after: map[string]string{"f": "hello"}},
		{name: "in new folders", request: "PUT $DIR/a/b/c/f HTTP/1.1\nContent-Length: 1\n\nx", status: 201, after: map[string]string{"a/b/c/f": "x"}},
		{name: "empty", request: "PUT $DIR/f HTTP/1.1\nContent-Length: 0\n\n", status: 201, after: map[string]string{"f": ""}},
		{name: "empty without a length", request: "PUT $DIR/f HTTP/1.1\n\n", status: 201, after: map[string]string{"f": ""}},
		{name: "emptied", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nContent-Length: 0\n\n", status: 200, after: map[string]string{"f": ""}},
		{name: "chunked", request: "PUT $DIR/f HTTP/1.1\nTransfer-Encoding: chunked\n\n" + chunked("he", "l", "lo"), status: 201, after: map[string]string{"f": "hello"}},
		{name: "Chunked", request: "PUT $DIR/f HTTP/1.1\nTransfer-Encoding: Chunked\n\n" + chunked("hello"), status: 201, after: map[string]string{"f": "hello"}},
		{name: "chunked and empty", request: "PUT $DIR/f HTTP/1.1\nTransfer-Encoding: chunked\n\n" + chunked(), status: 201, after: map[string]string{"f": ""}},
		{name: "type *", request: "PUT $DIR/f HTTP/1.1\nContent-Type: *\nContent-Length: 1\n\nx", status: 201, after: map[string]string{"f": "x"}},
		{name: "any type", request: "PUT $DIR/f HTTP/1.1\nContent-Type: what/ever; a=\"b\nContent-Length: 1\n\nx", status: 201, after: map[string]string{"f": "x"}},
		{
			name: "upgrade to h2c", request: "PUT $DIR/f HTTP/1.1\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\nContent-Length: 5\n\nhello",
			status: 201, after: map[string]string{"f": "hello"},
		},
		{
			name: "upgrade to h2c, chunked", request: "PUT $DIR/f HTTP/1.1\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\nTransfer-Encoding: chunked\n\n" + chunked("he", "llo"),
			status: 201, after: map[string]string{"f": "hello"},
		},
		{name: "HTTP/1.0", request: "PUT $DIR/f HTTP/1.0\nContent-Length: 5\n\nhello", status: 201, after: map[string]string{"f": "hello"}},
		{name: "encoded name", request: "PUT $DIR/%c3%a9%20%25%3f HTTP/1.1\nContent-Length: 1\n\nx", status: 201, after: map[string]string{"é %?": "x"}},
		{name: "query", request: "PUT $DIR/f?g=/h HTTP/1.1\nContent-Length: 1\n\nx", status: 201, after: map[string]string{"f": "x"}},
		{name: "dot file", request: "PUT $DIR/.f HTTP/1.1\nContent-Length: 1\n\nx", status: 201, after: map[string]string{".f": "x"}},

		{name: "at the limit", request: "PUT $DIR/f HTTP/1.1\nContent-Length: 1000\n\n" + thousand, status: 201, after: map[string]string{"f": thousand}},
		{name: "at the limit, chunked", request: "PUT $DIR/f HTTP/1.1\nTransfer-Encoding: chunked\n\n" + chunked(thousand), status: 201, after: map[string]string{"f": thousand}},
		{name: "over the limit, body unread", request: "PUT $DIR/f HTTP/1.1\nContent-Length: 1001\n\n", status: 413, header: []string{"Connection: close"}},
		{name: "over the limit", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nContent-Length: 1001\n\n" + thousand + "x", status: 413},
		{name: "over the limit, chunked", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nTransfer-Encoding: chunked\n\n" + chunked(thousand, "x"), status: 413},
		{name: "over the limit, chunked, new", request: "PUT $DIR/a/f HTTP/1.1\nTransfer-Encoding: chunked\n\n" + chunked(thousand, "x"), status: 413},

		{name: "folder", files: map[string]string{"d/x": "x"}, request: "PUT $DIR/d HTTP/1.1\nContent-Length: 1\n\nx", status: 409},
		{name: "folder with slash", files: map[string]string{"d/x": "x"}, request: "PUT $DIR/d/ HTTP/1.1\nContent-Length: 1\n\nx", status: 409},
		{name: "name with slash", request: "PUT $DIR/f/ HTTP/1.1\nContent-Length: 1\n\nx", status: 409},
		{name: "below a file", files: map[string]string{"f": "old"}, request: "PUT $DIR/f/g HTTP/1.1\nContent-Length: 1\n\nx", status: 409},

		{
			name: "range by Range", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=2-5\nContent-Length: 4\n\nWXYZ",
			status: 200, header: []string{"Content-Length: 0"}, after: map[string]string{"f": "01WXYZ" + content[6:]},
		},
		{name: "range by Content-Range", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nContent-Range: bytes 2-5/36\nContent-Length: 4\n\nWXYZ", status: 200, after: map[string]string{"f": "01WXYZ" + content[6:]}},
		{name: "range of any size", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nContent-Range: bytes 2-5/*\nContent-Length: 4\n\nWXYZ", status: 200, after: map[string]string{"f": "01WXYZ" + content[6:]}},
		{name: "range by POST", files: map[string]string{"f": content}, request: "POST $DIR/f HTTP/1.1\nRange: bytes=2-5\nContent-Length: 4\n\nWXYZ", status: 200, after: map[string]string{"f": "01WXYZ" + content[6:]}},
		{name: "range by PATCH", files: map[string]string{"f": content}, request: "PATCH $DIR/f HTTP/1.1\nContent-Range: bytes 2-5/36\nContent-Length: 4\n\nWXYZ", status: 200, after: map[string]string{"f": "01WXYZ" + content[6:]}},
		{name: "range by PATCH and Range", files: map[string]string{"f": content}, request: "PATCH $DIR/f HTTP/1.1\nRange: bytes=0-0\nContent-Length: 1\n\nW", status: 200, after: map[string]string{"f": "W" + content[1:]}},
		{name: "range, chunked", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=2-5\nTransfer-Encoding: chunked\n\n" + chunked("WX", "YZ"), status: 200, after: map[string]string{"f": "01WXYZ" + content[6:]}},
		{name: "both fields", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=2-5\nContent-Range: bytes 2-5/36\nContent-Length: 4\n\nWXYZ", status: 200, after: map[string]string{"f": "01WXYZ" + content[6:]}},
		{name: "both fields disagree", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=2-5\nContent-Range: bytes 3-6/36\nContent-Length: 4\n\nWXYZ", status: 400},
		{name: "several ranges", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=0-1,10-11,4-4\nContent-Length: 5\n\nABCDE", status: 200, after: map[string]string{"f": "AB23E56789CD" + content[12:]}},
		{name: "several ranges by Content-Range", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nContent-Range: bytes 0-1/36, 4-4/36\nContent-Length: 3\n\nABC", status: 400},
		{name: "to the end", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=34-\nContent-Length: 2\n\nYZ", status: 200, after: map[string]string{"f": content[:34] + "YZ"}},
		{name: "over the end", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=34-37\nContent-Length: 4\n\nWXYZ", status: 200, after: map[string]string{"f": content[:34] + "WXYZ"}},
		{name: "appended", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=3-5\nContent-Length: 3\n\nnew", status: 200, after: map[string]string{"f": "oldnew"}},
		{name: "appended by Content-Range", files: map[string]string{"f": "old"}, request: "PATCH $DIR/f HTTP/1.1\nContent-Range: bytes 3-5/6\nContent-Length: 3\n\nnew", status: 200, after: map[string]string{"f": "oldnew"}},
		{name: "appended, open range", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=3-\nTransfer-Encoding: chunked\n\n" + chunked("n", "ew"), status: 200, after: map[string]string{"f": "oldnew"}},
		{name: "appended with the old size", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nContent-Range: bytes 3-5/3\nContent-Length: 3\n\nnew", status: 400},
		{name: "a gap", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=4-6\nContent-Length: 3\n\nnew", status: 416, header: []string{"Content-Range: bytes */3"}},
		{name: "a gap before the second range", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=0-0,9-9\nContent-Length: 2\n\nAB", status: 416, header: []string{"Content-Range: bytes */3"}},
		{name: "range of a new file", request: "PUT $DIR/f HTTP/1.1\nRange: bytes=0-2\nContent-Length: 3\n\nnew", status: 201, after: map[string]string{"f": "new"}},
		{name: "later range of no file", request: "PUT $DIR/f HTTP/1.1\nRange: bytes=1-3\nContent-Length: 3\n\nnew", status: 416},
		{name: "body shorter than the range", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=2-5\nContent-Length: 3\n\nWXY", status: 400},
		{name: "body longer than the range", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=2-5\nContent-Length: 5\n\nVWXYZ", status: 400},
		{name: "chunked body shorter than the range", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=2-5\nTransfer-Encoding: chunked\n\n" + chunked("WXY"), status: 400},
		{name: "chunked body longer than the range", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=2-5\nTransfer-Encoding: chunked\n\n" + chunked("WXYZ", "!"), status: 400},
		{name: "wrong size", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nContent-Range: bytes 2-5/99\nContent-Length: 4\n\nWXYZ", status: 400},
		{name: "malformed Range", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=5-2\nContent-Length: 4\n\nWXYZ", status: 400},
		{name: "malformed Content-Range", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nContent-Range: bytes=2-5\nContent-Length: 4\n\nWXYZ", status: 400},
		{name: "unsatisfied Content-Range", files: map[string]string{"f": content}, request: "PUT $DIR/f HTTP/1.1\nContent-Range: bytes */36\nContent-Length: 4\n\nWXYZ", status: 400},
		{name: "PATCH without a range", files: map[string]string{"f": content}, request: "PATCH $DIR/f HTTP/1.1\nContent-Length: 4\n\nWXYZ", status: 400},
		{name: "PATCH of byteranges", files: map[string]string{"f": content}, request: "PATCH $DIR/f HTTP/1.1\nContent-Type: message/byteranges\nContent-Length: 4\n\nWXYZ", status: 415},
		{name: "range of a folder", files: map[string]string{"d/x": "x"}, request: "PUT $DIR/d HTTP/1.1\nRange: bytes=0-0\nContent-Length: 1\n\nx", status: 409},
		{name: "range over the limit", files: map[string]string{"f": thousand}, request: "PUT $DIR/f HTTP/1.1\nRange: bytes=0-1000\nContent-Length: 1001\n\n", status: 413},

		{name: "If-Match holds", files: map[string]string{"f": "old"}, etag: "f", request: "PUT $DIR/f HTTP/1.1\nIf-Match: $ETAG\nContent-Length: 3\n\nnew", status: 200, after: map[string]string{"f": "new"}},
		{name: "If-Match fails", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nIf-Match: \"x\"\nContent-Length: 3\n\nnew", status: 412},
		{name: "If-Match of a weak tag", files: map[string]string{"f": "old"}, etag: "f", request: "PUT $DIR/f HTTP/1.1\nIf-Match: W/$ETAG\nContent-Length: 3\n\nnew", status: 412},
		{name: "If-Match of any", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nIf-Match: *\nContent-Length: 3\n\nnew", status: 200, after: map[string]string{"f": "new"}},
		{name: "If-Match of none", request: "PUT $DIR/f HTTP/1.1\nIf-Match: *\nContent-Length: 3\n\nnew", status: 412},
		{name: "If-None-Match of any", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nIf-None-Match: *\nContent-Length: 3\n\nnew", status: 412},
		{name: "If-None-Match of none", request: "PUT $DIR/f HTTP/1.1\nIf-None-Match: *\nContent-Length: 3\n\nnew", status: 201, after: map[string]string{"f": "new"}},
		{name: "If-None-Match of this", files: map[string]string{"f": "old"}, etag: "f", request: "PUT $DIR/f HTTP/1.1\nIf-None-Match: $ETAG\nContent-Length: 3\n\nnew", status: 412},
		{name: "If-Unmodified-Since fails", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nIf-Unmodified-Since: Wed, 01 May 2013 12:30:15 GMT\nContent-Length: 3\n\nnew", status: 412},
		{name: "If-Unmodified-Since holds", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nIf-Unmodified-Since: Wed, 01 May 2069 12:30:15 GMT\nContent-Length: 3\n\nnew", status: 200, after: map[string]string{"f": "new"}},
		{name: "POST, If-Match fails", files: map[string]string{"f": "old"}, request: "POST $DIR/f HTTP/1.1\nIf-Match: \"x\"\nContent-Length: 3\n\nnew", status: 412},
		{name: "PATCH, If-Match fails", files: map[string]string{"f": "old"}, request: "PATCH $DIR/f HTTP/1.1\nRange: bytes=0-2\nIf-Match: \"x\"\nContent-Length: 3\n\nnew", status: 412},
		{name: "range, If-Match holds", files: map[string]string{"f": "old"}, etag: "f", request: "PUT $DIR/f HTTP/1.1\nRange: bytes=0-2\nIf-Match: $ETAG\nContent-Length: 3\n\nnew", status: 200, after: map[string]string{"f": "new"}},
		{name: "DELETE, If-Match fails", files: map[string]string{"f": "old"}, request: "DELETE $DIR/f HTTP/1.1\nIf-Match: \"x\"\n\n", status: 412},
		{name: "DELETE, If-Match holds", files: map[string]string{"f": "old", "g": "g"}, etag: "f", request: "DELETE $DIR/f HTTP/1.1\nIf-Match: $ETAG\n\n", status: 200, after: map[string]string{"g": "g"}},
		{name: "condition before the body", files: map[string]string{"f": "old"}, request: "PUT $DIR/f HTTP/1.1\nIf-None-Match: *\nContent-Length: 900\n\n", status: 412},

		{name: "DELETE", files: map[string]string{"f": "old", "g": "g"}, request: "DELETE $DIR/f HTTP/1.1\n\n", status: 200, after: map[string]string{"g": "g"}},
		{name: "DELETE of nothing", files: map[string]string{"g": "g"}, request: "DELETE $DIR/f HTTP/1.1\n\n", status: 204},
		{name: "DELETE of nothing in no folder", request: "DELETE $DIR/a/b HTTP/1.1\n\n", status: 204},
		{name: "DELETE of a folder", files: map[string]string{"d/x": "x"}, request: "DELETE $DIR/d HTTP/1.1\n\n", status: 409},
		{name: "DELETE of a folder with slash", files: map[string]string{"d/x": "x"}, request: "DELETE $DIR/d/ HTTP/1.1\n\n", status: 409},
		{name: "DELETE of an empty folder", files: map[string]string{"d/": ""}, request: "DELETE $DIR/d HTTP/1.1\n\n", status: 409},
		{name: "OPTIONS", request: "OPTIONS $DIR/f HTTP/1.1\n\n", status: 200, header: []string{"Content-Length: 0", "Allow: GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS"}},
		{name: "unknown method", files: map[string]string{"f": "old"}, request: "MKCOL $DIR/d HTTP/1.1\n\n", status: 501},
		{name: "source", files: map[string]string{"f": "old"}, request: "SOURCE $DIR/f HTTP/1.1\nContent-Length: 0\n\n", status: 405},
		{name: "temporary name", request: "PUT $DIR/.httpout-ABCDEFGHIJKLMNOP.tmp HTTP/1.1\nContent-Length: 1\n\nx", status: 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := "/" + strings.Map(func(r rune) rune {
				if strings.ContainsRune(" ,*/", r) {
					return '-'
				}
				return r
			}, tc.name)
			for name, text := range tc.files {
				writeFile(t, s.root+dir+"/"+name, text)
			}
			before := s.tree(t)
			fill := strings.NewReplacer("$DIR", dir).Replace
			if tc.etag != "" {
				etag := raw(t, s.addr("HTTP"), "HEAD "+dir+"/"+tc.etag+" HTTP/1.1\n\n").header.Get("ETag")
				fill = strings.NewReplacer("$DIR", dir, "$ETAG", etag).Replace
			}

			r := raw(t, s.addr("HTTP"), fill(tc.request))
			if r.err != nil {
				t.Errorf("the body ended with %v", r.err)
			}
			equal(t, "status", r.status, tc.status)
			for _, line := range tc.header {
				name, value, _ := strings.Cut(line, ":")
				equal(t, name, r.header.Get(name), fill(strings.TrimSpace(value)))
			}
			method, _, _ := strings.Cut(tc.request, " ")
			if r.status < 300 && method != "DELETE" && method != "OPTIONS" && method != "PATCH" {
				path, _, _ := strings.Cut(strings.Fields(fill(tc.request))[1], "?")
				head := raw(t, s.addr("HTTP"), "HEAD "+path+" HTTP/1.1\n\n")
				equal(t, "ETag, compared with HEAD", r.header.Get("ETag"), head.header.Get("ETag"))
			}
			if tc.after == nil {
				equal(t, "files", fmt.Sprint(s.tree(t)), fmt.Sprint(before))
				tc.after = tc.files
			}
			var want []string
			for name, text := range tc.after {
				if !strings.HasSuffix(name, "/") {
					s.wantFile(t, dir+"/"+name, text)
				}
				want = append(want, name)
			}
			slices.Sort(want)
			var got []string
			for _, name := range s.tree(t) {
				if rest, ok := strings.CutPrefix("/"+name, dir+"/"); ok && rest != "" {
					got = append(got, rest)
				}
			}
			equal(t, "files", fmt.Sprintf("%q", got), fmt.Sprintf("%q", want))
		})
	}
}

// TestExpectContinue uploads with Expect: 100-continue, as curl does with large
// files: the body is asked for only if it will be taken.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		maxs 1000
		timeout 1s
		maxc 0
		maxp 0
	}
}
http://:{$READONLY} {
	httpout {
		rdirs {$ROOT}
		timeout 1s
		maxc 0
		maxp 0
	}
}
`,
		files: map[string]string{"dir/x": "x", "old": "old"},
	})
	for _, tc := range []struct {
		name, port, request string
		status              int
	}{
		{"accepted", "HTTP", "PUT /new HTTP/1.1\nContent-Length: 5", 201},
		{"accepted, replacing", "HTTP", "PUT /old HTTP/1.1\nContent-Length: 5", 200},
		{"accepted, range", "HTTP", "PUT /dir/x HTTP/1.1\nRange: bytes=1-5\nContent-Length: 5", 200},
		{"too large", "HTTP", "PUT /large HTTP/1.1\nContent-Length: 1001", 413},
		{"folder", "HTTP", "PUT /dir HTTP/1.1\nContent-Length: 5", 409},
		{"condition", "HTTP", "PUT /old HTTP/1.1\nIf-None-Match: *\nContent-Length: 5", 412},
		{"gap", "HTTP", "PUT /old HTTP/1.1\nRange: bytes=90-94\nContent-Length: 5", 416},
		{"length and range", "HTTP", "PUT /old HTTP/1.1\nRange: bytes=0-1\nContent-Length: 5", 400},
		{"read only", "READONLY", "PUT /new2 HTTP/1.1\nContent-Length: 5", 405},
		{"chunked, refused", "HTTP", "PUT /dir HTTP/1.1\nTransfer-Encoding: chunked", 409},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := dial(t, s.addr(tc.port))
			c.send(rawText(tc.request + "\nExpect: 100-continue\n\n"))
			if tc.status < 300 {
				line, err := c.rd.ReadString('\n')
				if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
					t.Fatalf("got %q (%v), want 100 Continue", line, err)
				}
				if line, err = c.rd.ReadString('\n'); line != "\r\n" {
					t.Fatalf("got %q (%v), want the end of the head", line, err)
				}
				c.send("hello")
				equal(t, "status", c.want("PUT").status, tc.status)
				return
			}
			begin := time.Now()
			r := c.want("PUT")
			equal(t, "status", r.status, tc.status)
			equal(t, "Connection", r.header.Get("Connection"), "close")
			if took := time.Since(begin); took > 500*time.Millisecond {
				t.Errorf("got the refusal after %v, want it at once", took)
			}
			c.wantEOF() // not later than the timeout
		})
	}
	t.Run("curl", func(t *testing.T) {
		writeFile(t, s.dir+"/big", pattern(2, 4_000_000))
		begin := time.Now()
		out, err := exec.CommandContext(t.Context(), tool(t, "curl"), "-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_upload}",
			"-H", "Expect: 100-continue", "--expect100-timeout", "30", "-T", s.dir+"/big", s.url("HTTP", "/big")).CombinedOutput()
		equal(t, "curl", strings.TrimSpace(string(out)), "413 0")
		if err != nil || time.Since(begin) > 10*time.Second {
			t.Errorf("got %v after %v, want the refusal at once", err, time.Since(begin))
		}
	})
}

// TestShortBodyKeepsOldFile ends an upload before its declared length.
func TestShortBodyKeepsOldFile(t *testing.T) {
	t.Parallel()
	s := start(t, setup{sites: writable, files: map[string]string{"old": "old"}})
	for _, tc := range []struct{ name, request string }{
		{"short", "PUT /%s HTTP/1.1\nContent-Length: 10\n\nhello"},
		{"nothing", "PUT /%s HTTP/1.1\nContent-Length: 10\n\n"},
		{"chunked without end", "PUT /%s HTTP/1.1\nTransfer-Encoding: chunked\n\n5\r\nhello\r\n"},
		{"chunk cut off", "PUT /%s HTTP/1.1\nTransfer-Encoding: chunked\n\n5\r\nhel"},
		{"malformed chunk", "PUT /%s HTTP/1.1\nTransfer-Encoding: chunked\n\n5\r\nhello\r\nxyz\r\n"},
		{"short patch", "PUT /%s HTTP/1.1\nRange: bytes=0-9\nContent-Length: 10\n\nhello"},
	} {
		for _, file := range []string{"old", "new/x"} {
			t.Run(tc.name+", "+file, func(t *testing.T) {
				c := dial(t, s.addr("HTTP"))
				c.send(rawText(fmt.Sprintf(tc.request, file)))
				c.Conn.(interface{ CloseWrite() error }).CloseWrite()
				if r, err := c.response("PUT"); err == nil && r.status < 400 {
					t.Errorf("got status %d, want an error", r.status)
				}
				io.Copy(io.Discard, c.rd) // until the server has closed it
				await(t, wait, "only the old file to be there", func() error {
					if got := s.tree(t); !slices.Equal(got, []string{"old"}) {
						return fmt.Errorf("got %q, want old alone", got)
					}
					return nil
				})
				s.wantFile(t, "old", "old")
			})
		}
	}
}

// TestDeletePrunesFolders checks which folders go with their last file: those
// that uploads have made.
func TestDeletePrunesFolders(t *testing.T) {
	t.Parallel()
	s := start(t, setup{sites: writable, files: map[string]string{"there/": "", "there/before/": ""}})
	c := newClient(t, plain)
	put := func(path string) {
		t.Helper()
		equal(t, "PUT "+path, do(t, c, http.MethodPut, s.url("HTTP", path), "x").status, http.StatusCreated)
	}
	remove := func(path string) {
		t.Helper()
		equal(t, "DELETE "+path, do(t, c, http.MethodDelete, s.url("HTTP", path), "").status, http.StatusOK)
	}
	wantTree := func(want ...string) {
		t.Helper()
		equal(t, "files", fmt.Sprintf("%q", s.tree(t)), fmt.Sprintf("%q", want))
	}
	put("/made/a/b/x")
	put("/made/y")
	put("/there/x")
	put("/there/before/made/x")
	wantTree("made/a/b/x", "made/y", "there/before/made/x", "there/x")
	remove("/made/a/b/x")
	wantTree("made/y", "there/before/made/x", "there/x")
	remove("/there/before/made/x")
	wantTree("made/y", "there/before/", "there/x")
	remove("/made/y")
	remove("/there/x")
	wantTree("there/before/")
}

// TestDeleteLetsReadersFinish deletes a file that is being read, and one that is
// being uploaded.
func TestDeleteLetsReadersFinish(t *testing.T) {
	t.Parallel()
	large := pattern(7, 20_000_000)
	s := start(t, setup{sites: writable, files: map[string]string{"large.bin": large}})
	c := newClient(t, plain)
	f := follow(t, newClient(t, plain), s.url("HTTP", "/large.bin"))
	f.want(large[:1000])
	equal(t, "DELETE", do(t, c, http.MethodDelete, s.url("HTTP", "/large.bin"), "").status, http.StatusOK)
	equal(t, "GET afterwards", do(t, c, http.MethodGet, s.url("HTTP", "/large.bin"), "").status, http.StatusNotFound)
	f.wantEnd(large[1000:])

	equal(t, "PUT", do(t, c, http.MethodPut, s.url("HTTP", "/x.bin"), "old").status, http.StatusCreated)
	up := begin(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/x.bin"))
	up.write("one")
	f = newestOf(t, s, "/x.bin")
	equal(t, "DELETE", do(t, c, http.MethodDelete, s.url("HTTP", "/x.bin"), "").status, http.StatusOK)
	s.wantNoFile(t, "x.bin")
	up.write("two")
	up.finish()
	f.wantEnd("onetwo")
	s.wantFile(t, "x.bin", "onetwo")
}

// TestReplaceDoesNotTearReaders replaces a file again and again while it is
// read: each response is one version, whole.
func TestReplaceDoesNotTearReaders(t *testing.T) {
	t.Parallel()
	const size = 1_000_000
	version := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), size+i) }
	s := start(t, setup{sites: writable, files: map[string]string{"f.bin": version(0)}})
	rounds := 50
	if testing.Short() {
		rounds = 10
	}
	stop := make(chan struct{})
	failed := make(chan error, 4)
	for _, p := range protocols {
		c := newClient(t, p)
		go func() {
			for {
				select {
				case <-stop:
					failed <- nil
					return
				default:
				}
				r := exchangeOn(c, newRequest(t, t.Context(), http.MethodGet, s.url(p.port, "/f.bin"), nil))
				if r.err != nil || r.status != http.StatusOK || len(r.body) < size || strings.Trim(r.body, r.body[:1]) != "" ||
					r.body != version(len(r.body)-size) {
					failed <- fmt.Errorf("%s: got status %d and %d bytes (%v), want one whole version", p.name, r.status, len(r.body), r.err)
					return
				}
			}
		}()
	}
	c := newClient(t, plain)
	for i := range rounds {
		equal(t, "status", do(t, c, http.MethodPut, s.url("HTTP", "/f.bin"), version(i+1)).status, http.StatusOK)
	}
	close(stop)
	for range protocols {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

// TestPatchIsAtomic reads a file while ranges of it are rewritten and appended:
// readers never see half of it.
func TestPatchIsAtomic(t *testing.T) {
	t.Parallel()
	const size = 300_000
	s := start(t, setup{sites: writable, files: map[string]string{"f.bin": strings.Repeat("a", size)}})
	up := begin(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/f.bin"), fmt.Sprintf("Content-Range: bytes 0-%d/*", size-1))
	up.write(strings.Repeat("b", size/2))
	s.awaitTemporary(t)
	c := newClient(t, plain)
	wantReply(t, "while it is patched", do(t, c, http.MethodGet, s.url("HTTP", "/f.bin"), ""), http.StatusOK, strings.Repeat("a", size))
	up.write(strings.Repeat("b", size/2))
	equal(t, "status of the patch", up.finish().status, http.StatusOK)
	wantReply(t, "patched", do(t, c, http.MethodGet, s.url("HTTP", "/f.bin"), ""), http.StatusOK, strings.Repeat("b", size))

	up = begin(t, newClient(t, plain), http.MethodPatch, s.url("HTTP", "/f.bin"), fmt.Sprintf("Content-Range: bytes %d-%d/*", size, size+9))
	up.write("01234")
	s.awaitTemporary(t)
	wantReply(t, "while it is appended to", do(t, c, http.MethodGet, s.url("HTTP", "/f.bin"), ""), http.StatusOK, strings.Repeat("b", size))
	up.abort()
	s.wantNoTemporaries(t)
	wantReply(t, "after the append failed", do(t, c, http.MethodGet, s.url("HTTP", "/f.bin"), ""), http.StatusOK, strings.Repeat("b", size))
	if info, err := os.Stat(s.file("f.bin")); err != nil || info.Size() != size {
		t.Errorf("size on disk: got %v (%v), want %d", info.Size(), err, size)
	}
}
