package handler

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

func TestPartialWrites(t *testing.T) {
	const old = "0123456789"
	for _, tc := range []struct {
		name   string
		header []string
		body   string
		status int
		want   string // the file, "" if it is as it was
	}{
		{"by Range", []string{"Range: bytes=2-4"}, "abc", 200, "01abc56789"},
		{"by Content-Range", []string{"Content-Range: bytes 2-4/10"}, "abc", 200, "01abc56789"},
		{"of any size", []string{"Content-Range: bytes 2-4/*"}, "abc", 200, "01abc56789"},
		{"by both", []string{"Range: bytes=2-4", "Content-Range: bytes 2-4/10"}, "abc", 200, "01abc56789"},
		{"by an open range and its Content-Range", []string{"Range: bytes=2-", "Content-Range: bytes 2-4/10"}, "abc", 200, "01abc56789"},
		{"from the start", []string{"Range: bytes=0-1"}, "ab", 200, "ab23456789"},
		{"all of it", []string{"Range: bytes=0-9"}, "abcdefghij", 200, "abcdefghij"},
		{"the end", []string{"Range: bytes=-2"}, "ab", 200, "01234567ab"},
		{"over the end", []string{"Range: bytes=8-11"}, "abcd", 200, "01234567abcd"},
		{"over the end, open", []string{"Range: bytes=8-"}, "abcd", 200, "01234567abcd"},
		{"in the middle, open", []string{"Range: bytes=2-"}, "abc", 200, "01abc56789"},
		{"append", []string{"Range: bytes=10-12"}, "abc", 200, old + "abc"},
		{"append, open", []string{"Range: bytes=10-"}, "abc", 200, old + "abc"},
		{"append by Content-Range", []string{"Content-Range: bytes 10-12/13"}, "abc", 200, old + "abc"},
		{"append of any size", []string{"Content-Range: bytes 10-12/*"}, "abc", 200, old + "abc"},
		{"append with the size before", []string{"Content-Range: bytes 10-12/10"}, "abc", 400, ""},
		{"several", []string{"Range: bytes=0-1,8-9"}, "abcd", 200, "ab234567cd"},
		{"several, as the reference", []string{"Range: bytes=0-1,bytes=8-9"}, "abcd", 200, "ab234567cd"},
		{"several in two lines", []string{"Range: bytes=0-1", "Range: bytes=8-9"}, "abcd", 200, "ab234567cd"},
		{"several, the last open", []string{"Range: bytes=0-1,9-"}, "abcd", 200, "ab2345678cd"},
		{"several, overlapping", []string{"Range: bytes=0-3,2-5"}, "aaaabbbb", 200, "aabbbb6789"},
		{"a range that the one before makes possible", []string{"Range: bytes=10-11,12-13"}, "abcd", 200, old + "abcd"},
		{"a gap", []string{"Range: bytes=11-12"}, "ab", 416, ""},
		{"a gap by Content-Range", []string{"Content-Range: bytes 11-12/13"}, "ab", 416, ""},
		{"a gap in the second", []string{"Range: bytes=0-0,12-12"}, "ab", 416, ""},
		{"suffix of nothing", []string{"Range: bytes=-0"}, "", 416, ""},
		{"too many", []string{"Range: bytes=" + strings.Repeat("0-0,", 64) + "0-0"}, strings.Repeat("a", 65), 416, ""},
		{"body too short", []string{"Range: bytes=2-4"}, "ab", 400, ""},
		{"body too long", []string{"Range: bytes=2-4"}, "abcd", 400, ""},
		{"no body", []string{"Content-Range: bytes 2-4/10"}, "", 400, ""},
		{"no body for an open range", []string{"Range: bytes=2-"}, "", 400, ""},
		{"wrong size", []string{"Content-Range: bytes 2-4/11"}, "abc", 400, ""},
		{"the fields disagree", []string{"Range: bytes=2-4", "Content-Range: bytes 3-5/10"}, "abc", 400, ""},
		{"malformed Range", []string{"Range: bytes=4-2"}, "abc", 400, ""},
		{"empty Range", []string{"Range: "}, "abc", 400, ""},
		{"unknown unit", []string{"Range: items=2-4"}, "abc", 400, ""},
		{"malformed Content-Range", []string{"Content-Range: bytes=2-4"}, "abc", 400, ""},
		{"Content-Range of 416", []string{"Content-Range: bytes */10"}, "abc", 400, ""},
		{"unknown unit of Content-Range", []string{"Content-Range: items 2-4/10"}, "abc", 400, ""},
		{"two Content-Ranges", []string{"Content-Range: bytes 0-1/10", "Content-Range: bytes 8-9/10"}, "abcd", 400, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodPatch} {
				for _, declared := range []bool{true, false} {
					what := method + map[bool]string{true: "", false: ", chunked"}[declared]
					s := newSite(t, readWrite, map[string]string{"www/a": old})
					r := newRequest(method, "/a", tc.body, tc.header...)
					if !declared {
						r = chunked(method, "/a", strings.NewReader(tc.body), tc.header...)
					}
					got := s.serve(r)
					wantStatus(t, what, got, tc.status)
					want := old
					if tc.want != "" {
						want = tc.want
						wantHeader(t, what, got.header, "Content-Location: /a", "Content-Length: 0", "ETag: "+s.get("/a").header.Get("ETag"))
					}
					if tc.status == http.StatusRequestedRangeNotSatisfiable {
						wantHeader(t, what, got.header, "Content-Range: bytes */10")
					}
					equal(t, what+": content", s.content("www/a"), want)
					equal(t, what+": files", strings.Join(s.names("www"), " "), "a")
					wantNoTemps(t, s)
				}
			}
		})
	}
}

func TestPartialWritesOfNewFile(t *testing.T) {
	for _, tc := range []struct {
		name, header string
		status       int
		want         string
	}{
		{"from the start", "Range: bytes=0-3", 201, "abcd"},
		{"from the start, open", "Range: bytes=0-", 201, "abcd"},
		{"by Content-Range", "Content-Range: bytes 0-3/4", 201, "abcd"},
		{"of any size", "Content-Range: bytes 0-3/*", 201, "abcd"},
		{"from the start, in two", "Range: bytes=0-1,2-3", 201, "abcd"},
		{"of another size", "Content-Range: bytes 0-3/9", 400, ""},
		{"later", "Range: bytes=1-4", 416, ""},
		{"later, open", "Range: bytes=1-", 416, ""},
		{"suffix", "Range: bytes=-4", 416, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, readWrite, map[string]string{"www/": ""})
			r := s.do(http.MethodPut, "/d/a", "abcd", tc.header)
			wantStatus(t, "PUT", r, tc.status)
			equal(t, "content", s.content("www/d/a"), tc.want)
			if tc.status == http.StatusRequestedRangeNotSatisfiable {
				wantHeader(t, "PUT", r.header, "Content-Range: bytes */0")
			}
			if tc.want == "" {
				equal(t, "files", strings.Join(s.names("www"), " "), "")
			}
			wantNoTemps(t, s)
		})
	}
}

func TestPatchIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		header     []string
		status     int
	}{
		{"without a range", "/a", nil, 400},
		{"with parts", "/a", []string{"Content-Type: message/byteranges; boundary=x", "Content-Range: bytes 0-0/1"}, 415},
		{"with parts and no range", "/a", []string{"Content-Type: Message/Byteranges"}, 415},
		{"of a folder", "/d", []string{"Content-Range: bytes 0-0/*"}, 409},
		{"of a folder with its slash", "/d/", []string{"Content-Range: bytes 0-0/*"}, 409},
		{"of the root", "/", []string{"Content-Range: bytes 0-0/*"}, 409},
		{"with a slash", "/a/", []string{"Content-Range: bytes 0-0/*"}, 409},
		{"through a file", "/a/b", []string{"Content-Range: bytes 0-0/*"}, 409},
		{"of a hidden name", "/secret", []string{"Content-Range: bytes 0-0/*"}, 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := readWrite
			o.Hide = []string{"secret"}
			s := newSite(t, o, map[string]string{"www/a": "a", "www/d/": "", "www/secret": "s"})
			wantStatus(t, "PATCH", s.do(http.MethodPatch, tc.path, "x", tc.header...), tc.status)
			equal(t, "files", strings.Join(s.names("www"), " "), "a d secret")
			equal(t, "content", s.content("www/a")+s.content("www/secret"), "as")
		})
	}
}

func TestPartialWriteIsRefusedBeforeItsBodyIsRead(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/a": "0123456789"})
	for _, tc := range []struct {
		header string
		length int64
		status int
	}{
		{"Range: bytes=11-12", -1, 416},
		{"Range: bytes=11-12", 2, 416},
		{"Range: bytes=1-2", 3, 400},
		{"Range: nonsense", -1, 400},
		{"Content-Range: bytes 1-2/99", -1, 400},
	} {
		r := chunked(http.MethodPut, "/a", unread{t}, tc.header)
		r.ContentLength = tc.length
		wantStatus(t, tc.header, s.serve(r), tc.status)
	}
}

// TestReadersNeverSeeHalfAPatch looks at the file while a patch arrives, and
// follows the version before it.
func TestReadersNeverSeeHalfAPatch(t *testing.T) {
	for _, header := range []string{"Range: bytes=0-3,8-9", "Content-Range: bytes 10-15/16"} {
		t.Run(header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, readWrite, map[string]string{"www/a": "0123456789"})
				tag := s.get("/a").header.Get("ETag")
				body, client := newPipe()
				x := s.start(chunked(http.MethodPatch, "/a", body, header))
				client.send(t, "abc")
				r := s.get("/a")
				wantReply(t, "GET meanwhile", r, http.StatusOK, "0123456789")
				wantHeader(t, "GET meanwhile", r.header, "ETag: "+tag, "Incremental:")
				client.send(t, "def")
				client.Close()
				wantStatus(t, "PATCH", x.wait(), http.StatusOK)
				if header[0] == 'R' {
					wantReply(t, "GET", s.get("/a"), http.StatusOK, "abcd4567ef")
				} else {
					wantReply(t, "GET", s.get("/a"), http.StatusOK, "0123456789abcdef")
				}
			})
		})
	}
}

// TestPatchIsForTheFileAtTheEnd has the file replaced by a shorter one while
// the patch arrives.
func TestPatchIsForTheFileAtTheEnd(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/a": "0123456789"})
	body := io.MultiReader(strings.NewReader("ab"), meanwhile(func() { s.do(http.MethodPut, "/a", "short") }))
	r := s.serve(chunked(http.MethodPatch, "/a", body, "Range: bytes=8-9"))
	wantStatus(t, "PATCH", r, http.StatusRequestedRangeNotSatisfiable)
	wantHeader(t, "PATCH", r.header, "Content-Range: bytes */5")
	equal(t, "content", s.content("www/a"), "short")
}
