package framing

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"
)

// openSegment begins a segment that ends nowhere.
var openSegment = []byte{0x18, 0x53, 0x80, 0x67, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}

// maxTags is how large a segment's tags may be to be part of the header.
const maxTags = 64 << 10

// matroskaFramer follows Matroska and WebM (RFC 9559): segments and clusters of
// known or unknown size.
type matroskaFramer struct {
	feed

	// Where the parents of the next element end, or unknownSize.
	segment, cluster, group       int64
	inSegment, inCluster, inGroup bool

	// The parts of the header, until the first cluster.
	ebml, about, tracks, tags []byte
	header                    []byte
	webm                      bool

	video   uint64 // the number of the video track that decides, 0 for none
	scale   int64  // nanoseconds in a unit of time
	time    int64  // of the cluster, in such units
	clock   timeline
	pending int64 // a cluster that may be a place to join, or nowhere
	keys    keyframes

	groupVideo bool // the group has a block of the video track
	groupRef   bool // and refers to another one
}

func newMatroskaFramer(from feed) *matroskaFramer {
	return &matroskaFramer{feed: from, pending: nowhere}
}

// Scan implements sinkbus.Framer.
func (m *matroskaFramer) Scan(p []byte, boundary func(off int64, join bool)) {
	m.scan(p, boundary, m)
}

// next implements parser.
func (m *matroskaFramer) next(p []byte) (int64, int) {
	e, need := parseElement(p)
	if need > 0 {
		return 0, need
	}
	if need < 0 {
		return m.giveUp()
	}
	m.leave(e.id)
	whole := int64(e.head) + e.size
	if e.size == unknownSize {
		whole = 0
	}
	switch e.id {
	case ebmlHeader, mkvInfo, mkvTracks:
		if whole == 0 || whole > maxUnit {
			return m.giveUp()
		}
		if int64(len(p)) < whole {
			return 0, int(whole)
		}
		m.part(e, p[:whole])
		return whole, 0
	case mkvTags:
		if m.header == nil && whole > 0 && whole <= maxTags {
			if int64(len(p)) < whole {
				return 0, int(whole)
			}
			m.tags = slices.Clone(p[:whole])
		}
	case mkvSegment:
		m.inSegment, m.segment = true, m.end(e)
		return int64(e.head), 0
	case mkvCluster:
		if !m.inSegment || m.tracks == nil {
			break
		}
		m.beginCluster(e)
		return int64(e.head), 0
	case mkvCues:
		m.settle(false)
		m.mark(m.off, false)
	case mkvTimestamp, mkvSimpleBlock, mkvBlockGroup, mkvBlock, mkvReference:
		if !m.inCluster || whole == 0 {
			break
		}
		return m.inside(e, p)
	}
	if whole == 0 {
		return m.giveUp()
	}
	return whole, 0
}

// end returns where an element at the present place ends.
func (m *matroskaFramer) end(e element) int64 {
	if e.size == unknownSize || e.size > math.MaxInt64/2-m.off {
		return unknownSize
	}
	return m.off + int64(e.head) + e.size
}

// leave leaves the parents that end before the element with the given ID.
func (m *matroskaFramer) leave(id uint32) {
	if m.inGroup && (m.off >= m.group || topLevel(id)) {
		m.inGroup = false
		m.settleGroup()
	}
	if m.inCluster && (m.cluster != unknownSize && m.off >= m.cluster || topLevel(id)) {
		m.inCluster = false
		m.settle(false)
	}
	if m.inSegment && (m.segment != unknownSize && m.off >= m.segment || id == ebmlHeader) {
		m.inSegment = false
	}
}

// topLevel reports whether elements with an ID are never inside of a cluster.
func topLevel(id uint32) bool {
	switch id {
	case ebmlHeader, mkvSegment, mkvSeekHead, mkvInfo, mkvTracks, mkvTags, mkvChapters,
		mkvAttachments, mkvCues, mkvCluster:
		return true
	default:
		return false
	}
}

// part takes a whole element that is part of the header.
func (m *matroskaFramer) part(e element, whole []byte) {
	data := whole[e.head:]
	switch e.id {
	case ebmlHeader:
		m.ebml, m.about, m.tracks, m.tags, m.header = slices.Clone(whole), nil, nil, nil, nil
		m.video, m.scale, m.inSegment = 0, int64(time.Millisecond), false
		m.clock.started = false
		m.webm = false
		children(data, func(id uint32, data []byte) {
			if id == ebmlDocType {
				m.webm = strings.TrimRight(string(data), "\x00") == "webm"
			}
		})
		m.keys = keyframes{since: m.off}
		m.mark(m.off, false)
	case mkvInfo:
		if m.header != nil {
			return
		}
		m.about = slices.Clone(whole)
		children(data, func(id uint32, data []byte) {
			if id == mkvScale {
				m.scale = int64(min(ebmlUint(data), math.MaxInt32))
			}
		})
	case mkvTracks:
		if m.header != nil {
			return
		}
		m.tracks = slices.Clone(whole)
		m.describe(data)
	}
}

// describe takes what the tracks tell.
func (m *matroskaFramer) describe(tracks []byte) {
	m.video = 0
	i := &m.info
	i.Width, i.Height, i.SampleRate, i.Channels = 0, 0, 0, 0
	children(tracks, func(id uint32, data []byte) {
		if id == mkvTrackEntry {
			m.track(data)
		}
	})
	kind, container := "audio/", "x-matroska"
	if m.video != 0 {
		kind = "video/"
	}
	if m.webm {
		container = "webm"
	}
	i.MediaType = kind + container
}

// track takes what a track's entry tells.
func (m *matroskaFramer) track(entry []byte) {
	var number, kind, width, height, channels uint64
	var rate float64
	children(entry, func(id uint32, data []byte) {
		switch id {
		case mkvNumber:
			number = ebmlUint(data)
		case mkvType:
			kind = ebmlUint(data)
		case mkvVideo:
			children(data, func(id uint32, data []byte) {
				switch id {
				case mkvWidth:
					width = ebmlUint(data)
				case mkvHeight:
					height = ebmlUint(data)
				}
			})
		case mkvAudio:
			rate, channels = 8000, 1 // the defaults
			children(data, func(id uint32, data []byte) {
				switch id {
				case mkvRate:
					rate = ebmlFloat(data)
				case mkvChannels:
					channels = ebmlUint(data)
				}
			})
		}
	})
	const video, audio = 1, 2
	switch {
	case kind == video && m.video == 0:
		m.video = number
		m.info.Width, m.info.Height = int(min(width, 1<<16)), int(min(height, 1<<16))
	case kind == audio && m.info.SampleRate == 0 && rate >= 1 && rate <= 1<<24:
		m.info.SampleRate, m.info.Channels = int(rate), int(min(channels, 1<<8))
	}
}

// beginCluster enters a cluster. With a video track it is not known yet whether
// one can join there.
func (m *matroskaFramer) beginCluster(e element) {
	if m.header == nil {
		m.header = slices.Concat(m.ebml, openSegment, m.about, m.tracks, m.tags)
		m.ebml, m.about, m.tags = nil, nil, nil
		if len(m.header) > maxUnit {
			m.over = true
			return
		}
	}
	m.inCluster, m.cluster, m.time = true, m.end(e), 0
	m.pending = m.off
	if m.video == 0 {
		m.settle(true)
	}
}

// settle reports the cluster that is pending, if there is one.
func (m *matroskaFramer) settle(join bool) {
	off := m.pending
	m.pending = nowhere
	switch {
	case off == nowhere:
	case join:
		m.join(off, m.header)
	default:
		m.mark(off, false)
	}
}

// settleGroup does it at the end of a group.
func (m *matroskaFramer) settleGroup() {
	if m.groupVideo {
		m.settle(m.keys.canJoin(m.pending, !m.groupRef))
	}
	m.groupVideo, m.groupRef = false, false
}

// inside looks at an element of a cluster.
func (m *matroskaFramer) inside(e element, p []byte) (int64, int) {
	whole := int64(e.head) + e.size
	switch e.id {
	case mkvBlockGroup:
		m.inGroup, m.group = true, m.off+whole
		return int64(e.head), 0
	case mkvReference:
		m.groupRef = true
		return whole, 0
	case mkvTimestamp:
		if e.size > 8 {
			return m.giveUp()
		}
		if int64(len(p)) < whole {
			return 0, int(whole)
		}
		m.time = int64(ebmlUint(p[e.head:whole]) & math.MaxInt64)
		return whole, 0
	}

	// A block: the track's number, its time in the cluster, flags (RFC 9559,
	// section 10).
	if e.size < 4 {
		return whole, 0
	}
	if len(p) < e.head+4 {
		return 0, e.head + 4
	}
	number, n := vint(p[e.head:])
	if n > 8 || e.size < int64(n)+3 {
		return m.giveUp()
	}
	if need := e.head + n + 3; len(p) < need {
		return 0, need
	}
	rest := p[e.head+n:]
	if now := m.time + int64(int16(binary.BigEndian.Uint16(rest))); now < math.MaxInt64/max(1, m.scale) {
		m.clock.advance(now*m.scale, int64(time.Second), 0)
		m.info.Played = m.clock.played
	}
	if m.pending != nowhere && uint64(number) == m.video {
		if e.id == mkvBlock && m.inGroup {
			m.groupVideo = true
		} else {
			m.settle(m.keys.canJoin(m.pending, rest[2]&0x80 != 0))
		}
	}
	return whole, 0
}
