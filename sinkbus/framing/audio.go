package framing

import (
	"bytes"
	"time"
)

// audioFrame is what the header of a frame of MP3 or ADTS tells.
type audioFrame struct {
	size     int // bytes, the header included
	samples  int
	rate     int // Hz
	channels int
	bitrate  int // bits a second, 0 where the header has none

	// key is the part of the header that is the same in all frames of a stream.
	key uint32
}

// audioFormat is a format of audio that is a row of frames, each with a header
// that begins with a byte of ones.
type audioFormat struct {
	mediaType string
	header    int // bytes that parse has to see
	parse     func(p []byte) (audioFrame, bool)
}

// follows reports whether p holds three frames that follow each other, with
// anything before.
func (a *audioFormat) follows(p []byte) bool {
	for i := 0; ; i++ {
		j := bytes.IndexByte(p[i:], 0xFF)
		if j < 0 {
			return false
		}
		i += j
		var key uint32
		at := i
		for n := range 3 {
			if at+a.header > len(p) {
				break
			}
			f, ok := a.parse(p[at:])
			if !ok || n > 0 && f.key != key {
				break
			}
			if n == 2 {
				return true
			}
			key = f.key
			at += f.size
		}
	}
}

// averageOver is how much of a stream counts for its average bit rate, which
// does not change after that.
const averageOver = 10 * time.Second

// audioFramer follows MP3 or ADTS.
type audioFramer struct {
	feed
	format *audioFormat

	synced  bool
	tag     bool // a tag may follow: nothing has been searched
	key     uint32
	frames  int64
	size    int64         // bytes of the frames for the average
	time    time.Duration // and how long they last
	bitrate int           // of all frames so far, -1 if it varies
}

func newAudioFramer(from feed, format *audioFormat) *audioFramer {
	from.info.MediaType = format.mediaType
	from.info.Loose = true
	return &audioFramer{feed: from, format: format, tag: true}
}

// Scan implements sinkbus.Framer.
func (a *audioFramer) Scan(p []byte, boundary func(off int64, join bool)) {
	a.scan(p, boundary, a)
}

// next implements parser.
func (a *audioFramer) next(p []byte) (int64, int) {
	if a.synced {
		if len(p) < a.format.header {
			return 0, a.format.header
		}
		if f, ok := a.format.parse(p); ok && f.key == a.key {
			a.count(f)
			return int64(f.size), 0
		}
		a.synced, a.tag = false, true
	}
	if a.tag && p[0] == 'I' {
		if len(p) < 10 {
			return 0, 10
		}
		if size := id3Size(p); size > 0 {
			return size, 0
		}
	}
	a.tag = false
	return a.search(p)
}

// search looks for a frame that is followed by another one.
func (a *audioFramer) search(p []byte) (int64, int) {
	for i := 0; ; i++ {
		j := bytes.IndexByte(p[i:], 0xFF)
		if j < 0 {
			return int64(len(p)), 0
		}
		if i += j; len(p)-i < a.format.header {
			return int64(i), a.format.header
		}
		f, ok := a.format.parse(p[i:])
		switch {
		case !ok:
			continue
		case i > 0:
			return int64(i), 0
		case len(p) < f.size+a.format.header:
			return 0, f.size + a.format.header
		}
		if g, ok := a.format.parse(p[f.size:]); ok && g.key == f.key {
			a.synced, a.key = true, f.key
			a.count(f)
			return int64(f.size), 0
		}
	}
}

// count takes note of the frame that begins here.
func (a *audioFramer) count(f audioFrame) {
	a.mark(a.off, true)
	a.frames++
	lasts := time.Duration(f.samples) * time.Second / time.Duration(f.rate)
	a.info.Played += lasts
	a.info.SampleRate, a.info.Channels = f.rate, f.channels

	// The first frame may be one without sound, with a table about a file
	// that this stream is not, and a bit rate of its own.
	switch {
	case a.frames <= 2:
		a.bitrate, a.size, a.time = f.bitrate, int64(f.size), lasts
	case a.time >= averageOver:
		return
	default:
		a.size += int64(f.size)
		a.time += lasts
		if f.bitrate != a.bitrate {
			a.bitrate = -1
		}
	}
	if a.info.Bitrate = a.bitrate; a.bitrate <= 0 {
		perSecond := a.size * 8 * int64(time.Second) / int64(a.time)
		a.info.Bitrate = int((perSecond + 500) / 1000 * 1000)
	}
}
