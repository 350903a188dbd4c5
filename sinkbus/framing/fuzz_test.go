package framing

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// fuzzFramer fuzzes a framer with the given content: it must not panic, its
// boundaries must be in order, and the same however the content is cut.
func fuzzFramer(f *testing.F, framer func() sinkbus.Framer, seeds ...string) {
	addSeeds(f, seeds...)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			t.Skip()
		}
		compareCutsWith(t, data, framer)
	})
}

// addSeeds adds short samples, if there is ffmpeg to make them.
func addSeeds(f *testing.F, names ...string) {
	f.Add([]byte("ID3\x04\x00\x00\x00\x00\x00\x02??\xFF\xFB\x90\x64"))
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		return
	}
	for _, s := range samples {
		for _, name := range names {
			if strings.HasPrefix(s.name, name) {
				data := encode(f, strings.ReplaceAll(s.args, "duration=8", "duration=0.4"))
				f.Add(bytes.Clone(data[:min(len(data), 6<<10)]))
			}
		}
	}
}

func framerOf(kind format) func() sinkbus.Framer {
	return func() sinkbus.Framer { return kind.framer(0) }
}

func FuzzMP3(f *testing.F)      { fuzzFramer(f, framerOf(formatMP3), "mp3") }
func FuzzADTS(f *testing.F)     { fuzzFramer(f, framerOf(formatADTS), "adts") }
func FuzzTS(f *testing.F)       { fuzzFramer(f, framerOf(formatTS), "ts", "m2ts") }
func FuzzOgg(f *testing.F)      { fuzzFramer(f, framerOf(formatOgg), "vorbis", "opus", "oggflac", "theora") }
func FuzzMatroska(f *testing.F) { fuzzFramer(f, framerOf(formatMatroska), "webm", "mk") }
func FuzzMP4(f *testing.F)      { fuzzFramer(f, framerOf(formatMP4), "mp4", "cmaf") }
func FuzzFLV(f *testing.F)      { fuzzFramer(f, framerOf(formatFLV), "flv") }

func FuzzNew(f *testing.F) {
	fuzzFramer(f, func() sinkbus.Framer { return New("", "") }, "")
}
