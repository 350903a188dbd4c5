package framing

import "testing"

// BenchmarkScan follows each format in the pieces that a connection gives.
func BenchmarkScan(b *testing.B) {
	for _, s := range samples {
		b.Run(s.name, func(b *testing.B) { benchScan(b, s.make(b), 16<<10) })
	}
}

// BenchmarkScanSmall does it in pieces of the size of a packet.
func BenchmarkScanSmall(b *testing.B) {
	for _, s := range samples {
		b.Run(s.name, func(b *testing.B) { benchScan(b, s.make(b), 1400) })
	}
}

func benchScan(b *testing.B, data []byte, piece int) {
	f := New("", "")
	var bounds, joins int
	count := func(_ int64, join bool) {
		bounds++
		if join {
			joins++
			if f.Header() == nil {
				bounds++
			}
		}
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		for p := data; len(p) > 0; {
			n := min(piece, len(p))
			f.Scan(p[:n], count)
			p = p[n:]
		}
	}
	if bounds == 0 || joins == 0 {
		b.Fatal("nothing found")
	}
}

// TestScanDoesNotAllocate is for the formats whose streams repeat no header.
func TestScanDoesNotAllocate(t *testing.T) {
	for _, s := range samples {
		switch s.name {
		case "mp3", "adts", "ts", "m2ts", "vorbis", "flv", "webm":
		default:
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			data := s.make(t)
			f := New("", "")
			count := 0
			mark := func(int64, bool) { count++ }
			half := len(data) / 2
			f.Scan(data[:half], mark)
			if count == 0 {
				t.Fatal("nothing found")
			}
			const runs = 20
			rest := data[half:]
			allocs := testing.AllocsPerRun(runs, func() {
				part := rest[:len(data)/2/(runs+2)]
				rest = rest[len(part):]
				for len(part) > 0 {
					n := min(len(part), 333)
					f.Scan(part[:n], mark)
					part = part[n:]
				}
			})
			if allocs > 0 {
				t.Errorf("got %v allocations", allocs)
			}
		})
	}
}
