package precond

import (
	"net/http"
	"testing"
)

var benchFile = Resource{Exists: true, ETag: `"18b2c4d1e0f3a2b4-4c4b40"`, ModTime: modTime, Now: now}

func benchmarkEvaluate(b *testing.B, h http.Header, want Outcome) {
	h.Set("Accept-Encoding", "gzip, zstd")
	h.Set("User-Agent", "bench")
	b.ReportAllocs()
	for b.Loop() {
		if got := Evaluate(http.MethodGet, h, benchFile).Outcome; got != want {
			b.Fatalf("got %v, want %v", got, want)
		}
	}
}

// BenchmarkUnconditional is the path of nearly every request.
func BenchmarkUnconditional(b *testing.B) { benchmarkEvaluate(b, header(), Proceed) }

func BenchmarkRange(b *testing.B) { benchmarkEvaluate(b, header("Range", "bytes=0-1"), Proceed) }

func BenchmarkIfNoneMatch(b *testing.B) {
	benchmarkEvaluate(b, header("If-None-Match", `"other", "18b2c4d1e0f3a2b4-4c4b40"`), NotModified)
}

func BenchmarkIfModifiedSince(b *testing.B) {
	benchmarkEvaluate(b, header("If-Modified-Since", same), NotModified)
}

func TestEvaluateDoesNotAllocate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		header http.Header
		want   float64
	}{
		{"unconditional", header(), 0},
		{"range", header("Range", "bytes=0-1"), 0},
		{"If-None-Match", header("If-None-Match", `"a", "b"`), 0},
		{"If-Match", header("If-Match", `"a", "b"`), 0},
		{"If-Range", header("Range", "bytes=0-1", "If-Range", `"a"`), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := testing.AllocsPerRun(100, func() { Evaluate(http.MethodGet, tc.header, benchFile) })
			if got != tc.want {
				t.Errorf("got %v allocations, want %v", got, tc.want)
			}
		})
	}
}
