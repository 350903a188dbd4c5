package framing

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"
)

// ebml returns an element of known size.
func ebml(id uint32, data ...[]byte) []byte {
	body := slices.Concat(data...)
	return slices.Concat(ebmlID(id), binary.BigEndian.AppendUint32(nil, 1<<28|uint32(len(body))), body)
}

// ebmlOpen returns the start of an element of unknown size.
func ebmlOpen(id uint32) []byte {
	return append(ebmlID(id), 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF)
}

func ebmlID(id uint32) []byte {
	return bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, id), "\x00")
}

// mkvBlockOf returns a block of a track, at a time in its cluster.
func mkvBlockOf(id uint32, track byte, at int16, flags byte) []byte {
	return ebml(id, []byte{0x80 | track}, binary.BigEndian.AppendUint16(nil, uint16(at)), []byte{flags}, make([]byte, 50))
}

func mkvTime(at uint16) []byte { return ebml(mkvTimestamp, binary.BigEndian.AppendUint16(nil, at)) }

var (
	mkvHead      = ebml(ebmlHeader, ebml(ebmlDocType, []byte("webm")))
	mkvAbout     = ebml(mkvInfo, ebml(mkvScale, []byte{0x0F, 0x42, 0x40}))
	mkvTwoTracks = ebml(mkvTracks,
		ebml(mkvTrackEntry, ebml(mkvNumber, []byte{1}), ebml(mkvType, []byte{2}), ebml(mkvAudio, ebml(mkvChannels, []byte{2}))),
		ebml(mkvTrackEntry, ebml(mkvNumber, []byte{2}), ebml(mkvType, []byte{1}), ebml(mkvVideo, ebml(mkvWidth, []byte{2, 128}), ebml(mkvHeight, []byte{1, 104}))),
	)
	mkvVoid = ebml(0xEC, make([]byte, 300))
)

const mkvKey = 0x80

func TestMatroskaJoins(t *testing.T) {
	tags := ebml(mkvTags, []byte("\x73\x73\x80"))
	// Clusters by what is to be found out about them: K can be joined at.
	clusters := map[byte][][]byte{
		'K': {mkvTime(1000), mkvBlockOf(mkvSimpleBlock, 2, 0, mkvKey), mkvBlockOf(mkvSimpleBlock, 1, 10, mkvKey)},
		'k': {mkvTime(2000), mkvBlockOf(mkvSimpleBlock, 1, 0, mkvKey), mkvBlockOf(mkvSimpleBlock, 2, 5, mkvKey)},
		'g': {mkvTime(3000), ebml(mkvBlockGroup, mkvBlockOf(mkvBlock, 2, 0, 0), ebml(0x75A1, []byte{0xFB, 0x80}), ebml(0x9B, []byte{40}))},
		'd': {mkvTime(4000), mkvBlockOf(mkvSimpleBlock, 2, 0, 0), mkvBlockOf(mkvSimpleBlock, 2, 40, mkvKey)},
		'r': {mkvTime(5000), ebml(mkvBlockGroup, mkvBlockOf(mkvBlock, 2, 0, 0), ebml(mkvReference, []byte{0xD8}))},
		'R': {mkvTime(6000), ebml(mkvBlockGroup, ebml(mkvReference, []byte{0xD8}), mkvBlockOf(mkvBlock, 2, 0, 0))},
		'a': {mkvTime(7000), mkvVoid, mkvBlockOf(mkvSimpleBlock, 1, 0, mkvKey)},
	}
	const order = "KkgdCrRaKVk"
	for _, tc := range []struct {
		name              string
		segment, clusters bool // of known size
	}{
		{"live", false, false}, {"known clusters", false, true}, {"file", true, true}, {"known segment", true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := slices.Concat(ebml(mkvSeekHead, make([]byte, 40)), mkvVoid, mkvAbout, mkvTwoTracks, ebml(mkvTags, make([]byte, 100<<10)), tags, ebml(mkvAttachments, make([]byte, 2<<20)))
			var body []byte
			var want []place
			head := string(slices.Concat(mkvHead, openSegment, mkvAbout, mkvTwoTracks, tags))
			start := len(mkvHead) + 12
			if tc.segment {
				start = len(mkvHead) + 8
			}
			want = append(want, place{off: 0})
			for _, c := range []byte(order) {
				p := place{off: int64(start + len(before) + len(body)), join: strings.IndexByte("Kkg", c) >= 0}
				if p.join {
					p.head = head
				}
				switch {
				case c == 'C':
					body = append(body, ebml(mkvCues, make([]byte, 99))...)
				case c == 'V':
					body = append(body, mkvVoid...)
					continue
				case tc.clusters:
					body = append(body, ebml(mkvCluster, clusters[c]...)...)
				default:
					body = append(body, ebmlOpen(mkvCluster)...)
					body = append(body, slices.Concat(clusters[c]...)...)
				}
				want = append(want, p)
			}
			one := slices.Concat(mkvHead, ebmlOpen(mkvSegment), before, body)
			if tc.segment {
				one = slices.Concat(mkvHead, ebml(mkvSegment, before, body))
			}
			// The stream begins anew behind itself.
			data := slices.Concat(one, one)
			for _, p := range slices.Clone(want) {
				p.off += int64(len(one))
				want = append(want, p)
			}
			got, info := follow(t, data, whole)
			if !slices.Equal(got, want) {
				t.Errorf("got %d places, want %d", len(got), len(want))
				for i := range min(len(got), len(want)) {
					if got[i] != want[i] {
						t.Errorf("%d: got %d, %v, want %d, %v", i, got[i].off, got[i].join, want[i].off, want[i].join)
					}
				}
			}
			played := info.Played
			info.Played = 0
			if want := videoInfo("video/webm", 8000, 2); info.MediaType != want.MediaType || info.Width != 640 || info.Height != 360 || info.SampleRate != 8000 {
				t.Errorf("got %+v", info)
			}
			if played < 6*time.Second {
				t.Errorf("got %v played", played)
			}
			compareCuts(t, data)
		})
	}
}

// TestMatroskaGivesUp has what is no Matroska after some that is.
func TestMatroskaGivesUp(t *testing.T) {
	begin := slices.Concat(mkvHead, ebmlOpen(mkvSegment), mkvAbout, mkvTwoTracks)
	for _, tc := range []struct {
		name string
		rest []byte
	}{
		{"bad ID", []byte{0x00, 0x80, 1, 2, 3, 4, 5, 6}},
		{"bad size", []byte{0xEC, 0x00, 1, 2, 3, 4, 5, 6}},
		{"unknown size", ebmlOpen(mkvTags)},
		{"large header", ebml(mkvTracks, make([]byte, 1<<20))},
	} {
		if _, info := follow(t, slices.Concat(begin, tc.rest), whole); !info.Unknown {
			t.Errorf("%s: got %+v, want it given up", tc.name, info)
		}
	}
}

// TestMatroskaWithoutKeyframes has no cluster that begins with a keyframe.
func TestMatroskaWithoutKeyframes(t *testing.T) {
	data := slices.Concat(mkvHead, ebmlOpen(mkvSegment), mkvAbout, mkvTwoTracks)
	cluster := ebml(mkvCluster, mkvTime(0), mkvBlockOf(mkvSimpleBlock, 2, 0, 0), ebml(0xEC, make([]byte, 100<<10)))
	for range 60 {
		data = append(data, cluster...)
	}
	joins := joinsOf(first(follow(t, data, whole)))
	if len(joins) == 0 || joins[0].off < patience || joins[0].off > patience+200<<10 {
		t.Errorf("got %d joins", len(joins))
	}
}

// TestMatroskaFile joins in a file with known sizes, seek head and cues.
func TestMatroskaFile(t *testing.T) {
	data := encodeFile(t, video+vp8+"-c:a libvorbis -f webm")
	joins := joinsOf(first(follow(t, data, whole)))
	if len(joins) < 2 {
		t.Fatalf("got %d joins", len(joins))
	}
	last := joins[len(joins)-1]
	decode(t, "the last cluster", append([]byte(last.head), data[last.off:]...))
}
