package framing

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// strictEnv makes a test fail that would be skipped as a tool is missing.
const strictEnv = "HTTPOUT_TEST_STRICT"

// Sources for ffmpeg: 8 seconds of sound, and with pictures.
const (
	sound = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=8 -ac 2 "
	video = "-f lavfi -i testsrc=size=160x120:rate=25:duration=8 -f lavfi -i sine=frequency=440:sample_rate=48000:duration=8 "
	x264  = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 "
	vp8   = "-c:v libvpx -deadline realtime -cpu-used 8 -g 25 -b:v 400k "
)

// sample is a stream that ffmpeg makes, and what a framer is to find out.
type sample struct {
	name string
	args string
	info sinkbus.Info // without Played; a Bitrate of 0 is not compared

	// joins is how many places to join there are at least.
	joins int

	// loss is how many packets of sound a decoder cannot use after a join:
	// those of MP3 refer to bits in frames before.
	loss int
}

var samples = []sample{
	{"mp3", sound + "-c:a libmp3lame -b:a 128k -f mp3", audioInfo("audio/mpeg", 44100, 2, 128000), 300, 3},
	{"mp3-vbr", sound + "-c:a libmp3lame -q:a 4 -f mp3", audioInfo("audio/mpeg", 44100, 2, 0), 300, 3},
	{"mp3-mpeg2", sound + "-c:a libmp3lame -ac 1 -ar 22050 -b:a 32k -f mp3", audioInfo("audio/mpeg", 22050, 1, 32000), 300, 3},
	{"mp3-mpeg25", sound + "-c:a libmp3lame -ac 1 -ar 8000 -b:a 16k -f mp3", audioInfo("audio/mpeg", 8000, 1, 16000), 100, 3},
	{"mp2", sound + "-c:a mp2 -b:a 192k -f mp2", audioInfo("audio/mpeg", 44100, 2, 192000), 300, 0},
	{"adts", sound + "-c:a aac -b:a 96k -f adts", audioInfo("audio/aac", 44100, 2, 0), 300, 0},

	{"ts", video + x264 + "-c:a aac -f mpegts", sinkbus.Info{MediaType: "video/mp2t", Loose: true}, 8, 0},
	{"ts-mpeg2", video + "-c:v mpeg2video -g 25 -bf 0 -c:a mp2 -f mpegts", sinkbus.Info{MediaType: "video/mp2t", Loose: true}, 8, 0},
	{"ts-audio", sound + "-c:a aac -f mpegts", sinkbus.Info{MediaType: "video/mp2t", Loose: true}, 20, 0},
	{"m2ts", video + x264 + "-c:a aac -mpegts_m2ts_mode 1 -f mpegts", sinkbus.Info{MediaType: "video/mp2t", Loose: true}, 8, 0},

	{"vorbis", sound + "-c:a libvorbis -page_duration 200000 -f ogg", audioInfo("audio/ogg", 44100, 2, 0), 20, 1},
	{"opus", sound + "-c:a libopus -page_duration 200000 -f ogg", audioInfo("audio/ogg", 48000, 2, 0), 20, 0},
	{"oggflac", sound + "-c:a flac -page_duration 200000 -f ogg", audioInfo("audio/ogg", 44100, 2, 0), 20, 0},
	{"theora", video + "-c:v libtheora -q:v 5 -g 25 -c:a libvorbis -f ogg", videoInfo("video/ogg", 48000, 1), 8, 1},

	{"webm", video + vp8 + "-c:a libopus -live 1 -f webm", videoInfo("video/webm", 48000, 1), 5, 0},
	{"webm-vorbis", video + vp8 + "-c:a libvorbis -f webm", videoInfo("video/webm", 48000, 1), 5, 1},
	{"webm-audio", sound + "-c:a libopus -live 1 -f webm", sinkbus.Info{MediaType: "audio/webm", SampleRate: 48000, Channels: 2}, 3, 0},
	{"mkv", video + x264 + "-c:a aac -live 1 -f matroska", videoInfo("video/x-matroska", 48000, 1), 5, 0},
	{"mka", sound + "-c:a flac -f matroska", sinkbus.Info{MediaType: "audio/x-matroska", SampleRate: 44100, Channels: 2}, 2, 0},

	{"mp4", video + x264 + "-c:a aac -movflags frag_keyframe+empty_moov+default_base_moof -f mp4", videoInfo("video/mp4", 48000, 1), 8, 0},
	{"cmaf", video + x264 + "-c:a aac -movflags cmaf+frag_keyframe -f mp4", videoInfo("video/mp4", 48000, 1), 7, 0},
	{"mp4-low", video + x264 + "-c:a aac -movflags empty_moov+default_base_moof+dash+global_sidx -frag_duration 200000 -f mp4", videoInfo("video/mp4", 48000, 1), 1, 0},
	{"mp4-audio", sound + "-c:a aac -movflags empty_moov+default_base_moof -frag_duration 500000 -f mp4", sinkbus.Info{MediaType: "audio/mp4", SampleRate: 44100, Channels: 2}, 10, 0},
	{"mp4-opus", sound + "-c:a libopus -movflags empty_moov+default_base_moof -frag_duration 500000 -f mp4", sinkbus.Info{MediaType: "audio/mp4", SampleRate: 48000, Channels: 2}, 10, 0},
	{"mp4-flac", sound + "-c:a flac -strict -2 -movflags empty_moov+default_base_moof -frag_duration 500000 -f mp4", sinkbus.Info{MediaType: "audio/mp4", SampleRate: 44100, Channels: 2}, 10, 0},

	{"flv", video + x264 + "-c:a aac -ar 44100 -f flv", videoInfo("video/x-flv", 44100, 1), 8, 0},
	{"flv-audio", sound + "-c:a aac -f flv", sinkbus.Info{MediaType: "video/x-flv", SampleRate: 44100, Channels: 2}, 100, 0},
	{"flv-mp3", sound + "-c:a libmp3lame -f flv", sinkbus.Info{MediaType: "video/x-flv", SampleRate: 44100, Channels: 2}, 100, 3},
	{"flv-old", video + "-c:v flv -g 25 -c:a libmp3lame -ar 44100 -f flv", videoInfo("video/x-flv", 44100, 1), 8, 3},
}

func audioInfo(mediaType string, rate, channels, bitrate int) sinkbus.Info {
	return sinkbus.Info{MediaType: mediaType, Loose: true, SampleRate: rate, Channels: channels, Bitrate: bitrate}
}

func videoInfo(mediaType string, rate, channels int) sinkbus.Info {
	return sinkbus.Info{MediaType: mediaType, SampleRate: rate, Channels: channels, Width: 160, Height: 120}
}

// sampleNamed returns the bytes of a sample.
func sampleNamed(t testing.TB, name string) []byte {
	t.Helper()
	for _, s := range samples {
		if s.name == name {
			return s.make(t)
		}
	}
	t.Fatalf("no sample %q", name)
	return nil
}

// made are the bytes of samples by their arguments.
var made struct {
	sync.Mutex
	data map[string][]byte
}

// make returns the sample's bytes.
func (s sample) make(t testing.TB) []byte {
	t.Helper()
	return encode(t, s.args)
}

// encode returns what ffmpeg writes to a pipe.
func encode(t testing.TB, args string) []byte {
	t.Helper()
	made.Lock()
	defer made.Unlock()
	if data := made.data[args]; data != nil {
		return data
	}
	out, errs := run(t, "ffmpeg", append(strings.Fields("-v error -nostdin "+args), "-")...)
	if len(out) == 0 || errs != "" {
		t.Fatalf("ffmpeg %s: %d bytes, %s", args, len(out), errs)
	}
	if made.data == nil {
		made.data = make(map[string][]byte)
	}
	made.data[args] = out
	return out
}

// encodeFile returns the file that ffmpeg makes where it can seek.
func encodeFile(t testing.TB, args string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "media")
	if _, errs := run(t, "ffmpeg", append(strings.Fields("-v error -nostdin "+args), file)...); errs != "" {
		t.Fatalf("ffmpeg %s: %s", args, errs)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// run runs a tool that the test needs, and returns what it wrote.
func run(t testing.TB, name string, args ...string) (out []byte, errs string) {
	t.Helper()
	file, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv(strictEnv) != "" {
			t.Fatalf("cannot run: %v", err)
		}
		t.Skipf("NOT TESTED: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, file, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.Bytes(), stderr.String() + err.Error()
	}
	return stdout.Bytes(), stderr.String()
}

// mediaStream is what ffprobe tells about a stream.
type mediaStream struct {
	Type    string `json:"codec_type"`
	Codec   string `json:"codec_name"`
	Width   int    `json:"width"`
	Height  int    `json:"height"`
	Rate    string `json:"sample_rate"`
	Packets int    `json:"nb_read_packets,string"`
	Frames  int    `json:"nb_read_frames,string"`
}

// probe decodes data with ffprobe and returns the streams in it, and what it
// had to complain about.
func probe(t testing.TB, data []byte) ([]mediaStream, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "media")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs := run(t, "ffprobe", "-v", "error", "-count_packets", "-count_frames", "-show_streams", "-of", "json", file)
	var result struct{ Streams []mediaStream }
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatalf("ffprobe: %v, %s", err, errs)
	}
	slices.SortFunc(result.Streams, func(a, b mediaStream) int { return strings.Compare(a.Type, b.Type) })
	return result.Streams, errs
}

// place is a boundary with what the framer told at it.
type place struct {
	off  int64
	join bool
	head string
}

// follow scans data in pieces and returns the boundaries and what was found out.
func follow(t testing.TB, data []byte, piece func(left int) int) ([]place, sinkbus.Info) {
	t.Helper()
	return followWith(t, New("", ""), data, piece)
}

// followWith is follow with another framer.
func followWith(t testing.TB, f sinkbus.Framer, data []byte, piece func(left int) int) ([]place, sinkbus.Info) {
	t.Helper()
	var places []place
	last := int64(-1)
	var off int
	for off < len(data) {
		n := piece(len(data) - off)
		end := int64(off + n)
		f.Scan(data[off:off+n], func(at int64, join bool) {
			if at <= last || at >= end {
				t.Fatalf("boundary at %d after the one at %d, with %d bytes seen", at, last, end)
			}
			last = at
			p := place{off: at, join: join}
			if join {
				if p.head = string(f.Header()); len(p.head) > maxUnit {
					t.Fatalf("a header of %d bytes", len(p.head))
				}
			}
			places = append(places, p)
		})
		off += n
	}
	return places, f.Info()
}

// whole is a way to cut a stream: not at all.
func whole(left int) int { return left }

// joinsOf returns the boundaries at which one can join.
func joinsOf(places []place) (joins []place) {
	for _, p := range places {
		if p.join {
			joins = append(joins, p)
		}
	}
	return joins
}

// decode has ffmpeg decode data, and fails the test for any error.
func decode(t testing.TB, what string, data []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "media")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := run(t, "ffmpeg", "-v", "error", "-xerror", "-nostdin", "-i", file, "-f", "null", "-"); errs != "" {
		t.Errorf("%s: %s", what, errs)
	}
}
