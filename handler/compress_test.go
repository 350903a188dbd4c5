package handler

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// decode undoes a content coding.
func decode(t testing.TB, coding, body string) string {
	t.Helper()
	var rd io.Reader
	var err error
	switch coding {
	case "":
		return body
	case "gzip":
		rd, err = gzip.NewReader(strings.NewReader(body))
	case "deflate":
		rd, err = zlib.NewReader(strings.NewReader(body))
	case "zstd":
		var dec *zstd.Decoder
		if dec, err = zstd.NewReader(strings.NewReader(body)); err == nil {
			defer dec.Close()
			rd = dec
		}
	default:
		t.Fatalf("unknown Content-Encoding %q", coding)
	}
	if err != nil {
		t.Fatalf("%s: %v", coding, err)
	}
	b, err := io.ReadAll(rd)
	if err != nil {
		t.Fatalf("%s: %v", coding, err)
	}
	return string(b)
}

// noise returns bytes that no coding makes smaller.
func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// letters is noise that is valid text.
func letters(n int) string {
	b := noise(n)
	for i := range b {
		b[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/"[b[i]%64]
	}
	return string(b)
}

func TestCompression(t *testing.T) {
	text := strings.Repeat("some text that repeats ", 50)
	for _, tc := range []struct {
		name, file, content string
		accept              string
		coding              string // "" for none
		vary                bool
	}{
		{"gzip", "a.txt", text, "gzip", "gzip", true},
		{"zstd", "a.txt", text, "zstd", "zstd", true},
		{"deflate", "a.txt", text, "deflate", "deflate", true},
		{"all are equal", "a.txt", text, "deflate, gzip, zstd", "zstd", true},
		{"as browsers ask", "a.txt", text, "gzip, deflate, br, zstd", "zstd", true},
		{"two are equal", "a.txt", text, "deflate, gzip", "gzip", true},
		{"by weight", "a.txt", text, "zstd;q=0.1, gzip;q=0.2, deflate;q=0.3", "deflate", true},
		{"refused", "a.txt", text, "gzip;q=0", "", true},
		{"one is refused", "a.txt", text, "zstd;q=0, gzip", "gzip", true},
		{"identity is preferred", "a.txt", text, "gzip;q=0.5, identity", "", true},
		{"any", "a.txt", text, "*", "zstd", true},
		{"any but", "a.txt", text, "*, zstd;q=0", "gzip", true},
		{"in capitals", "a.txt", text, "GZIP", "gzip", true},
		{"old name", "a.txt", text, "x-gzip", "gzip", true},
		{"unknown", "a.txt", text, "br", "", true},
		{"nothing accepted", "a.txt", text, "", "", true},
		{"manifest", "a.mpd", text, "gzip", "gzip", true},
		{"playlist", "a.m3u8", text, "gzip", "gzip", true},
		{"script", "a.js", text, "gzip", "gzip", true},
		{"WebAssembly", "a.wasm", text, "gzip", "gzip", true},
		{"media", "a.m4s", text, "gzip", "", false},
		{"image", "a.png", text, "gzip", "", false},
		{"unknown type that is text", "a", text, "gzip", "gzip", true},
		{"unknown type that is no text", "a.xyz", "\x00\x01\xfe" + text, "gzip", "", true},
		{"does not become smaller", "a.txt", letters(64), "gzip", "", true},
		{"empty", "a.txt", "", "gzip", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, readOnly, map[string]string{"www/" + tc.file: tc.content})
			var header []string
			if tc.accept != "" {
				header = []string{"Accept-Encoding: " + tc.accept}
			}
			for _, what := range []string{"first", "from the cache"} {
				r := s.get("/"+tc.file, header...)
				wantStatus(t, what, r, http.StatusOK)
				wantHeader(t, what, r.header, "Content-Encoding: "+tc.coding)
				equal(t, what+": content", decode(t, tc.coding, r.body), tc.content)
				equal(t, what+": Vary has Accept-Encoding", varies(r.header, "Accept-Encoding"), tc.vary)
				if got, want := r.header.Get("Content-Length"), len(r.body); got != itoa(want) {
					t.Errorf("%s: got Content-Length %s, want %d", what, got, want)
				}
			}
		})
	}
}

func TestCompressionOfSeveralLinesOfAcceptEncoding(t *testing.T) {
	s := newSite(t, readOnly, map[string]string{"www/a.txt": strings.Repeat("text ", 50)})
	r := s.get("/a.txt", "Accept-Encoding: deflate", "Accept-Encoding: gzip")
	wantHeader(t, "GET", r.header, "Content-Encoding: gzip")
}

func TestCompressionIsForFilesUpToZMax(t *testing.T) {
	size := func(n int64) *int64 { return &n }
	for _, tc := range []struct {
		name string
		zmax *int64
		size int
		want bool
	}{
		{"as large", size(1000), 1000, true},
		{"larger", size(1000), 1001, false},
		{"as large as the default", nil, DefaultZMax, true},
		{"larger than the default", nil, DefaultZMax + 1, false},
		{"turned off", size(0), 1000, false},
		{"very large", size(1 << 20), 1 << 20, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := readOnly
			o.ZMax = tc.zmax
			content := strings.Repeat("a", tc.size)
			s := newSite(t, o, map[string]string{"www/a.txt": content})
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				r := s.do(method, "/a.txt", "", "Accept-Encoding: gzip")
				wantStatus(t, method, r, http.StatusOK)
				equal(t, method+": compressed", r.header.Get("Content-Encoding") == "gzip", tc.want)
				equal(t, method+": Vary", varies(r.header, "Accept-Encoding"), tc.want)
				equal(t, method+": tag of a coding", strings.Contains(r.header.Get("ETag"), "gzip"), tc.want)
			}
			r := s.get("/a.txt", "Accept-Encoding: gzip")
			equal(t, "content", decode(t, r.header.Get("Content-Encoding"), r.body), content)
		})
	}
}

func TestEachCodingHasItsOwnTag(t *testing.T) {
	s := newSite(t, readOnly, map[string]string{"www/a.txt": strings.Repeat("text ", 100)})
	plain := s.get("/a.txt").header.Get("ETag")
	tags := map[string]string{plain: "identity"}
	for _, coding := range []string{"gzip", "zstd", "deflate"} {
		accept := "Accept-Encoding: " + coding
		tag := s.get("/a.txt", accept).header.Get("ETag")
		if other, ok := tags[tag]; ok || tag == "" {
			t.Errorf("%s: got ETag %s, that of %q, want one of its own", coding, tag, other)
		}
		tags[tag] = coding

		r := s.get("/a.txt", accept, "If-None-Match: "+tag)
		wantReply(t, coding+", its tag", r, http.StatusNotModified, "")
		wantHeader(t, coding+", its tag", r.header, "ETag: "+tag, "Content-Encoding:", "Vary: Origin, Accept-Encoding")
		wantStatus(t, coding+", the plain tag", s.get("/a.txt", accept, "If-None-Match: "+plain), http.StatusOK)
		wantStatus(t, coding+", If-Match", s.get("/a.txt", accept, "If-Match: "+tag), http.StatusOK)
		wantStatus(t, coding+", If-Match of the plain tag", s.get("/a.txt", accept, "If-Match: "+plain), http.StatusPreconditionFailed)

		r = s.get("/a.txt", "If-None-Match: "+tag)
		wantStatus(t, "identity, tag of "+coding, r, http.StatusOK)
		wantStatus(t, coding+" tag for a range", s.get("/a.txt", "Range: bytes=0-3", "If-Range: "+tag), http.StatusOK)
	}
}

func TestNoCompressionOfRanges(t *testing.T) {
	content := strings.Repeat("text ", 100)
	s := newSite(t, readOnly, map[string]string{"www/a.txt": content})
	tag := s.get("/a.txt").header.Get("ETag")
	for _, tc := range []struct {
		name, header string
		status       int
		body         string
	}{
		{"range", "Range: bytes=0-99", 206, content[:100]},
		{"several ranges", "Range: bytes=0-99,50-149", 206, content[:100] + content[50:150]},
		{"all of it", "Range: bytes=0-", 206, content},
	} {
		r := s.get("/a.txt", tc.header, "Accept-Encoding: gzip")
		wantReply(t, tc.name, r, tc.status, tc.body)
		wantHeader(t, tc.name, r.header, "Content-Encoding:", "ETag: "+tag, "Vary: Origin, Accept-Encoding")
	}
}

func TestCompressedVersionIsNotServedForAnother(t *testing.T) {
	s := newSite(t, readWrite, nil)
	for _, content := range []string{strings.Repeat("one ", 100), strings.Repeat("two ", 100)} {
		s.do(http.MethodPut, "/a.txt", content)
		r := s.get("/a.txt", "Accept-Encoding: gzip")
		wantHeader(t, content[:3], r.header, "Content-Encoding: gzip")
		equal(t, content[:3], decode(t, "gzip", r.body), content)
	}
}

func TestCompressedBytesAreShared(t *testing.T) {
	s := newSite(t, readOnly, map[string]string{"www/a.txt": strings.Repeat("text ", 1000)})
	first := s.get("/a.txt", "Accept-Encoding: gzip").body
	equal(t, "entries", s.state.compressed.Len(), 1)
	if again := s.get("/a.txt", "Accept-Encoding: gzip").body; !bytes.Equal([]byte(first), []byte(again)) {
		t.Errorf("got %d other bytes, want the same", len(again))
	}
	equal(t, "entries afterwards", s.state.compressed.Len(), 1)
}
