package byterange

import "testing"

func benchmarkResolve(b *testing.B, header string) {
	b.ReportAllocs()
	for b.Loop() {
		spec, err := Parse(header)
		if err != nil {
			b.Fatal(err)
		}
		ranges, err := spec.Resolve(1 << 30)
		if err != nil || len(ranges) != spec.Len() {
			b.Fatalf("got %v (%v), want %d ranges", ranges, err, spec.Len())
		}
	}
}

func BenchmarkSingleRange(b *testing.B)   { benchmarkResolve(b, "bytes=1000000-1999999") }
func BenchmarkOpenRange(b *testing.B)     { benchmarkResolve(b, "bytes=1000000-") }
func BenchmarkSuffixRange(b *testing.B)   { benchmarkResolve(b, "bytes=-1000000") }
func BenchmarkSeveralRanges(b *testing.B) { benchmarkResolve(b, "bytes=0-1,10-19,500-,-100") }

// BenchmarkSingleRangeAppend is the handler's way: with its own memory.
func BenchmarkSingleRangeAppend(b *testing.B) {
	b.ReportAllocs()
	var buf [1]Range
	for b.Loop() {
		spec, err := Parse("bytes=1000000-1999999")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := spec.AppendResolve(buf[:0], 1<<30); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkContentRange(b *testing.B) {
	b.ReportAllocs()
	r := Range{1000000, 1000000}
	for b.Loop() {
		if r.ContentRange(1<<30) == "" {
			b.Fatal("got nothing, want a value")
		}
	}
}

func TestSingleRangeDoesNotAllocate(t *testing.T) {
	var buf [1]Range
	got := testing.AllocsPerRun(100, func() {
		spec, err := Parse("bytes=1000000-1999999")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := spec.AppendResolve(buf[:0], 1<<30); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
