package framing

import (
	"bytes"
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/flac"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// oggCodec is what a logical stream of Ogg holds.
type oggCodec int

const (
	oggOther oggCodec = iota
	oggVorbis
	oggOpus
	oggFLAC
	oggSpeex
	oggTheora
)

// untilLast is the number of headers of a stream that does not tell it, but
// marks the last one.
const untilLast = 1 << 30

// oggStream is one logical stream.
type oggStream struct {
	serial  uint32
	codec   oggCodec
	headers int // packets of the header that are still to come

	// What the codec's first packet tells.
	rate          int64 // granules a second
	scale         int64 // of a granule, where it is not 1
	shift         uint  // of the keyframe's part of a granule
	skip          int64 // granules before the first sample that is heard
	sampleRate    int
	channels      int
	bitrate       int
	width, height int

	lastBegun bool // of headers, the last one
}

// newOggStream returns the logical stream that begins with a packet.
func newOggStream(serial uint32, p []byte) *oggStream {
	s := &oggStream{serial: serial, headers: 1, scale: 1}
	switch {
	case bytes.HasPrefix(p, []byte("\x01vorbis")) && len(p) >= 28: // Vorbis I, section 4.2.2
		s.codec, s.headers = oggVorbis, 3
		s.channels = int(p[11])
		s.sampleRate = int(binary.LittleEndian.Uint32(p[12:]))
		s.bitrate = max(0, int(int32(binary.LittleEndian.Uint32(p[20:]))))
		s.rate = int64(s.sampleRate)
	case bytes.HasPrefix(p, []byte("OpusHead")) && len(p) >= 19: // RFC 7845, section 5.1
		s.codec, s.headers = oggOpus, 2
		s.channels = int(p[9])
		s.skip = int64(binary.LittleEndian.Uint16(p[10:]))
		s.sampleRate, s.rate = 48000, 48000
	case bytes.HasPrefix(p, []byte("\x7FFLAC")) && len(p) >= 51: // RFC 9639, section 10.1
		s.codec = oggFLAC
		if s.headers = 1 + int(binary.BigEndian.Uint16(p[7:])); s.headers == 1 {
			s.headers = untilLast
		}
		var info flac.StreamInfo
		if info.Unmarshal(p[17:]) == nil {
			s.channels, s.sampleRate = int(info.ChannelCount), int(info.SampleRate)
			s.rate = int64(s.sampleRate)
		}
	case bytes.HasPrefix(p, []byte("Speex   ")) && len(p) >= 72: // Speex manual, section 7.3
		s.codec = oggSpeex
		s.headers = 2 + int(min(binary.LittleEndian.Uint32(p[68:]), 16))
		s.sampleRate = int(binary.LittleEndian.Uint32(p[36:]))
		s.channels = int(binary.LittleEndian.Uint32(p[48:]))
		s.rate = int64(s.sampleRate)
	case bytes.HasPrefix(p, []byte("\x80theora")) && len(p) >= 42: // Theora, section 6.2
		s.codec, s.headers = oggTheora, 3
		s.width = int(binary.BigEndian.Uint32(p[13:]) & 0xFFFFFF)
		s.height = int(binary.BigEndian.Uint32(p[16:]) & 0xFFFFFF)
		s.rate = int64(binary.BigEndian.Uint32(p[22:]))
		s.scale = int64(binary.BigEndian.Uint32(p[26:]))
		s.shift = uint(binary.BigEndian.Uint16(p[40:]) >> 5 & 31)
	}
	return s
}

func (s *oggStream) video() bool { return s.codec == oggTheora }

// describe adds what the stream is to what is known of all.
func (s *oggStream) describe(info *sinkbus.Info) {
	if info.SampleRate == 0 {
		info.SampleRate, info.Channels, info.Bitrate = s.sampleRate, s.channels, s.bitrate
	}
	if info.Width == 0 {
		info.Width, info.Height = s.width, s.height
	}
}

// time returns the clock at a granule, and its rate.
func (s *oggStream) time(granule int64) (now, rate int64) {
	if s.shift > 0 {
		granule = granule>>s.shift + granule&(1<<s.shift-1)
	}
	return max(0, granule-s.skip) * s.scale, s.rate
}

// take counts the packets of a page of the header.
func (s *oggStream) take(lacing, body []byte, continued bool) {
	begins := !continued
	at := 0
	for _, n := range lacing {
		if begins && at < len(body) && s.headers == untilLast && s.lastBlock(body[at:]) {
			s.lastBegun = true
		}
		at += int(n)
		if begins = n < 255; begins && s.headers > 0 {
			if s.headers != untilLast {
				s.headers--
			} else if s.lastBegun {
				s.headers = 0
			}
		}
	}
}

// lastBlock reports whether a packet of a FLAC stream is its last block of
// metadata (RFC 9639, section 8.1). The first one has it inside.
func (s *oggStream) lastBlock(packet []byte) bool {
	const before = 13
	if bytes.HasPrefix(packet, []byte("\x7FFLAC")) {
		return len(packet) > before && packet[before]&0x80 != 0
	}
	return packet[0]&0x80 != 0
}
