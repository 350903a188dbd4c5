package framing

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func TestParseMP3(t *testing.T) {
	for _, tc := range []struct {
		name  string
		p     []byte
		frame audioFrame // without key
		ok    bool
	}{
		{"MPEG-1 layer III", []byte{0xFF, 0xFB, 0x90, 0x64}, audioFrame{size: 417, samples: 1152, rate: 44100, channels: 2, bitrate: 128000}, true},
		{"padded", []byte{0xFF, 0xFB, 0x92, 0x64}, audioFrame{size: 418, samples: 1152, rate: 44100, channels: 2, bitrate: 128000}, true},
		{"with checksum, mono", []byte{0xFF, 0xFA, 0x90, 0xC4}, audioFrame{size: 417, samples: 1152, rate: 44100, channels: 1, bitrate: 128000}, true},
		{"layer II", []byte{0xFF, 0xFD, 0xA4, 0x04}, audioFrame{size: 576, samples: 1152, rate: 48000, channels: 2, bitrate: 192000}, true},
		{"layer I, padded", []byte{0xFF, 0xFF, 0xC6, 0x04}, audioFrame{size: 388, samples: 384, rate: 48000, channels: 2, bitrate: 384000}, true},
		{"MPEG-2 layer III", []byte{0xFF, 0xF3, 0x40, 0xC4}, audioFrame{size: 104, samples: 576, rate: 22050, channels: 1, bitrate: 32000}, true},
		{"MPEG-2 layer I", []byte{0xFF, 0xF7, 0xE0, 0x04}, audioFrame{size: 556, samples: 384, rate: 22050, channels: 2, bitrate: 256000}, true},
		{"MPEG-2 layer II", []byte{0xFF, 0xF5, 0xE8, 0x04}, audioFrame{size: 1440, samples: 1152, rate: 16000, channels: 2, bitrate: 160000}, true},
		{"MPEG-2.5", []byte{0xFF, 0xE3, 0x28, 0xC4}, audioFrame{size: 144, samples: 576, rate: 8000, channels: 1, bitrate: 16000}, true},
		{name: "free format", p: []byte{0xFF, 0xFB, 0x00, 0x64}},
		{name: "bad bit rate", p: []byte{0xFF, 0xFB, 0xF0, 0x64}},
		{name: "bad sampling rate", p: []byte{0xFF, 0xFB, 0x9C, 0x64}},
		{name: "bad version", p: []byte{0xFF, 0xEB, 0x90, 0x64}},
		{name: "ADTS", p: []byte{0xFF, 0xF1, 0x50, 0x80}},
		{name: "no sync", p: []byte{0xFF, 0x1B, 0x90, 0x64}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := parseMP3(tc.p)
			got.key = 0
			if got != tc.frame || ok != tc.ok {
				t.Errorf("got %+v, %v, want %+v, %v", got, ok, tc.frame, tc.ok)
			}
		})
	}
}

func TestParseADTS(t *testing.T) {
	for _, tc := range []struct {
		name  string
		p     []byte
		frame audioFrame // without key
		ok    bool
	}{
		{"stereo", []byte{0xFF, 0xF1, 0x50, 0x80, 0x2E, 0x7F, 0xFC}, audioFrame{size: 371, samples: 1024, rate: 44100, channels: 2}, true},
		{"several blocks", []byte{0xFF, 0xF9, 0x4C, 0x40, 0x2E, 0x7F, 0xFD}, audioFrame{size: 371, samples: 2048, rate: 48000, channels: 1}, true},
		{"7.1", []byte{0xFF, 0xF1, 0x51, 0xC0, 0x2E, 0x7F, 0xFC}, audioFrame{size: 371, samples: 1024, rate: 44100, channels: 8}, true},
		{name: "too short", p: []byte{0xFF, 0xF1, 0x50, 0x80, 0x00, 0xFF, 0xFC}},
		{name: "bad rate", p: []byte{0xFF, 0xF1, 0x74, 0x80, 0x2E, 0x7F, 0xFC}},
		{name: "MP3", p: []byte{0xFF, 0xFB, 0x90, 0x64, 0x2E, 0x7F, 0xFC}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := parseADTS(tc.p)
			got.key = 0
			if got != tc.frame || ok != tc.ok {
				t.Errorf("got %+v, %v, want %+v, %v", got, ok, tc.frame, tc.ok)
			}
		})
	}
}

// mp3Frames returns frames of 417 bytes at 128 kb/s.
func mp3Frames(n int) []byte {
	frame := make([]byte, 417)
	copy(frame, []byte{0xFF, 0xFB, 0x90, 0x64})
	return bytes.Repeat(frame, n)
}

// id3Tag returns a tag with the given content.
func id3Tag(content []byte) []byte {
	n := len(content)
	head := []byte{'I', 'D', '3', 4, 0, 0, byte(n >> 21), byte(n >> 14 & 127), byte(n >> 7 & 127), byte(n & 127)}
	return append(head, content...)
}

func TestAudioIsFoundBehindOtherBytes(t *testing.T) {
	frames := mp3Frames(10)
	noise := bytes.Repeat([]byte{1, 2, 3, 0xFF, 0xFB, 0x90, 0x64}, 50) // headers with no frame
	for _, tc := range []struct {
		name string
		data []byte
		want []int64 // offsets of the first frames of each run
	}{
		{"tag", slices.Concat(id3Tag(make([]byte, 3<<20)), frames), []int64{3<<20 + 10}},
		{"tags", slices.Concat(id3Tag(nil), id3Tag(make([]byte, 1)), id3Tag(frames), frames), []int64{10 + 11 + 4180}},
		{"tag between", slices.Concat(frames, id3Tag(mp3Frames(5)), frames), []int64{0, 4170 + 10 + 2085}},
		{"noise", slices.Concat(noise, frames, noise, frames), []int64{350, 350 + 4170 + 350}},
		// The frame before a cut seems to be longer than what is left of it.
		{"cut", slices.Concat(frames[100:], frames[:1000], frames), []int64{317, 4070 + 1000 + 417}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			places, info := follow(t, tc.data, whole)
			var starts []int64
			next := int64(-1)
			for _, p := range places {
				if !p.join || p.head != "" {
					t.Errorf("got %+v, want a place to join without a header", p)
				}
				if p.off != next {
					starts = append(starts, p.off)
				}
				next = p.off + 417
			}
			if !slices.Equal(starts, tc.want) {
				t.Errorf("got runs of frames at %d, want %d", starts, tc.want)
			}
			if info.SampleRate != 44100 || info.Bitrate != 128000 || !info.Loose {
				t.Errorf("got %+v", info)
			}
			compareCuts(t, tc.data)
		})
	}
}

// TestAverageBitrateStaysTheSame changes the bit rate after what counts.
func TestAverageBitrateStaysTheSame(t *testing.T) {
	f := newAudioFramer(feed{}, mp3Format)
	low := make([]byte, 208) // 64 kb/s
	copy(low, []byte{0xFF, 0xFB, 0x50, 0x64})
	high := mp3Frames(1)
	var joins int
	mark := func(int64, bool) { joins++ }
	for range 200 {
		f.Scan(low, mark)
		f.Scan(high, mark)
	}
	if got := f.Info(); got.Bitrate != 96000 {
		t.Errorf("got %+v, want a bit rate of 96000", got)
	}
	for range 1000 {
		f.Scan(high, mark)
	}
	got := f.Info()
	if want := 1400 * 1152 * time.Second / 44100; got.Bitrate != 96000 || got.Played.Round(time.Millisecond) != want.Round(time.Millisecond) {
		t.Errorf("got %+v, want a bit rate of 96000 and %v played", got, want)
	}
	if joins != 1400 {
		t.Errorf("got %d places to join, want 1400", joins)
	}
}
