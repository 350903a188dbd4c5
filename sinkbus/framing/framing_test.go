package framing

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestNewFindsFormat(t *testing.T) {
	noise := make([]byte, 20<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	noise[0] = 0
	frames := mp3Frames(60)
	for _, tc := range []struct {
		name       string
		data       []byte
		declared   string
		file       string
		want       string // the media type
		unknown    bool
		wantWithin int // bytes after which that is known
	}{
		{"text", []byte("A line of text that goes on\n"), "", "", "", true, 12},
		{"text in UTF-8", []byte("Grüße ß€ an alle\n"), "", "", "", true, 12},
		{"text in UTF-8, cut", []byte("eine Größ€"), "", "", "", true, 12},
		{"bytes of ones", bytes.Repeat([]byte{0xFF}, 20), "", "", "", false, 20},
		{"JSON", []byte("{\n\t\"key\": \"value\"}"), "application/json", "", "", true, 12},
		{"declared as something else", noise, "application/x-thing", "", "", true, 12},
		{"noise", noise, "", "", "", true, 8 << 10},
		{"declared as MP3", noise, "audio/mpeg", "", "audio/mpeg", false, 8 << 10},
		{"named as AAC", noise, "", "a/b.aac", "audio/aac", false, 8 << 10},
		{"named as TS", noise, "application/octet-stream", "b.TS", "video/mp2t", false, 8 << 10},
		{"MP3 said to be AAC", frames, "audio/aac", "x.aac", "audio/mpeg", false, 1 << 10},
		{"MP3 from a form", frames, "application/x-www-form-urlencoded", "", "audio/mpeg", false, 1 << 10},
		{"MP3 from the middle", frames[200:], "", "", "audio/mpeg", false, 2 << 10},
		{"MP3 said to be text", frames, "text/plain", "x.txt", "audio/mpeg", false, 1 << 10},
		{"MP3 behind a tag", slices.Concat(id3Tag(noise), frames), "", "", "audio/mpeg", false, 22 << 10},
		{"Ogg said to be MP3", oggPage(2, 0, 1, false, opusHead), "audio/mpeg", "x.mp3", "audio/ogg", false, 100},
		{"only a tag", id3Tag(noise), "", "", "", false, 30 << 10},
		{"empty", nil, "audio/mpeg", "", "", false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := New(tc.declared, tc.file)
			places := 0
			f.Scan(tc.data[:min(tc.wantWithin, len(tc.data))], func(int64, bool) { places++ })
			if got := f.Info(); got.MediaType != tc.want || got.Unknown != tc.unknown {
				t.Errorf("got %+v, want %q, %v", got, tc.want, tc.unknown)
			}
			if tc.unknown && (places > 0 || f.Header() != nil) {
				t.Errorf("got %d boundaries and a header of %d bytes", places, len(f.Header()))
			}
		})
	}
}

// TestUnknownCostsNothing scans much content of no known format.
func TestUnknownCostsNothing(t *testing.T) {
	f := New("", "")
	data := []byte(strings.Repeat("some text\n", 1000))
	f.Scan(data, nil)
	if n := testing.AllocsPerRun(100, func() { f.Scan(data, nil) }); n > 0 {
		t.Errorf("got %v allocations", n)
	}
	if s := f.(*sniffer); s.kept != nil || !s.over {
		t.Errorf("%d bytes are kept", len(s.kept))
	}
}

func TestTimeline(t *testing.T) {
	for _, tc := range []struct {
		name       string
		rate, wrap int64
		steps      []int64
		want       string
	}{
		{"in order", 1000, 0, []int64{500, 1500, 2500}, "2s"},
		{"interleaved", 1000, 0, []int64{0, 1000, 900, 1100, 1050}, "1.1s"},
		{"starts anew", 1000, 0, []int64{100000, 101000, 0, 1000}, "2s"},
		{"jumps ahead", 1000, 0, []int64{0, 1000, 1e9, 1e9 + 500}, "1.5s"},
		{"wraps", 1000, 1 << 16, []int64{65000, 65500, 464}, "1s"},
		{"no rate", 0, 0, []int64{0, 1000}, "0s"},
		{"thirds", 3, 0, []int64{0, 1, 2, 3, 4, 5, 6}, "2s"},
		{"extremes", 1 << 62, 0, []int64{-1 << 63, 1<<63 - 1, -1 << 63}, "0s"},
	} {
		var c timeline
		for _, now := range tc.steps {
			c.advance(now, tc.rate, tc.wrap)
		}
		if got := c.played.String(); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

// TestFeedKeepsNoPayload has long units in many pieces.
func TestFeedKeepsNoPayload(t *testing.T) {
	head := movieOf(t, "mp4")
	f := New("", "").(*sniffer)
	ignore := func(int64, bool) {}
	f.Scan(head, ignore)
	f.Scan(words(64<<20, 0x6D646174), ignore)
	piece := bytes.Repeat([]byte("moof"), 4<<10)
	for range 1000 {
		f.Scan(piece, ignore)
	}
	if m := f.in.(*mp4Framer); m.over || cap(m.kept) > maxIdle {
		t.Errorf("given up: %v, %d bytes kept", m.over, cap(m.kept))
	}
}
