package framing

import "time"

const (
	tsPacket = 188
	tsSync   = 0x47

	// maxPacket is the longest of the packet sizes in use.
	maxPacket = 204

	// tsWindow is how many bytes it takes to find packets: four that follow
	// each other, with less than one before.
	tsWindow = maxPacket + 4 + 3*maxPacket

	// tsSpacing is how far apart boundaries are reported at which nobody can
	// join.
	tsSpacing = 4 << 10
)

// tsPatience is how long a stream with video is watched for a packet that is
// marked as a random access point, before any start of a picture is taken for
// one. There is no more patience than for other formats either.
const tsPatience = 5 * time.Second

// tsLayout is how packets lie in a stream.
type tsLayout struct {
	at   int // where the first one begins
	size int // bytes from one to the next
	pre  int // bytes before the sync byte, a time stamp
}

// findTS returns the layout of the packets in p. It looks at no more than
// tsWindow bytes, and needs them all for a no.
func findTS(p []byte) (tsLayout, bool) {
	for at := range maxPacket {
		for _, l := range [...]tsLayout{{at, tsPacket, 0}, {at, 192, 4}, {at, 204, 0}} {
			n := 0
			for n < 4 && at+l.pre+n*l.size < len(p) && p[at+l.pre+n*l.size] == tsSync {
				n++
			}
			if n == 4 {
				return l, true
			}
		}
	}
	return tsLayout{}, false
}

// tsFramer follows an MPEG transport stream (ISO 13818-1): packets of 188 bytes,
// or with four bytes of time stamp before or 16 of checksum after each.
type tsFramer struct {
	feed
	tsLayout
	synced  bool
	started bool  // a packet has been seen
	marked  int64 // the last reported boundary

	tables tsTables
	clock  timeline

	// Since the tables changed.
	serial int
	random keyframes
	played time.Duration // how much there was before
}

func newTSFramer(from feed) *tsFramer {
	from.info.MediaType = "video/mp2t"
	from.info.Loose = true
	return &tsFramer{feed: from}
}

// Scan implements sinkbus.Framer.
func (t *tsFramer) Scan(p []byte, boundary func(off int64, join bool)) {
	t.scan(p, boundary, t)
}

// next implements parser.
func (t *tsFramer) next(p []byte) (int64, int) {
	if t.synced {
		if len(p) <= t.pre {
			return 0, t.pre + 1
		}
		if p[t.pre] == tsSync {
			return t.packet(p)
		}
		t.synced = false
	}
	if len(p) < tsWindow {
		return 0, tsWindow
	}
	l, ok := findTS(p[:tsWindow])
	if !ok {
		return maxPacket, 0
	}
	t.tsLayout, t.synced = l, true
	if l.at > 0 {
		return int64(l.at), 0
	}
	return t.packet(p)
}

// packet looks at a packet: at its header, and at all of it if it is of a table.
func (t *tsFramer) packet(p []byte) (int64, int) {
	// The header, and of the adaptation field what may come first: its length,
	// flags, and a clock reference.
	if n := t.pre + 12; len(p) < n {
		return 0, n
	}
	h := p[t.pre:]
	pid := uint16(h[1]&0x1F)<<8 | uint16(h[2])
	start := h[1]&0x40 != 0

	if t.tables.wants(pid) {
		if len(p) < t.size {
			return 0, t.size
		}
		t.tables.packet(pid, start, p[:t.size], h[:tsPacket])
		if t.tables.serial != t.serial {
			t.serial, t.random, t.played = t.tables.serial, keyframes{since: t.off}, t.info.Played
			t.info.Unknown = false
		}
	}

	random := false
	if h[3]&0x20 != 0 && h[4] > 0 {
		random = h[5]&0x40 != 0
		if h[5]&0x10 != 0 && h[4] >= 7 && pid == t.tables.clock {
			base := int64(h[6])<<25 | int64(h[7])<<17 | int64(h[8])<<9 | int64(h[9])<<1 | int64(h[10]>>7)
			t.clock.advance(base*300+int64(h[10]&1)<<8|int64(h[11]), 27e6, 300<<33)
			t.info.Played = t.clock.played
		}
	}

	switch {
	case t.canJoin(pid, start, random):
		t.marked = t.off
		t.join(t.off, t.tables.header())
	case !t.started || t.off-t.marked >= tsSpacing:
		t.marked = t.off
		t.mark(t.off, false)
	}
	t.started = true
	if !t.tables.complete && t.off > patience {
		t.info.Unknown = true // without tables, any place is as good
	}
	return int64(t.size), 0
}

// canJoin reports whether a decoder that knows the tables can begin with a
// packet.
func (t *tsFramer) canJoin(pid uint16, start, random bool) bool {
	switch {
	case !t.tables.complete:
		return false
	case t.tables.video == 0:
		return start && pid == t.tables.audio
	case pid != t.tables.video:
		return false
	case !random && !start:
		return false
	case t.info.Played-t.played > tsPatience && !t.random.seen:
		t.random.since = t.off - patience
	}
	return t.random.canJoin(t.off, random)
}
