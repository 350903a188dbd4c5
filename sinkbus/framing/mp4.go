package framing

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// mp4Framer follows fragmented MP4 (ISO 14496-12, section 8.8): a movie box with
// no samples, then fragments. Other MP4 can only be read from its start.
type mp4Framer struct {
	feed
	begin    int64  // where a file begins that has not been reported
	brand    []byte // the file type box
	header   []byte // with the movie box, once there is one that announces fragments
	latest   []byte // the newest header, also after the start of another file
	movie    mp4Movie
	fragment int64 // where one begins whose movie fragment box is still to come
	clock    timeline
	keys     keyframes
}

func newMP4Framer(from feed) *mp4Framer {
	return &mp4Framer{feed: from, begin: from.off, fragment: nowhere}
}

// Scan implements sinkbus.Framer.
func (m *mp4Framer) Scan(p []byte, boundary func(off int64, join bool)) {
	m.scan(p, boundary, m)
}

// next implements parser.
func (m *mp4Framer) next(p []byte) (int64, int) {
	if len(p) < 8 {
		return 0, 8
	}
	size, head := int64(binary.BigEndian.Uint32(p)), 8
	switch size {
	case 0: // to the end
		size = math.MaxInt64/2 - m.off
	case 1:
		if head = 16; len(p) < head {
			return 0, head
		}
		size = int64(binary.BigEndian.Uint64(p[8:]))
	}
	if size < int64(head) || size > math.MaxInt64/2-m.off {
		return m.giveUp()
	}
	switch kind := string(p[4:8]); kind {
	case "ftyp", "moov", "moof":
		if size > maxUnit {
			return m.giveUp()
		}
		if int64(len(p)) < size {
			return 0, int(size)
		}
		m.box(kind, p[:size], p[head:size])
	case "mdat":
		if m.header == nil {
			m.file(false)
		}
	case "styp", "sidx", "prft", "emsg":
		if m.fragment == nowhere {
			m.fragment = m.off
		}
	default:
		for _, c := range p[4:8] {
			if c < ' ' || c > '~' && c != 0xA9 {
				return m.giveUp()
			}
		}
	}
	return size, 0
}

// box takes a box that has to be seen whole.
func (m *mp4Framer) box(kind string, whole, data []byte) {
	switch kind {
	case "ftyp":
		m.brand = slices.Clone(whole)
		m.header, m.fragment, m.begin = nil, nowhere, m.off
		m.info.Unknown = false
	case "moov":
		if m.again(whole) {
			return
		}
		m.header, m.fragment = nil, nowhere
		m.movie = parseMovie(whole, &m.info)
		m.clock = timeline{played: m.clock.played}
		m.file(m.movie.fragmented)
		if !m.movie.fragmented {
			return
		}
		if len(m.brand)+len(whole) > maxUnit {
			m.over = true
			return
		}
		m.header = slices.Concat(m.brand, whole)
		m.latest = m.header
		m.keys = keyframes{since: m.off}
	case "moof":
		if m.header == nil {
			m.info.Unknown = true // in the middle of a stream
			return
		}
		m.moof(data)
	}
}

// again reports whether a movie box is that of the newest header, which is then
// taken up again: there are encoders that put it before every fragment.
func (m *mp4Framer) again(movie []byte) bool {
	brand, ok := bytes.CutSuffix(m.latest, movie)
	if !ok || !bytes.Equal(brand, m.brand) {
		return false
	}
	m.file(true)
	m.header = m.latest
	return true
}

// file reports the start of a file. It has to be read from there, unless it is
// in fragments.
func (m *mp4Framer) file(fragments bool) {
	m.info.Unknown = !fragments
	at := m.begin
	m.begin = nowhere
	switch {
	case at == nowhere:
	case fragments:
		m.mark(at, false)
	default:
		m.join(at, nil)
	}
}

// moof takes a movie fragment.
func (m *mp4Framer) moof(data []byte) {
	at := m.off
	if m.fragment != nowhere {
		at = m.fragment
	}
	m.fragment = nowhere
	f := m.movie.fragment(data)
	if f.placed || !f.samples || !m.keys.canJoin(at, f.sync) {
		m.mark(at, false)
	} else {
		m.join(at, m.header)
	}
	switch {
	case !f.timed:
		f.start = m.clock.last
	case !m.clock.started:
		m.clock.start(f.start)
	}
	m.clock.advance(f.start+f.lasts, m.movie.timescale, 0)
	m.info.Played = m.clock.played
}
