package framing

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// randomCuts is a way to cut a stream: into pieces of all sizes, of which most
// are small.
func randomCuts(seed uint64, most int) func(left int) int {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(left int) int {
		return min(left, 1+r.IntN(1<<r.IntN(most)))
	}
}

// TestCutsMakeNoDifference scans each format in one piece and in many.
func TestCutsMakeNoDifference(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			data := s.make(t)
			compareCuts(t, data)
			// From somewhere in the middle, and with damage.
			compareCuts(t, data[len(data)/3:])
			broken := slices.Concat(data[:len(data)/3], data[len(data)/3+777:])
			compareCuts(t, broken)
		})
	}
}

// compareCuts compares the boundaries of data for many ways to cut it.
func compareCuts(t *testing.T, data []byte) {
	t.Helper()
	compareCutsWith(t, data, func() sinkbus.Framer { return New("", "") })
}

func compareCutsWith(t *testing.T, data []byte, framer func() sinkbus.Framer) {
	t.Helper()
	want, wantInfo := followWith(t, framer(), data, whole)
	for i, cut := range []func(int) int{
		func(int) int { return 1 },
		func(left int) int { return min(left, 128<<10) },
		randomCuts(1, 5), randomCuts(2, 10), randomCuts(3, 17),
	} {
		got, info := followWith(t, framer(), data, cut)
		if !slices.Equal(got, want) {
			n := 0
			for n < min(len(got), len(want)) && got[n] == want[n] {
				n++
			}
			t.Errorf("cut %d: got %d boundaries, want %d, the same up to %d", i, len(got), len(want), n)
		}
		if info != wantInfo {
			t.Errorf("cut %d: got %+v, want %+v", i, info, wantInfo)
		}
	}
}
