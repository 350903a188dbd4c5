package framing

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// oggPage returns a page with the given packets, the last of which goes on if
// open is set. Its checksum is not right.
func oggPage(flags byte, granule int64, serial uint32, open bool, packets ...string) []byte {
	p := make([]byte, 27)
	copy(p, "OggS")
	p[5] = flags
	binary.LittleEndian.PutUint64(p[6:], uint64(granule))
	binary.LittleEndian.PutUint32(p[14:], serial)
	for i, s := range packets {
		n := len(s)
		for ; n >= 255; n -= 255 {
			p = append(p, 255)
		}
		if !open || i < len(packets)-1 {
			p = append(p, byte(n))
		}
	}
	p[26] = byte(len(p) - 27)
	return append(p, strings.Join(packets, "")...)
}

var (
	opusHead    = "OpusHead\x01\x02\x38\x01\x80\xBB\x00\x00\x00\x00\x00"
	theoraHead  = "\x80theora\x03\x02\x01\x00\x02\x00\x02\x00\x00\x20\x00\x00\x18\x00\x00\x00\x00\x00\x19\x00\x00\x00\x01\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\xC0"
	flacUnknown = "\x7FFLAC\x01\x00\x00\x00fLaC\x00\x00\x00\x22" + strings.Repeat("\x00", 10) + "\x0A\xC4\x42\xF0" + strings.Repeat("\x00", 20)
)

func TestOggJoins(t *testing.T) {
	long := strings.Repeat("x", 255*100)
	for _, tc := range []struct {
		name  string
		pages [][]byte
		want  []int    // the pages at which one can join
		heads [][2]int // the pages of the header there
		loose bool
	}{
		{"opus with a long comment", [][]byte{
			oggPage(2, 0, 1, false, opusHead),
			oggPage(0, -1, 1, true, "OpusTags"+long[8:]),
			oggPage(1, 0, 1, false, "end"),
			oggPage(0, 960, 1, false, "data"),
			oggPage(0, -1, 1, true, long),
			oggPage(1, 1920, 1, false, "rest", "data"),
			oggPage(0, 2880, 1, false, "data"),
		}, []int{3, 4, 6}, [][2]int{{0, 3}, {0, 3}, {0, 3}}, true},
		{"chain", [][]byte{
			oggPage(2, 0, 1, false, opusHead),
			oggPage(0, 0, 1, false, "OpusTags"),
			oggPage(0, 960, 1, false, "data"),
			oggPage(2, 0, 2, false, opusHead),
			oggPage(0, 0, 2, false, "OpusTags"),
			oggPage(0, 960, 1, false, "of the link before"),
			oggPage(0, 960, 2, false, "data"),
		}, []int{2, 6}, [][2]int{{0, 2}, {3, 5}}, true},
		{"flac without a number of headers", [][]byte{
			oggPage(2, 0, 1, false, flacUnknown),
			oggPage(0, 0, 1, false, "\x04comment", "\x03more"),
			oggPage(0, 0, 1, false, "\x81last"),
			oggPage(0, 4096, 1, false, "data"),
		}, []int{3}, [][2]int{{0, 3}}, true},
		{"theora and opus", [][]byte{
			oggPage(2, 0, 1, false, theoraHead),
			oggPage(2, 0, 2, false, opusHead),
			oggPage(0, 0, 1, false, "\x81theora", "\x82theora"),
			oggPage(0, 0, 2, false, "OpusTags"),
			oggPage(0, 960, 2, false, "data"),
			oggPage(0, 1<<6, 1, false, "\x00key"),
			oggPage(0, 1<<6|1, 1, false, "\x40inter"),
			oggPage(1, 3<<6, 1, false, "\x00key"),
			oggPage(0, 4<<6, 1, false, "\x00key"),
		}, []int{5, 8}, [][2]int{{0, 4}, {0, 4}}, false},
		{"unknown codec", [][]byte{
			oggPage(2, 0, 1, false, "what is this"),
			oggPage(0, 1, 1, false, "data"),
		}, []int{1}, [][2]int{{0, 1}}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := slices.Concat(tc.pages...)
			places, info := follow(t, data, whole)
			var offs []int64
			off := int64(0)
			for _, p := range tc.pages {
				offs = append(offs, off)
				off += int64(len(p))
			}
			joins := joinsOf(places)
			for i, p := range joins {
				page, _ := slices.BinarySearch(offs, p.off)
				if i >= len(tc.want) || page != tc.want[i] {
					t.Errorf("join at page %d, want %v", page, tc.want)
					continue
				}
				if head := slices.Concat(tc.pages[tc.heads[i][0]:tc.heads[i][1]]...); p.head != string(head) {
					t.Errorf("page %d: got a header of %d bytes, want pages %v", page, len(p.head), tc.heads[i])
				}
			}
			if len(joins) != len(tc.want) || len(places) != len(tc.pages) {
				t.Errorf("got %d joins of %d pages, want %d of %d", len(joins), len(places), len(tc.want), len(tc.pages))
			}
			if info.Loose != tc.loose {
				t.Errorf("got %+v", info)
			}
			compareCuts(t, data)
			// Behind something else.
			compareCuts(t, slices.Concat(data[40:], data))
		})
	}
}

func TestOggHeaderTooLarge(t *testing.T) {
	data := oggPage(2, 0, 1, false, opusHead)
	for range 20 {
		data = append(data, oggPage(1, -1, 1, true, strings.Repeat("x", 255*254))...)
		data = append(data, oggPage(1, -1, 1, true, strings.Repeat("x", 255*10))...)
	}
	places, info := follow(t, data, whole)
	if !info.Unknown || len(joinsOf(places)) > 0 {
		t.Errorf("got %+v and %d joins, want it given up", info, len(joinsOf(places)))
	}
}

// TestOggChain decodes what was joined in the second link of a real chain.
func TestOggChain(t *testing.T) {
	one, two := sampleNamed(t, "vorbis"), sampleNamed(t, "opus")
	data := slices.Concat(one, two)
	places, info := follow(t, data, whole)
	if info.SampleRate != 48000 || info.Played.Seconds() < 15.5 || info.Played.Seconds() > 16.5 {
		t.Errorf("got %+v, want 48000 Hz and 16 s", info)
	}
	joins := joinsOf(places)
	last := joins[len(joins)/2:]
	last = last[slices.IndexFunc(last, func(p place) bool { return p.off > int64(len(one)) }):]
	decode(t, "the second link", append([]byte(last[0].head), data[last[0].off:]...))
}
