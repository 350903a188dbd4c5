package mediatype

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"net/http"
)

// SniffLen is how many bytes of content Sniff looks at, at most, apart from a
// long ID3 tag that it skips.
const SniffLen = 1024

// isoSegment is the type of a piece of an ISO media file, as of "m4s".
const isoSegment = "video/iso.segment"

// Sniff returns the media type of content from its first bytes, as a value of
// Content-Type. SniffLen of them are enough; fewer give a less certain answer.
// It is application/octet-stream if nothing else is known. Sniff knows what is
// streamed, and leaves the rest to http.DetectContentType.
func Sniff(data []byte) string {
	for _, sniff := range [...]func([]byte) string{sniffISO, sniffTS, sniffText, sniffOgg, sniffMatroska, sniffAudio} {
		if t := sniff(data); t != "" {
			return t
		}
	}
	if t := http.DetectContentType(data); t != "audio/wave" {
		return t
	}
	return byExtension["wav"]
}

// sniffISO knows the boxes that files and segments begin with (ISO/IEC 14496-12
// section 4.2, ISO/IEC 23009-1 section 6.3).
func sniffISO(data []byte) string {
	if len(data) < 8 {
		return ""
	}
	// 0 means to the end of the file, 1 that a size of 64 bits follows
	if size := binary.BigEndian.Uint32(data); size > 1 && size < 8 {
		return ""
	}
	switch string(data[4:8]) {
	case "styp", "moof", "sidx", "emsg", "prft":
		return isoSegment
	case "moov":
		return "video/mp4"
	case "ftyp":
		if len(data) < 12 {
			return "video/mp4"
		}
		switch string(data[8:12]) {
		case "M4A ", "M4B ":
			return "audio/mp4"
		case "qt  ":
			return "video/quicktime"
		case "avif", "avis":
			return "image/avif"
		case "heic", "heix", "hevc", "hevx":
			return "image/heic"
		case "mif1", "msf1":
			return "image/heif"
		}
		if bytes.HasPrefix(data[8:], []byte("3gp")) {
			return "video/3gpp"
		}
		return "video/mp4"
	}
	return ""
}

// sniffTS knows MPEG transport streams by the first byte of each packet of 188
// (ISO/IEC 13818-1 section 2.4.3.2).
func sniffTS(data []byte) string {
	const packet, sync = 188, 0x47
	if len(data) <= packet || data[0] != sync {
		return ""
	}
	for i := packet; i < len(data) && i < SniffLen; i += packet {
		if data[i] != sync {
			return ""
		}
	}
	return "video/mp2t"
}

// sniffText knows playlists (RFC 8216 section 4.3.1.1), WebVTT (W3C, section 6)
// and XML documents by their first element.
func sniffText(data []byte) string {
	data = data[:min(len(data), SniffLen)]
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch {
	case hasWord(data, "#EXTM3U"):
		return byExtension["m3u8"]
	case hasWord(data, "WEBVTT"):
		return byExtension["vtt"]
	}
	for {
		data = bytes.TrimLeft(data, " \t\r\n")
		var end string
		switch {
		case bytes.HasPrefix(data, []byte("<?")):
			end = "?>"
		case bytes.HasPrefix(data, []byte("<!--")):
			end = "-->"
		case hasWord(data, "<MPD"):
			return byExtension["mpd"]
		case hasWord(data, "<tt"), hasWord(data, "<tt:tt"):
			return byExtension["ttml"]
		default:
			return ""
		}
		_, rest, ok := bytes.Cut(data, []byte(end))
		if !ok {
			return ""
		}
		data = rest
	}
}

// hasWord reports whether data begins with word, and that ends there.
func hasWord(data []byte, word string) bool {
	if len(data) < len(word) || string(data[:len(word)]) != word {
		return false
	}
	return len(data) == len(word) || bytes.IndexByte([]byte(" \t\r\n>/"), data[len(word)]) >= 0
}

// sniffOgg tells sound from video by the codec of the first stream (RFC 3533
// section 6, RFC 5334 section 3).
func sniffOgg(data []byte) string {
	const header = 27
	if !bytes.HasPrefix(data, []byte("OggS\x00")) {
		return ""
	}
	if len(data) > header {
		if start := header + int(data[header-1]); start < len(data) {
			codec := data[start:]
			switch {
			case bytes.HasPrefix(codec, []byte("\x01vorbis")),
				bytes.HasPrefix(codec, []byte("OpusHead")),
				bytes.HasPrefix(codec, []byte("Speex   ")),
				bytes.HasPrefix(codec, []byte("\x7fFLAC")):
				return "audio/ogg"
			case bytes.HasPrefix(codec, []byte("\x80theora")):
				return "video/ogg"
			}
		}
	}
	return "application/ogg"
}

// sniffMatroska tells WebM from Matroska by the EBML header's DocType (RFC 8794
// sections 4 and 11.2.7).
func sniffMatroska(data []byte) string {
	if !bytes.HasPrefix(data, []byte("\x1a\x45\xdf\xa3")) {
		return ""
	}
	header := data[:min(len(data), 128)]
	if _, rest, ok := bytes.Cut(header, []byte("\x42\x82")); ok && len(rest) > 0 {
		// the length, in 1 to 8 bytes: as many as its leading zeros tell
		size := bits.LeadingZeros8(rest[0]) + 1
		if bytes.HasPrefix(rest[min(size, len(rest)):], []byte("matroska")) {
			return byExtension["mkv"]
		}
	}
	return "video/webm"
}

// sniffAudio knows FLAC, AAC in ADTS and MPEG audio, also after an ID3 tag, which
// HLS puts in front of each segment of either (RFC 8216 section 3.4).
func sniffAudio(data []byte) string {
	tagged := false
	for len(data) >= 10 && string(data[:3]) == "ID3" {
		// ID3v2.4.0 section 3.1: the size leaves out the header
		tagged = true
		size := 10 + int(data[6]&0x7f)<<21 + int(data[7]&0x7f)<<14 + int(data[8]&0x7f)<<7 + int(data[9]&0x7f)
		if data[5]&0x10 != 0 {
			size += 10 // and the footer
		}
		data = data[min(size, len(data)):]
	}
	switch {
	case bytes.HasPrefix(data, []byte("fLaC")):
		return byExtension["flac"]
	case isFrames(data, adtsFrame):
		return byExtension["aac"]
	case isFrames(data, mpegAudioFrame):
		return byExtension["mp3"]
	case tagged:
		return byExtension["mp3"] // whose tags may be longer than data
	}
	return ""
}

// isFrames reports whether data begins with a frame, and goes on with another
// one as far as it is there. The function frame returns the length of the frame
// that its argument begins with, or 0.
func isFrames(data []byte, frame func(header []byte) int) bool {
	n := frame(data)
	if n == 0 {
		return false
	}
	next := data[min(n, len(data)):]
	switch {
	case len(next) >= 7:
		return frame(next) > 0
	case len(next) > 0:
		return next[0] == data[0]
	}
	return true
}

// adtsFrame returns the length in bytes of an ADTS frame, header included, or 0
// (ISO/IEC 14496-3 section 1.A.2.2.1).
func adtsFrame(h []byte) int {
	// sync word, then any version, layer 0, any protection
	if len(h) < 7 || h[0] != 0xff || h[1]&0xf6 != 0xf0 {
		return 0
	}
	if rate := h[2] >> 2 & 0xf; rate > 12 {
		return 0
	}
	n := int(h[3]&3)<<11 | int(h[4])<<3 | int(h[5])>>5
	if n < 7 {
		return 0
	}
	return n
}

// The bit rates in kb/s and sample rates in Hz of MPEG audio (ISO/IEC 11172-3
// section 2.4.2.3, ISO/IEC 13818-3 section 2.4.2.3).
var (
	bitRatesV1L2 = [16]int{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 0}
	bitRatesV1L3 = [16]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}
	bitRatesV2   = [16]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}
	sampleRates  = [4]int{44100, 48000, 32000, 0}
)

// mpegAudioFrame returns the length in bytes of a frame of layer II or III, or 0.
// Layer I is not used, and its header may be a byte order mark of UTF-16. Nor
// is the free bit rate.
func mpegAudioFrame(h []byte) int {
	if len(h) < 4 || h[0] != 0xff || h[1]&0xe0 != 0xe0 {
		return 0
	}
	version, layer := h[1]>>3&3, h[1]>>1&3
	const v25, v2, v1, layer3, layer2 = 0, 2, 3, 1, 2
	if version != v25 && version != v2 && version != v1 || layer != layer3 && layer != layer2 {
		return 0
	}
	rates := &bitRatesV2
	switch {
	case version == v1 && layer == layer2:
		rates = &bitRatesV1L2
	case version == v1:
		rates = &bitRatesV1L3
	}
	bitRate, sampleRate := rates[h[2]>>4]*1000, sampleRates[h[2]>>2&3]
	switch version {
	case v2:
		sampleRate /= 2
	case v25:
		sampleRate /= 4
	}
	if bitRate == 0 || sampleRate == 0 {
		return 0
	}
	samples := 1152
	if version != v1 && layer == layer3 {
		samples = 576
	}
	return samples/8*bitRate/sampleRate + int(h[2]>>1&1)
}
