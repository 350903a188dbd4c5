package framing

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// flvKind is what a tag is for.
type flvKind int

const (
	flvBroken flvKind = iota
	flvOther
	flvMeta   // a script tag, perhaps onMetaData
	flvConfig // the configuration of a decoder
	flvKey    // a picture that can be decoded alone
	flvMedia  // other video, or audio
)

// flvTag is what the first bytes of a tag's data tell.
type flvTag struct {
	kind  flvKind
	video bool
}

// parseFLVTag looks at the first bytes of a tag's data.
func parseFLVTag(kind byte, p []byte) flvTag {
	switch kind {
	case flvScript:
		return flvTag{kind: flvMeta}
	case flvAudio:
		return flvTag{kind: flvAudioKind(p)}
	case flvVideo:
		return flvTag{kind: flvVideoKind(p), video: true}
	case flvScript3, flvAudio | flvFiltered, flvVideo | flvFiltered, flvScript | flvFiltered:
		return flvTag{kind: flvOther}
	default:
		return flvTag{kind: flvBroken}
	}
}

// flvAudioKind is for the data of an audio tag (annex E.4.2.1).
func flvAudioKind(p []byte) flvKind {
	const aac, enhanced = 10, 9
	switch {
	case len(p) < 2:
		return flvOther
	case p[0]>>4 == aac && p[1] == 0, p[0]>>4 == enhanced && p[0]&15 == 0:
		return flvConfig
	default:
		return flvMedia
	}
}

// flvVideoKind is for the data of a video tag (annex E.4.3.1, and Enhanced RTMP
// for those with the first bit set).
func flvVideoKind(p []byte) flvKind {
	const avc, hevc = 7, 12
	if len(p) < 2 {
		return flvOther
	}
	key := p[0]>>4&7 == 1
	if p[0]&0x80 != 0 {
		switch p[0] & 15 {
		case 0, 5: // the start of a sequence, for MPEG-2 TS too
			return flvConfig
		case 1, 3, 6: // frames, with a composition time or without, or of several tracks
		default:
			return flvOther
		}
	} else if codec := p[0] & 15; codec == avc || codec == hevc {
		switch p[1] {
		case 0:
			return flvConfig
		case 1:
		default:
			return flvOther
		}
	}
	if p[0]>>4&7 == 5 { // a command, or information
		return flvOther
	}
	if key {
		return flvKey
	}
	return flvMedia
}

// flvMetaData begins the data of the script tag with the properties of the file:
// its name as a string of AMF0.
var flvMetaData = []byte("\x02\x00\x0AonMetaData")

// describeFLVMeta takes what onMetaData tells.
func describeFLVMeta(p []byte, info *sinkbus.Info) {
	setPositive(&info.Width, amfNumber(p, "width"))
	setPositive(&info.Height, amfNumber(p, "height"))
	setPositive(&info.SampleRate, amfNumber(p, "audiosamplerate"))
	setPositive(&info.Channels, amfNumber(p, "audiochannels"))
	setPositive(&info.Bitrate, (amfNumber(p, "audiodatarate")+amfNumber(p, "videodatarate"))*1000)
}

// setPositive sets a property if v can be one.
func setPositive(to *int, v float64) {
	if v >= 1 && v < math.MaxInt32 {
		*to = int(v)
	}
}

// amfNumber returns the number that an object of AMF0 has under a name, 0 if it
// has none: a name with its length, the mark of a number, and the number.
func amfNumber(p []byte, name string) float64 {
	key := append([]byte{0, byte(len(name))}, name...)
	_, p, ok := bytes.Cut(p, append(key, 0))
	if !ok || len(p) < 8 {
		return 0
	}
	return math.Float64frombits(binary.BigEndian.Uint64(p))
}

// describeFLVVideo takes what the configuration of a video decoder tells, if it
// is for H.264 or H.265 (ISO 14496-15, sections 5.3.3.1 and 8.3.3.1).
func describeFLVVideo(p []byte, info *sinkbus.Info) {
	codec := p[0] & 15
	if p[0]&0x80 != 0 && len(p) >= 5 {
		switch string(p[1:5]) {
		case "avc1":
			codec = 7
		case "hvc1":
			codec = 12
		default:
			return
		}
	}
	if len(p) < 5 {
		return
	}
	switch p = p[5:]; codec {
	case 7:
		if len(p) < 8 || p[5]&0x1F == 0 {
			return
		}
		var sps h264.SPS
		if unit := sized(p[6:]); unit != nil && sps.Unmarshal(unit) == nil {
			info.Width, info.Height = sps.Width(), sps.Height()
		}
	case 12:
		if len(p) < 23 {
			return
		}
		arrays := int(p[22])
		p = p[23:]
		for range arrays {
			if len(p) < 3 {
				return
			}
			kind, units := p[0]&0x3F, int(p[1])<<8|int(p[2])
			p = p[3:]
			for range units {
				unit := sized(p)
				if unit == nil {
					return
				}
				var sps h265.SPS
				if kind == byte(h265.NALUType_SPS_NUT) && sps.Unmarshal(unit) == nil {
					info.Width, info.Height = sps.Width(), sps.Height()
					return
				}
				p = p[2+len(unit):]
			}
		}
	}
}

// sized returns the bytes that follow their length of two bytes, nil if they are
// not all there.
func sized(p []byte) []byte {
	if len(p) < 2 {
		return nil
	}
	n := int(p[0])<<8 | int(p[1])
	if n == 0 || n > len(p)-2 {
		return nil
	}
	return p[2 : 2+n]
}

// describeFLVAudio takes what the configuration of an audio decoder tells, if it
// is for AAC.
func describeFLVAudio(p []byte, info *sinkbus.Info) {
	const aac = 10
	switch {
	case p[0]>>4 == aac && len(p) > 2:
		p = p[2:]
	case len(p) > 5 && string(p[1:5]) == "mp4a":
		p = p[5:]
	default:
		return
	}
	var c mpeg4audio.AudioSpecificConfig
	if c.Unmarshal(p) == nil {
		info.SampleRate = c.SampleRate
		if n := aacChannels(c.ChannelConfig); n > 0 {
			info.Channels = n
		}
	}
}

// describeFLVSound takes what the first byte of sound tells where there is no
// configuration (annex E.4.2.1).
func describeFLVSound(b byte, info *sinkbus.Info) {
	const mp3, nellymoser = 2, 6
	if format := b >> 4; format > mp3 && format != nellymoser {
		return
	}
	info.Channels = 1 + int(b&1)
	if info.SampleRate == 0 {
		info.SampleRate = 44100 >> (3 - b>>2&3)
	}
}
