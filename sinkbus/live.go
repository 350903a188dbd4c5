package sinkbus

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// liveTail is how much of a live stream is kept in memory at least.
	liveTail = 2 << maxShift

	// unframedAfter is how many bytes a framer may look at before it finds the
	// first join point. They stay in memory: readers begin with them.
	unframedAfter = 1 << 20

	// maxBounds is how many boundaries of units are remembered.
	maxBounds = 4096

	// Readers may always be as far behind as the stream has come in recent,
	// which is known to within a mark.
	recent    = 500 * time.Millisecond
	markEvery = 50 * time.Millisecond
)

// joinPoint is where readers may join a live stream.
type joinPoint struct {
	off    int64
	header []byte // what they need before it
}

// live is what a stream that is joined anywhere knows of itself. Its writer
// keeps it.
type live struct {
	framer Framer

	// join is the newest join point, nil while there is none, and firstJoin the
	// first one that was found.
	join, firstJoin atomic.Pointer[joinPoint]

	// scanned is up to where the framer has seen the stream: a little behind its
	// end, while it looks.
	scanned atomic.Int64

	// info is what the framer knows.
	info atomic.Pointer[Info]

	// anywhere tells that there are no join points: readers join at the end.
	anywhere atomic.Bool

	// largest is the largest single write; lag is the largest max lag that any
	// reader was given; atRecent is where the stream was a while ago.
	largest, lag, atRecent atomic.Int64

	skips, skipped atomic.Int64

	marks [recent/markEvery + 2]mark
	mark  int

	collect   func(off int64, join bool) // adds to found
	found     []int64
	foundJoin int64

	// mu guards bounds, the newest boundaries in their order.
	mu     sync.Mutex
	bounds []int64
}

// mark is where a stream was at a time.
type mark struct {
	at  time.Time
	end int64
}

func newLive(framer Framer) *live {
	l := &live{framer: framer, foundJoin: -1}
	l.info.Store(new(Info))
	l.anywhere.Store(framer == nil)
	l.collect = func(off int64, join bool) {
		l.found = append(l.found, off)
		if !join {
			return
		}
		l.foundJoin = off
		if l.firstJoin.Load() == nil {
			l.firstJoin.Store(&joinPoint{off, l.framer.Header()})
		}
	}
	return l
}

// writes is told of each piece that is to be appended.
func (l *live) writes(n int) {
	if n := int64(n); n > l.largest.Load() {
		l.largest.Store(n)
	}
}

// wrote is told of each piece that was appended, and the end after it.
func (l *live) wrote(p []byte, end int64) {
	l.writes(len(p))
	l.markTime(end)
	if l.framer == nil {
		return
	}
	defer l.scanned.Store(end)
	l.found = l.found[:0]
	l.framer.Scan(p, l.collect)
	info := l.framer.Info()
	if old := l.info.Load(); *old != info {
		l.info.Store(&info)
	}
	if !info.Loose && len(l.found) > 0 {
		l.mu.Lock()
		if n := len(l.bounds) + len(l.found) - maxBounds; n > 0 {
			l.bounds = slices.Delete(l.bounds, 0, min(n, len(l.bounds)))
		}
		l.bounds = append(l.bounds, l.found...)
		l.mu.Unlock()
	}
	if l.foundJoin >= 0 {
		l.join.Store(&joinPoint{l.foundJoin, l.framer.Header()})
		l.foundJoin = -1
	}
	if info.Unknown || l.join.Load() == nil && end > unframedAfter {
		l.anywhere.Store(true)
	}
}

// markTime notes where the stream is, and where it was a while ago.
func (l *live) markTime(end int64) {
	now := time.Now()
	if now.Sub(l.marks[l.mark].at) < markEvery {
		return
	}
	l.mark = (l.mark + 1) % len(l.marks)
	l.marks[l.mark] = mark{now, end}
	then := now.Add(-recent)
	var at int64
	for i := range l.marks {
		if m := &l.marks[i]; !m.at.IsZero() && !m.at.After(then) {
			at = max(at, m.end)
		}
	}
	l.atRecent.Store(at)
}

// slack returns the first byte that a reader with the given max lag may still
// be at, when the stream has the given end.
func (l *live) slack(maxLag, end int64) int64 {
	return max(0, min(end-max(maxLag, 2*l.largest.Load()), l.atRecent.Load()))
}

// memory returns the first byte that readers are to find in memory.
func (l *live) memory(end int64) int64 {
	if l.join.Load() == nil && !l.anywhere.Load() && end <= unframedAfter {
		return 0
	}
	low := l.slack(l.lag.Load(), end)
	if join := l.join.Load(); join != nil {
		low = min(low, join.off)
	}
	return low
}

// boundary returns the first boundary of a unit at or after off; it is far
// beyond the end if none is known.
func (l *live) boundary(off int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearch(l.bounds, off)
	if i == len(l.bounds) {
		return math.MaxInt64
	}
	return l.bounds[i]
}

// raiseLag has the stream keep what a reader with this max lag may want.
func (l *live) raiseLag(lag int64) {
	for {
		old := l.lag.Load()
		if lag <= old || l.lag.CompareAndSwap(old, lag) {
			return
		}
	}
}

// Skips returns how often readers of the stream were moved ahead, and how many
// bytes they missed.
func (s *Stream) Skips() (times, bytes int64) {
	if s.live == nil {
		return 0, 0
	}
	return s.live.skips.Load(), s.live.skipped.Load()
}

// Info returns what the stream's content tells so far.
func (s *Stream) Info() Info {
	if s.live == nil {
		return Info{}
	}
	return *s.live.info.Load()
}

// Known returns all that is known of the stream so far: what was declared goes
// before what its content tells.
func (s *Stream) Known() Properties {
	return s.Properties.Over(s.Info().properties())
}
