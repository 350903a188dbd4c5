// Package framing follows the units of media formats in endless streams: the
// frames of MP3 and ADTS, the packets of MPEG-TS, the pages of Ogg, the clusters
// of WebM and Matroska, the fragments of MP4, the tags of FLV. New returns the
// [sinkbus.Framer] for a stream.
//
// The framers read the headers of units and pass over what they hold by length,
// so that they cost little on every byte of every live stream. They keep only
// units whose header is not there yet, and the format's own header; both have
// a bound. A stream that is damaged is found again where its format allows that,
// and is otherwise followed no further.
package framing

import (
	"bytes"
	"encoding/binary"
	"mime"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// New returns a framer that finds out from the first bytes of a stream which
// format it is in. The media type that was declared for it and its file name,
// either of which may be empty, only matter where those bytes are of no known
// format, as when a stream begins with damage. For other content the framer
// reports nothing.
func New(mediaType, name string) sinkbus.Framer {
	return &sniffer{
		hint:  hintFor(mediaType, name),
		other: mediaType != "" && !mediaTypes.MatchString(mediaType),
	}
}

// mediaTypes matches the types that a stream of a known format may be declared
// to have, if it is declared at all.
var mediaTypes = regexp.MustCompile(`(?i)^(audio|video)/|^application/(ogg|octet-stream|x-www-form-urlencoded)`)

// format is a format that a framer exists for.
type format int

const (
	formatUnknown format = iota
	formatMP3
	formatADTS
	formatTS
	formatOgg
	formatMatroska
	formatMP4
	formatFLV
)

// framer returns a framer for a format, from an offset in the stream on.
func (f format) framer(off int64) sinkbus.Framer {
	from := feed{off: off}
	switch f {
	case formatMP3:
		return newAudioFramer(from, mp3Format)
	case formatADTS:
		return newAudioFramer(from, adtsFormat)
	case formatTS:
		return newTSFramer(from)
	case formatOgg:
		return newOggFramer(from)
	case formatMatroska:
		return newMatroskaFramer(from)
	case formatMP4:
		return newMP4Framer(from)
	case formatFLV:
		return newFLVFramer(from)
	default:
		return nil
	}
}

// hintFor returns the format that a stream is said to be in, if it is one that
// can be found in the middle of other bytes.
func hintFor(mediaType, name string) format {
	if t, _, err := mime.ParseMediaType(mediaType); err == nil {
		switch t {
		case "audio/mpeg", "audio/mp3", "audio/x-mpeg", "audio/x-mp3", "audio/mpeg3":
			return formatMP3
		case "audio/aac", "audio/aacp", "audio/x-aac", "audio/adts", "audio/x-hx-aac-adts":
			return formatADTS
		case "video/mp2t", "video/m2ts", "video/mpegts":
			return formatTS
		case "audio/ogg", "video/ogg", "application/ogg":
			return formatOgg
		}
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".mp3", ".mp2", ".mp1", ".mpga":
		return formatMP3
	case ".aac", ".adts":
		return formatADTS
	case ".ts", ".m2ts", ".mts":
		return formatTS
	case ".ogg", ".oga", ".ogv", ".opus":
		return formatOgg
	default:
		return formatUnknown
	}
}

// sniffSizes are the numbers of bytes after which a sniffer looks at what it
// has, so that its answer does not depend on how the stream is cut.
var sniffSizes = [...]int{12, 1 << 10, 2 << 10, 4 << 10, 8 << 10}

// sniffer is the framer of a stream whose format is not known yet.
type sniffer struct {
	hint  format
	other bool           // another kind of content was declared
	in    sinkbus.Framer // once the format is known
	off   int64          // of the first byte in kept
	skip  int64          // bytes left of a tag before the stream
	kept  []byte
	step  int // how many of sniffSizes have been tried
	over  bool
}

// Scan implements [sinkbus.Framer].
func (s *sniffer) Scan(p []byte, boundary func(off int64, join bool)) {
	for len(p) > 0 && !s.over {
		switch {
		case s.in != nil:
			s.in.Scan(p, boundary)
			return
		case s.skip > 0:
			n := min(s.skip, int64(len(p)))
			s.skip -= n
			s.off += n
			p = p[n:]
		default:
			n := min(sniffSizes[s.step]-len(s.kept), len(p))
			s.kept = append(s.kept, p[:n]...)
			p = p[n:]
			if len(s.kept) == sniffSizes[s.step] {
				s.sniff(boundary)
			}
		}
	}
}

// Header implements [sinkbus.Framer].
func (s *sniffer) Header() []byte {
	if s.in == nil {
		return nil
	}
	return s.in.Header()
}

// Info implements [sinkbus.Framer].
func (s *sniffer) Info() sinkbus.Info {
	if s.in == nil {
		return sinkbus.Info{Unknown: s.over}
	}
	return s.in.Info()
}

// sniff looks at the bytes that are kept.
func (s *sniffer) sniff(boundary func(off int64, join bool)) {
	p := s.kept
	if s.step == 0 {
		if size := id3Size(p); size > 0 {
			s.skip = size - int64(len(p))
			s.off += int64(len(p))
			s.kept = s.kept[:0]
			if s.skip < 0 {
				// A tag that is shorter than what was kept.
				s.off += s.skip
				s.kept = append(s.kept, p[int64(len(p))+s.skip:]...)
				s.skip = 0
			}
			return
		}
	}
	found := formatOf(p, s.hint, s.step == 0)
	if found == formatUnknown && s.step == 0 && s.hopeless(p) {
		s.step = len(sniffSizes) - 1
	}
	s.step++
	if found == formatUnknown && s.step == len(sniffSizes) {
		found = s.hint
	}
	switch {
	case found != formatUnknown:
		s.in = found.framer(s.off)
		s.in.Scan(p, boundary)
		s.kept = nil
	case s.step == len(sniffSizes):
		s.over = true
		s.kept = nil
	}
}

// hopeless reports whether a stream that begins with p is not worth looking at
// more of it, so that low-rate streams of text, say, need not wait until their
// format is known to be none.
func (s *sniffer) hopeless(p []byte) bool {
	if s.hint != formatUnknown {
		return false
	}
	sync := p[0] == 0xFF || p[0] == tsSync || p[4] == tsSync
	return isText(p) || s.other && !sync
}

// isText reports whether p can be the start of a text in UTF-8.
func isText(p []byte) bool {
	control := func(b byte) bool { return b < ' ' && b != '\t' && b != '\n' && b != '\r' }
	if slices.ContainsFunc(p, control) {
		return false
	}
	for cut := range utf8.UTFMax { // of the last character
		if utf8.Valid(p[:len(p)-cut]) {
			return true
		}
	}
	return false
}

// formatOf returns the format of a stream that begins with p: by its signature,
// or else by headers that follow each other.
func formatOf(p []byte, hint format, signature bool) format {
	if signature {
		return signatureOf(p)
	}
	if _, ok := findTS(p); ok {
		return formatTS
	}
	first, second := formatMP3, formatADTS
	if hint == formatADTS {
		first, second = formatADTS, formatMP3
	}
	for _, f := range [...]format{first, second} {
		layout := mp3Format
		if f == formatADTS {
			layout = adtsFormat
		}
		if layout.follows(p) {
			return f
		}
	}
	return formatUnknown
}

// signatureOf returns the format whose streams begin as p does, of 12 bytes.
func signatureOf(p []byte) format {
	switch {
	case bytes.HasPrefix(p, oggMagic):
		return formatOgg
	case binary.BigEndian.Uint32(p) == ebmlHeader:
		return formatMatroska
	case bytes.HasPrefix(p, flvMagic):
		return formatFLV
	}
	switch string(p[4:8]) {
	case "ftyp", "styp", "moov", "moof", "sidx", "free", "skip", "wide", "mdat", "pdin":
		return formatMP4
	default:
		return formatUnknown
	}
}

// id3Size returns the size of the ID3v2 tag that begins with p, of 10 bytes or
// more (ID3v2.4 structure, section 3.1), 0 if there is none.
func id3Size(p []byte) int64 {
	if !bytes.HasPrefix(p, []byte("ID3")) || p[3] == 0xFF || p[4] == 0xFF {
		return 0
	}
	var size int64
	for _, b := range p[6:10] {
		if b >= 0x80 {
			return 0
		}
		size = size<<7 | int64(b)
	}
	if p[5]&0x10 != 0 { // a footer
		size += 10
	}
	return size + 10
}

// Interface guards
var (
	_ sinkbus.Framer = (*sniffer)(nil)
	_ sinkbus.Framer = (*audioFramer)(nil)
	_ sinkbus.Framer = (*tsFramer)(nil)
	_ sinkbus.Framer = (*oggFramer)(nil)
	_ sinkbus.Framer = (*matroskaFramer)(nil)
	_ sinkbus.Framer = (*mp4Framer)(nil)
	_ sinkbus.Framer = (*flvFramer)(nil)
)
