package encoding

import (
	"strings"
	"testing"
)

var types = []struct {
	contentType string
	yes, check  bool
}{
	{"text/html; charset=utf-8", true, false},
	{"text/plain", true, false},
	{"TEXT/VTT", true, false},
	{"text/javascript;charset=utf-8", true, false},
	{" text/css ", true, false},
	{"application/json", true, false},
	{"application/dash+xml", true, false},
	{"application/vnd.apple.mpegurl", true, false},
	{"Application/Vnd.Apple.MPEGURL", true, false},
	{"audio/mpegurl", true, false},
	{"audio/x-mpegurl", true, false},
	{"application/ttml+xml", true, false},
	{"application/manifest+json", true, false},
	{"application/geo+json-seq", true, false},
	{"application/x-sh", true, false},
	{"application/xml", true, false},
	{"application/wasm", true, false},
	{"image/svg+xml", true, false},

	{"image/png", false, false},
	{"image/vnd.microsoft.icon", false, false},
	{"video/mp4", false, false},
	{"video/iso.segment", false, false},
	{"video/mp2t", false, false},
	{"VIDEO/MP2T", false, false},
	{"audio/mpeg", false, false},
	{"application/ogg", false, false},
	{"application/mp4", false, false},
	{"application/zip", false, false},
	{"application/epub+zip", false, false},
	{"application/gzip", false, false},
	{"application/zstd", false, false},
	{"application/pdf", false, false},
	{"font/woff2", false, false},
	{"multipart/byteranges; boundary=x", false, false},

	{"", true, true},
	{"*", true, true},
	{"application/octet-stream", true, true},
	{"application/x-unheard-of", true, true},
	{"chemical/x-pdb", true, true},
	{"nonsense", true, true},
	{"+xml", true, true},
	{"/", true, true},
	{strings.Repeat("x", 300), true, true},
}

func TestCompressible(t *testing.T) {
	for _, tc := range types {
		yes, check := Compressible(tc.contentType)
		if yes != tc.yes || check != tc.check {
			t.Errorf("%q: got %v and %v, want %v and %v", tc.contentType, yes, check, tc.yes, tc.check)
		}
		if got := testing.AllocsPerRun(100, func() { Compressible(tc.contentType) }); got != 0 {
			t.Errorf("%q: got %v allocations, want 0", tc.contentType, got)
		}
	}
}

func BenchmarkCompressible(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Compressible("application/dash+xml; charset=utf-8")
	}
}
