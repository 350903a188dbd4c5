package framing

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// IDs of elements of EBML (RFC 8794) and Matroska (RFC 9559).
const (
	ebmlHeader  = 0x1A45DFA3
	ebmlDocType = 0x4282

	mkvSegment     = 0x18538067
	mkvSeekHead    = 0x114D9B74
	mkvInfo        = 0x1549A966
	mkvScale       = 0x2AD7B1
	mkvTracks      = 0x1654AE6B
	mkvTags        = 0x1254C367
	mkvChapters    = 0x1043A770
	mkvAttachments = 0x1941A469
	mkvCues        = 0x1C53BB6B
	mkvCluster     = 0x1F43B675

	mkvTimestamp   = 0xE7
	mkvSimpleBlock = 0xA3
	mkvBlockGroup  = 0xA0
	mkvBlock       = 0xA1
	mkvReference   = 0xFB

	mkvTrackEntry = 0xAE
	mkvNumber     = 0xD7
	mkvType       = 0x83
	mkvVideo      = 0xE0
	mkvWidth      = 0xB0
	mkvHeight     = 0xBA
	mkvAudio      = 0xE1
	mkvRate       = 0xB5
	mkvChannels   = 0x9F
)

// unknownSize is the size of an element that ends where one begins that cannot
// be inside.
const unknownSize = -1

// element is what an element of EBML begins with.
type element struct {
	id   uint32
	head int   // bytes of ID and size
	size int64 // of what follows, or unknownSize
}

// parseElement reads an element's ID and size. If p is too short it returns how
// many bytes it has to see, and -1 if p is not the start of an element.
func parseElement(p []byte) (e element, need int) {
	if len(p) == 0 {
		return e, 1
	}
	n := bits.LeadingZeros8(p[0]) + 1
	if n > 4 {
		return e, -1
	}
	if len(p) <= n {
		return e, n + 1
	}
	for _, b := range p[:n] {
		e.id = e.id<<8 | uint32(b)
	}
	size, m := vint(p[n:])
	if m > 8 {
		return e, -1
	}
	if e.head = n + m; len(p) < e.head {
		return e, e.head
	}
	e.size = size
	return e, 0
}

// vint reads a variable-size integer (RFC 8794, section 4): its value, which is
// unknownSize if all its bits are set, and how many bytes it has, or would have
// if p is too short. More than 8 are invalid.
func vint(p []byte) (value int64, n int) {
	n = bits.LeadingZeros8(p[0]) + 1
	if n > 8 || len(p) < n {
		return 0, n
	}
	value = int64(p[0]) & (1<<(8-n) - 1)
	for _, b := range p[1:n] {
		value = value<<8 | int64(b)
	}
	if value == 1<<(7*n)-1 {
		return unknownSize, n
	}
	return value, n
}

// children calls f for each element in p, as far as they are whole.
func children(p []byte, f func(id uint32, data []byte)) {
	for len(p) > 0 {
		e, need := parseElement(p)
		if need != 0 || e.size < 0 || e.size > int64(len(p)-e.head) {
			return
		}
		f(e.id, p[e.head:e.head+int(e.size)])
		p = p[e.head+int(e.size):]
	}
}

// ebmlUint reads an element's unsigned integer, 0 if it is too long.
func ebmlUint(p []byte) (v uint64) {
	if len(p) > 8 {
		return 0
	}
	for _, b := range p {
		v = v<<8 | uint64(b)
	}
	return v
}

// ebmlFloat reads an element's floating-point number.
func ebmlFloat(p []byte) float64 {
	switch len(p) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(p)))
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(p))
	default:
		return 0
	}
}
