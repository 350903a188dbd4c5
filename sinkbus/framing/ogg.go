package framing

import (
	"bytes"
	"encoding/binary"
)

var oggMagic = []byte("OggS")

const (
	// Bits of a page's header type (RFC 3533, section 6).
	oggContinued = 0x01
	oggFirst     = 0x02

	// maxLogical is how many logical streams of a link are followed.
	maxLogical = 32
)

// oggFramer follows an Ogg stream (RFC 3533), a chain of links that each begin
// with their own headers.
type oggFramer struct {
	feed

	// The current link.
	streams []*oggStream
	begun   bool   // its first pages are over
	header  []byte // its header pages so far
	video   bool
	keys    keyframes
	clock   timeline
	master  *oggStream // whose granules the clock goes by
}

func newOggFramer(from feed) *oggFramer {
	from.info.MediaType = "application/ogg"
	return &oggFramer{feed: from}
}

// Scan implements sinkbus.Framer.
func (o *oggFramer) Scan(p []byte, boundary func(off int64, join bool)) {
	o.scan(p, boundary, o)
}

// next implements parser.
func (o *oggFramer) next(p []byte) (int64, int) {
	if len(p) < 6 {
		return 0, 6
	}
	if !isPage(p) {
		return o.search(p)
	}
	if len(p) < 27 {
		return 0, 27
	}
	lacing := int(p[26])
	body := 27 + lacing
	if len(p) < body {
		return 0, body
	}
	size := body
	for _, n := range p[27:body] {
		size += int(n)
	}

	serial := binary.LittleEndian.Uint32(p[14:])
	first := p[5]&oggFirst != 0
	s := o.stream(serial)
	if first || s != nil && s.headers > 0 {
		if len(p) < size {
			return 0, size
		}
		if first {
			s = o.begin(serial, p[body:size])
		}
		o.headerPage(s, p[:size], p[27:body], p[body:size])
		return int64(size), 0
	}
	o.begun = true
	// Of a page with data, the first byte of its first packet.
	if size > body && len(p) <= body {
		return 0, body + 1
	}
	o.dataPage(s, p[5], p[body:min(body+1, size)])
	if s != nil && s == o.master {
		if granule := int64(binary.LittleEndian.Uint64(p[6:])); granule >= 0 {
			now, rate := s.time(granule)
			o.clock.advance(now, rate, 0)
			o.info.Played = o.clock.played
		}
	}
	return int64(size), 0
}

// isPage reports whether p, of 6 bytes or more, begins as a page does.
func isPage(p []byte) bool {
	return bytes.HasPrefix(p, oggMagic) && p[4] == 0 && p[5] < 8
}

// search looks for the next page.
func (o *oggFramer) search(p []byte) (int64, int) {
	for i := 1; ; i++ {
		j := bytes.IndexByte(p[i:], oggMagic[0])
		if j < 0 {
			return int64(len(p)), 0
		}
		if i += j; len(p)-i < 6 || isPage(p[i:]) {
			return int64(i), 0
		}
	}
}

// stream returns the logical stream with a serial number, nil if there is none.
func (o *oggFramer) stream(serial uint32) *oggStream {
	for _, s := range o.streams {
		if s.serial == serial {
			return s
		}
	}
	return nil
}

// begin starts a logical stream whose first page holds the given packet, and a
// new link if the one before is past its first pages.
func (o *oggFramer) begin(serial uint32, packet []byte) *oggStream {
	if o.begun || len(o.streams) == 0 {
		o.streams, o.begun, o.header = nil, false, nil
		o.video, o.keys, o.master = false, keyframes{since: o.off}, nil
		o.info.SampleRate, o.info.Channels, o.info.Bitrate = 0, 0, 0
		o.info.Width, o.info.Height = 0, 0
	}
	o.mark(o.off, false)
	s := newOggStream(serial, packet)
	if len(o.streams) < maxLogical && o.stream(serial) == nil {
		o.streams = append(o.streams, s)
	}
	o.video = o.video || s.video()
	o.info.MediaType = "audio/ogg"
	if o.video {
		o.info.MediaType = "video/ogg"
	}
	o.info.Loose = !o.video
	s.describe(&o.info)
	if s.rate > 0 && (o.master == nil || s.video() && !o.master.video()) {
		o.master = s
		o.clock.start(0)
	}
	return s
}

// headerPage takes a page that belongs to the headers of a logical stream.
func (o *oggFramer) headerPage(s *oggStream, page, lacing, body []byte) {
	if page[5]&oggFirst == 0 {
		o.begun = true
		o.mark(o.off, false)
	}
	if len(o.header)+len(page) > maxUnit {
		o.over = true
		return
	}
	o.header = append(o.header, page...)
	s.take(lacing, body, page[5]&oggContinued != 0)
}

// dataPage reports a page with data, of a stream that may be unknown.
func (o *oggFramer) dataPage(s *oggStream, flags byte, first []byte) {
	if o.canJoin(s, flags, first) {
		o.join(o.off, o.header)
	} else {
		o.mark(o.off, false)
	}
}

// canJoin reports whether a decoder that has the headers can begin with a page,
// whose first byte of data is given.
func (o *oggFramer) canJoin(s *oggStream, flags byte, first []byte) bool {
	if s == nil || flags&oggContinued != 0 || len(first) == 0 {
		return false
	}
	for _, s := range o.streams {
		if s.headers > 0 {
			return false
		}
	}
	if !o.video {
		return true
	}
	if !s.video() {
		return false
	}
	// Theora, section 7.1: a data packet, intra.
	return o.keys.canJoin(o.off, first[0]&0xC0 == 0)
}
