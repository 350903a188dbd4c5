package framing

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"
)

var flvMagic = []byte("FLV\x01")

// Types of tags (Adobe Flash Video File Format 10.1, annex E.4.1).
const (
	flvAudio   = 8
	flvVideo   = 9
	flvScript3 = 15 // with AMF3
	flvScript  = 18

	flvFiltered = 0x20 // a bit of the type: the data is encrypted

	// flvTagHead and flvTagTail are the bytes around a tag's data.
	flvTagHead = 11
	flvTagTail = 4
)

// flvPatience is how long a stream that announced video is watched for it before
// it counts as sound alone. There is no more patience than for keyframes either.
const flvPatience = 5 * time.Second

// flvFramer follows FLV, with the extensions of Enhanced RTMP.
type flvFramer struct {
	feed
	begin  int64  // where the file's header was
	file   []byte // that header
	script []byte // the latest tags of the header: onMetaData
	config [2][]byte
	header []byte // of all of them, nil after a change

	hasVideo bool // announced, or seen
	sawVideo bool
	keys     keyframes
	clock    timeline
}

func newFLVFramer(from feed) *flvFramer {
	from.info.MediaType = "video/x-flv"
	return &flvFramer{feed: from}
}

// Scan implements sinkbus.Framer.
func (f *flvFramer) Scan(p []byte, boundary func(off int64, join bool)) {
	f.scan(p, boundary, f)
}

// next implements parser.
func (f *flvFramer) next(p []byte) (int64, int) {
	if p[0] == flvMagic[0] {
		return f.start(p)
	}
	if len(p) < flvTagHead {
		return 0, flvTagHead
	}
	size := int(p[1])<<16 | int(p[2])<<8 | int(p[3])
	whole := flvTagHead + size + flvTagTail
	// What is in a tag shows within its first bytes; those that become part
	// of the header have to be seen whole.
	const most = 6
	need := flvTagHead + min(size, most)
	if len(p) < need {
		return 0, need
	}
	tag := parseFLVTag(p[0], p[flvTagHead:need])
	if tag.kind == flvBroken {
		return f.giveUp()
	}
	if tag.kind == flvConfig || tag.kind == flvMeta {
		if whole > maxUnit {
			return f.giveUp()
		}
		if len(p) < whole {
			return 0, whole
		}
		f.keepTag(tag, p[:whole])
	}
	f.sawVideo = f.sawVideo || tag.video
	f.hasVideo = f.hasVideo || tag.video

	at := int64(p[7])<<24 | int64(p[4])<<16 | int64(p[5])<<8 | int64(p[6])
	if tag.kind == flvMedia || tag.kind == flvKey {
		if !tag.video && f.info.Channels == 0 {
			describeFLVSound(p[flvTagHead], &f.info)
		}
		f.clock.advance(at, 1000, 1<<32)
		f.info.Played = f.clock.played
	}
	if f.canJoin(tag) {
		f.join(f.off, f.headers())
	} else {
		f.mark(f.off, false)
	}
	return int64(whole), 0
}

// start takes the header of a file.
func (f *flvFramer) start(p []byte) (int64, int) {
	const size = 9
	if len(p) < size {
		return 0, size
	}
	data := int64(binary.BigEndian.Uint32(p[5:]))
	if !bytes.HasPrefix(p, flvMagic) || data < size || data > maxUnit {
		return f.giveUp()
	}
	f.file = slices.Clone(p[:size])
	binary.BigEndian.PutUint32(f.file[5:], size)
	f.file = append(f.file, 0, 0, 0, 0) // the size of no tag
	f.begin, f.script, f.config, f.header = f.off, nil, [2][]byte{}, nil
	f.hasVideo, f.sawVideo = p[4]&1 != 0, false
	f.clock = timeline{played: f.clock.played}
	f.keys = keyframes{since: f.off}
	f.mark(f.off, false)
	return data + flvTagTail, 0
}

// keepTag takes a tag that is to be part of the header, there with the time 0.
func (f *flvFramer) keepTag(tag flvTag, whole []byte) {
	data := whole[flvTagHead : len(whole)-flvTagTail]
	slot := &f.script
	switch {
	case tag.kind == flvMeta:
		if !bytes.HasPrefix(data, flvMetaData) {
			return
		}
		describeFLVMeta(data, &f.info)
	case tag.video:
		slot = &f.config[0]
		describeFLVVideo(data, &f.info)
	default:
		slot = &f.config[1]
		describeFLVAudio(data, &f.info)
	}
	old := *slot
	tagged := slices.Clone(whole)
	clear(tagged[4:8])
	binary.BigEndian.PutUint32(tagged[len(tagged)-flvTagTail:], uint32(len(tagged)-flvTagTail))
	if bytes.Equal(old, tagged) {
		return
	}
	if f.headerSize()-len(old)+len(tagged) > maxUnit {
		f.over = true
		return
	}
	*slot = tagged
	f.header = nil
}

func (f *flvFramer) headerSize() int {
	return len(f.file) + len(f.script) + len(f.config[0]) + len(f.config[1])
}

// headers returns the header. It is the same slice while no part of it changes.
func (f *flvFramer) headers() []byte {
	if f.header == nil {
		f.header = slices.Concat(f.file, f.script, f.config[0], f.config[1])
	}
	return f.header
}

// canJoin reports whether a decoder that has the header can begin with a tag.
func (f *flvFramer) canJoin(tag flvTag) bool {
	switch {
	case f.file == nil || f.over:
		return false
	case tag.video:
		return (tag.kind == flvKey || tag.kind == flvMedia) && f.keys.canJoin(f.off, tag.kind == flvKey)
	case tag.kind != flvMedia:
		return false
	case !f.hasVideo:
		return true
	case f.sawVideo:
		return false
	}
	return f.off-f.begin > patience || f.clock.played > flvPatience
}
