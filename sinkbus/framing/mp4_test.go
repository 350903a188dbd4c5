package framing

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"
)

// box returns a box.
func box(kind string, data ...[]byte) []byte {
	body := slices.Concat(data...)
	return slices.Concat(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), []byte(kind), body)
}

// words returns 32-bit numbers.
func words(v ...uint32) (p []byte) {
	for _, v := range v {
		p = binary.BigEndian.AppendUint32(p, v)
	}
	return p
}

// movieOf returns the boxes up to the movie of a sample of MP4, and the offset
// of its first fragment.
func movieOf(t *testing.T, name string) []byte {
	t.Helper()
	joins := joinsOf(first(follow(t, sampleNamed(t, name), whole)))
	return []byte(joins[0].head)
}

func TestMP4Fragments(t *testing.T) {
	const noSync, sync = 0x01010000, 0x02000000
	moof := func(boxes ...[]byte) []byte {
		return box("moof", box("mfhd", words(0, 1)), box("traf", boxes...))
	}
	tfhd := func(flags uint32, fields ...uint32) []byte {
		return box("tfhd", words(0x020000|flags, 1), words(fields...))
	}
	tfdt := func(at uint32) []byte { return box("tfdt", words(0, at)) }
	mdat := box("mdat", make([]byte, 1000))
	for _, tc := range []struct {
		name string
		data []byte // after the movie
		at   int64  // of the boundary, from there
		join bool
	}{
		{"first sample's flags", moof(tfhd(0), tfdt(0), box("trun", words(0x05, 1, 0, sync))), 0, true},
		{"first sample's flags, not sync", moof(tfhd(0x20, sync), tfdt(0), box("trun", words(0x05, 1, 0, noSync))), 0, false},
		{"depends on others", moof(tfhd(0), tfdt(0), box("trun", words(0x05, 1, 0, 0x01000000))), 0, false},
		{"each sample's flags", moof(tfhd(0), tfdt(0), box("trun", words(0x701, 2, 0, 512, 9, sync, 512, 9, noSync))), 0, true},
		{"each sample's flags, not sync", moof(tfhd(0), tfdt(0), box("trun", words(0xF01, 2, 0, 512, 9, noSync, 1, 512, 9, sync, 1))), 0, false},
		{"fragment's defaults", moof(tfhd(0x3A, 1, 512, 9, sync), tfdt(0), box("trun", words(0, 1))), 0, true},
		{"an empty run first", moof(tfhd(0), tfdt(0), box("trun", words(0, 0)), box("trun", words(0x05, 1, 0, sync))), 0, true},
		{"no samples", moof(tfhd(0), tfdt(0)), 0, false},
		{"another track", moof(box("tfhd", words(0x020000, 2)), tfdt(0), box("trun", words(0x05, 1, 0, sync))), 0, false},
		{"placed in the file", moof(box("tfhd", words(1, 1, 0, 4711)), tfdt(0), box("trun", words(0x05, 1, 0, sync))), 0, false},
		{"boxes before", slices.Concat(box("free", make([]byte, 50)), box("styp", make([]byte, 8)), box("sidx", make([]byte, 40)), box("free"), moof(tfhd(0), tfdt(0), box("trun", words(0x05, 1, 0, sync)))), 58, true},
		{"broken", moof(tfhd(0), tfdt(0), words(4, 5), box("trun", words(0x05, 1, 0, sync))), 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			head := movieOf(t, "mp4")
			data := slices.Concat(head, tc.data, mdat)
			places, _ := follow(t, data, whole)
			want := place{off: int64(len(head)) + tc.at, join: tc.join}
			if want.join {
				want.head = string(head)
			}
			if len(places) != 2 || places[0] != (place{}) || places[1] != want {
				t.Errorf("got %d places, the last at %d, %v, want one at %d, %v",
					len(places), places[len(places)-1].off, places[len(places)-1].join, want.off, want.join)
			}
			compareCuts(t, data)
		})
	}
}

// TestMP4RepeatedHeader has the movie before each fragment: the header stays
// the same slice.
func TestMP4RepeatedHeader(t *testing.T) {
	data := sampleNamed(t, "mp4")
	joins := joinsOf(first(follow(t, data, whole)))
	head := []byte(joins[0].head)
	begin := joins[2].off
	repeated := slices.Concat(data[:begin], head, data[begin:])
	f := New("", "")
	var heads [][]byte
	f.Scan(repeated, func(_ int64, join bool) {
		if join {
			heads = append(heads, f.Header())
		}
	})
	if len(heads) != len(joins) {
		t.Fatalf("got %d joins, want %d", len(heads), len(joins))
	}
	for i, h := range heads {
		if &h[0] != &heads[0][0] {
			t.Errorf("join %d: got another slice", i)
		}
	}
	if got := f.Info().Played; got < 7500*time.Millisecond {
		t.Errorf("got %v played", got)
	}
	// Another movie.
	other := slices.Concat(data, sampleNamed(t, "mp4-audio"))
	places, info := follow(t, other, whole)
	if info.MediaType != "audio/mp4" || info.Played < 15*time.Second {
		t.Errorf("got %+v", info)
	}
	joins = joinsOf(places)
	if last := joins[len(joins)-1]; last.head == string(head) {
		t.Error("got the header of the first movie for the second one")
	}
	compareCuts(t, other)
}

// TestMP4InOnePiece has files that can only be read from their start.
func TestMP4InOnePiece(t *testing.T) {
	for _, flags := range []string{"", "-movflags faststart "} {
		data := encodeFile(t, video+x264+"-c:a aac "+flags+"-f mp4")
		places, info := follow(t, data, whole)
		if !slices.Equal(places, []place{{off: 0, join: true}}) || !info.Unknown || info.MediaType != "video/mp4" || info.Width != 160 {
			t.Errorf("%q: got %+v and %+v", flags, places, info)
		}
		compareCuts(t, data)
	}
}

// TestMP4PlacedInTheFile has fragments that refer to their place in the file.
func TestMP4PlacedInTheFile(t *testing.T) {
	data := encode(t, video+x264+"-c:a aac -movflags frag_keyframe+empty_moov -f mp4")
	places, _ := follow(t, data, whole)
	if len(joinsOf(places)) > 0 || len(places) < 8 {
		t.Errorf("got %d joins of %d boundaries, want none", len(joinsOf(places)), len(places))
	}
}

// TestMP4HostileMovie has movies whose reading could take long.
func TestMP4HostileMovie(t *testing.T) {
	deep := make([]byte, 0, 1<<20)
	for n := uint32(1000 << 10); n >= 8; n -= 8 {
		deep = append(deep, words(n, 0x6D6F6F76)...) // moov
	}
	wide := box("moov", bytes.Repeat(box("trak"), 100<<10))
	for name, movie := range map[string][]byte{"deep": deep, "wide": wide} {
		start := time.Now()
		_, info := follow(t, movie, whole)
		if took := time.Since(start); took > 5*time.Second || info.MediaType != "audio/mp4" {
			t.Errorf("%s: got %+v after %v", name, info, took)
		}
	}
}

func TestMP4GivesUp(t *testing.T) {
	head := movieOf(t, "mp4")
	for _, tc := range []struct {
		name string
		rest []byte
	}{
		{"size", words(4, 0x6D646174, 0, 0)},
		{"type", words(16, 1, 0, 0)},
		{"large size", slices.Concat(words(1, 0x6D646174), bytes.Repeat([]byte{0xFF}, 8))},
		{"large fragment", words(2<<20, 0x6D6F6F66, 0, 0)},
	} {
		if _, info := follow(t, slices.Concat(head, tc.rest), whole); !info.Unknown {
			t.Errorf("%s: got %+v, want it given up", tc.name, info)
		}
	}
}
