package framing

import (
	"bytes"
	"errors"

	"github.com/abema/go-mp4"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// mp4Defaults are what holds for the samples of a track where its fragments do
// not say otherwise.
type mp4Defaults struct {
	duration, flags uint32
}

// mp4Track is a track of a movie.
type mp4Track struct {
	id             uint32
	video, audio   bool
	timescale      uint32
	width, height  int
	rate, channels int
}

const (
	// mp4Depth is how deep boxes in a movie lie inside of each other: down to
	// the configuration of a decoder.
	mp4Depth = 8

	// mp4Tracks is how many tracks of a movie are looked at.
	mp4Tracks = 64
)

// errMovie ends the reading of a movie.
var errMovie = errors.New("reading a movie with too many boxes")

// mp4Movie is what a movie box tells.
type mp4Movie struct {
	fragmented bool
	track      uint32 // the one that decides where to join, the first video
	timescale  int64  // of that track
	defaults   map[uint32]mp4Defaults
}

// parseMovie reads a movie box, as far as it can be read.
func parseMovie(box []byte, info *sinkbus.Info) mp4Movie {
	m := mp4Movie{defaults: make(map[uint32]mp4Defaults)}
	var tracks []*mp4Track
	r := bytes.NewReader(box)
	// What was read before an error still holds.
	_, _ = mp4.ReadBoxStructure(r, func(h *mp4.ReadHandle) (any, error) {
		if len(h.Path) > mp4Depth || len(tracks) > mp4Tracks {
			return nil, errMovie
		}
		switch h.BoxInfo.Type {
		case mp4.BoxTypeMvex():
			m.fragmented = true
		case mp4.BoxTypeTrak():
			tracks = append(tracks, new(mp4Track))
		case mp4.BoxTypeMoov(), mp4.BoxTypeMdia(), mp4.BoxTypeMinf(), mp4.BoxTypeStbl(), mp4.BoxTypeStsd():
		default:
			return nil, m.leaf(h, tracks)
		}
		return h.Expand()
	})
	*info = sinkbus.Info{MediaType: "audio/mp4", Played: info.Played}
	var chosen *mp4Track
	for _, t := range tracks {
		if t.video && (chosen == nil || !chosen.video) {
			chosen = t
			info.MediaType = "video/mp4"
			info.Width, info.Height = t.width, t.height
		}
		if t.audio && info.SampleRate == 0 {
			info.SampleRate, info.Channels = t.rate, t.channels
			if t.rate == 0 {
				info.SampleRate = int(t.timescale)
			}
		}
		if chosen == nil {
			chosen = t
		}
	}
	if chosen != nil {
		m.track, m.timescale = chosen.id, int64(chosen.timescale)
	}
	return m
}

// leaf takes a box of a movie that is not just made of others.
func (m *mp4Movie) leaf(h *mp4.ReadHandle, tracks []*mp4Track) error {
	// Only what is below is read; a box that cannot be read counts for
	// nothing, and neither does one that is in no track.
	sample := len(h.Path) > 1 && h.Path[len(h.Path)-2] == mp4.BoxTypeStsd()
	wanted := sample
	switch h.BoxInfo.Type {
	case mp4.BoxTypeTkhd(), mp4.BoxTypeMdhd(), mp4.BoxTypeHdlr(), mp4.BoxTypeTrex(), mp4.BoxTypeEsds():
		wanted = true
	}
	if sample && !h.BoxInfo.IsSupportedType() && len(tracks) > 0 {
		return tracks[len(tracks)-1].other(h)
	}
	if !wanted || !h.BoxInfo.IsSupportedType() {
		return nil
	}
	box, _, err := h.ReadPayload()
	if err != nil {
		return nil //nolint:nilerr // the other boxes may still be right
	}
	if b, ok := box.(*mp4.Trex); ok && len(m.defaults) < mp4Tracks {
		m.defaults[b.TrackID] = mp4Defaults{b.DefaultSampleDuration, b.DefaultSampleFlags}
	}
	if len(tracks) == 0 {
		return nil
	}
	t := tracks[len(tracks)-1]
	switch b := box.(type) {
	case *mp4.Tkhd:
		t.id = b.TrackID
		if t.width == 0 {
			t.width, t.height = int(b.Width>>16), int(b.Height>>16)
		}
	case *mp4.Mdhd:
		t.timescale = b.Timescale
	case *mp4.Hdlr:
		t.video = t.video || string(b.HandlerType[:]) == "vide"
		t.audio = t.audio || string(b.HandlerType[:]) == "soun"
	case *mp4.VisualSampleEntry:
		t.width, t.height = int(b.Width), int(b.Height)
	case *mp4.AudioSampleEntry:
		t.rate, t.channels = int(b.SampleRate>>16), int(b.ChannelCount)
		_, err := h.Expand()
		return err
	case *mp4.Esds:
		t.describe(b)
	}
	return nil
}

// other takes the sample entry of a codec that the library has no name for: its
// first fields are those of all sound.
func (t *mp4Track) other(h *mp4.ReadHandle) error {
	if !t.audio {
		return nil
	}
	var data bytes.Buffer
	if _, err := h.ReadData(&data); err != nil {
		return err
	}
	var b mp4.AudioSampleEntry
	b.SetType(mp4.BoxTypeMp4a())
	if _, err := mp4.Unmarshal(bytes.NewReader(data.Bytes()), uint64(data.Len()), &b, h.BoxInfo.Context); err == nil {
		t.rate, t.channels = int(b.SampleRate>>16), int(b.ChannelCount)
	}
	return nil
}

// describe takes what the configuration of an AAC decoder tells.
func (t *mp4Track) describe(b *mp4.Esds) {
	for _, d := range b.Descriptors {
		var c mpeg4audio.AudioSpecificConfig
		if d.Tag != mp4.DecSpecificInfoTag || c.Unmarshal(d.Data) != nil {
			continue
		}
		t.rate = c.SampleRate
		if n := aacChannels(c.ChannelConfig); n > 0 {
			t.channels = n
		}
	}
}
