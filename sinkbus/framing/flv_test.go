package framing

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"
)

// flvTagOf returns a tag.
func flvTagOf(kind byte, at uint32, data string) []byte {
	p := []byte{
		kind, 0, byte(len(data) >> 8), byte(len(data)),
		byte(at >> 16), byte(at >> 8), byte(at), byte(at >> 24), 0, 0, 0,
	}
	p = append(p, data...)
	return binary.BigEndian.AppendUint32(p, uint32(len(p)))
}

func flvFile(flags byte) []byte {
	return append([]byte("FLV\x01"), flags, 0, 0, 0, 9, 0, 0, 0, 0)
}

// amf returns a property of an object.
func amf(name string, v float64) string {
	p := append([]byte{0, byte(len(name))}, name...)
	return string(binary.BigEndian.AppendUint64(append(p, 0), math.Float64bits(v)))
}

var flvMeta1 = "\x02\x00\x0AonMetaData\x08\x00\x00\x00\x02" + amf("width", 320) + amf("height", 180) +
	amf("videodatarate", 300) + amf("audiodatarate", 64) + "\x00\x00\x09"

func TestFLVJoins(t *testing.T) {
	type part struct {
		data []byte
		join bool
		head [][]byte
	}
	media := func(kind byte, at uint32, data string, join bool, head ...[]byte) part {
		return part{flvTagOf(kind, at, data), join, head}
	}
	file, meta := flvFile(5), flvTagOf(flvScript, 0, flvMeta1)
	const avcKey, avcInter, avcConfig, avcEnd = "\x17\x01\x00\x00\x00key", "\x27\x01\x00\x00\x00more", "\x17\x00\x00\x00\x00config", "\x17\x02\x00\x00\x00"
	const aacConfig, aac = "\xAF\x00\x12\x10", "\xAF\x01sound"
	config, config2 := flvTagOf(flvVideo, 0, avcConfig), flvTagOf(flvVideo, 0, avcConfig+"2")
	audioConfig := flvTagOf(flvAudio, 0, aacConfig)
	enhanced := "\x90hvc1config"
	for _, tc := range []struct {
		name  string
		parts []part
	}{
		{"H.264", []part{
			{data: file},
			media(flvScript, 7, flvMeta1, false),
			media(flvVideo, 7, avcConfig, false),
			media(flvAudio, 7, aacConfig, false),
			media(flvAudio, 7, aac, false),
			media(flvVideo, 10, avcKey, true, file, meta, config, audioConfig),
			media(flvVideo, 50, avcInter, false),
			media(flvVideo, 60, avcConfig, false), // again
			media(flvVideo, 90, avcKey, true, file, meta, config, audioConfig),
			media(flvScript, 100, "\x02\x00\x09onCuePoint", false),
			media(flvVideo, 100, "\x57\x00", false),
			media(flvVideo, 100, avcConfig+"2", false), // another one
			media(flvVideo, 110, avcKey, true, file, meta, config2, audioConfig),
			media(flvVideo, 150, avcEnd, false),
		}},
		{"Enhanced RTMP", []part{
			{data: file},
			media(flvVideo, 0, enhanced, false),
			media(flvAudio, 0, "\x90Opusconfig", false),
			media(flvAudio, 0, "\x91Opusdata", false),
			media(flvVideo, 10, "\x91hvc1\x00\x00\x00key", true, file, flvTagOf(flvVideo, 0, enhanced), flvTagOf(flvAudio, 0, "\x90Opusconfig")),
			media(flvVideo, 50, "\xA3hvc1more", false),
			media(flvVideo, 50, "\x94hvc1meta", false),
			media(flvVideo, 90, "\x93hvc1key", true, file, flvTagOf(flvVideo, 0, enhanced), flvTagOf(flvAudio, 0, "\x90Opusconfig")),
		}},
		{"sound", []part{
			{data: flvFile(4)},
			media(flvAudio, 0, aacConfig, false),
			media(flvAudio, 0, aac, true, flvFile(4), audioConfig),
			media(flvAudio, 23, aac, true, flvFile(4), audioConfig),
		}},
		{"sound, with video announced", []part{
			{data: file},
			media(flvAudio, 0, "\x2Fsound", false),
			media(flvAudio, 4990, "\x2Fsound", false),
			media(flvAudio, 5010, "\x2Fsound", true, file),
		}},
		{"two files", []part{
			{data: flvFile(1)},
			media(flvVideo, 0, "\x12\x00", true, flvFile(1)),
			{data: flvFile(4)},
			media(flvAudio, 0, "\x2Fsound", true, flvFile(4)),
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var data []byte
			var want []place
			for _, p := range tc.parts {
				want = append(want, place{int64(len(data)), p.join, string(slices.Concat(p.head...))})
				data = append(data, p.data...)
			}
			got, _ := follow(t, data, whole)
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Errorf("tag %d: got %d, %v, %q, want %d, %v, %q",
						i, got[i].off, got[i].join, got[i].head, want[i].off, want[i].join, want[i].head)
				}
			}
			if len(got) != len(want) {
				t.Errorf("got %d boundaries, want %d", len(got), len(want))
			}
			compareCuts(t, data)
		})
	}
}

func TestFLVInfo(t *testing.T) {
	data := slices.Concat(flvFile(5), flvTagOf(flvScript, 0, flvMeta1), flvTagOf(flvAudio, 0, "\xAF\x00\x12\x10"))
	// Time stamps longer than 24 bits, and beyond 32.
	for _, at := range []uint32{0xFFFFF000, 0xFFFFF800, 0x0000, 0x0800} {
		data = append(data, flvTagOf(flvAudio, at, "\xAF\x01sound")...)
	}
	_, info := follow(t, data, whole)
	if info.Width != 320 || info.Height != 180 || info.Bitrate != 364000 || info.SampleRate != 44100 || info.Channels != 2 {
		t.Errorf("got %+v", info)
	}
	if want := 0x1800 * time.Millisecond; info.Played != want {
		t.Errorf("got %v played, want %v", info.Played, want)
	}
	for _, rest := range []string{"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "FLX\x01\x05\x00\x00\x00\x09", "FLV\x01\x05\x00\x00\x00\x01"} {
		if _, info := follow(t, append(slices.Clone(data), rest...), whole); !info.Unknown {
			t.Errorf("%q: got %+v, want it given up", rest, info)
		}
	}
}
