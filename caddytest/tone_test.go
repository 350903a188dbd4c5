package caddytest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// What encoders send is a tone, which a listener recognizes: in stereo, at
// 44.1 kHz, for MP3 at 128 kb/s.
const (
	toneHertz  = 440
	toneSource = "sine=frequency=440:sample_rate=44100"
	toneLength = 90 // seconds of the files
)

// toneOptions are ffmpeg's options for the formats of the tone.
var toneOptions = map[string][]string{
	"mp3": {"-ac", "2", "-c:a", "libmp3lame", "-b:a", "128k", "-f", "mp3"},
	"ogg": {"-ac", "2", "-c:a", "libvorbis", "-b:a", "96k", "-f", "ogg"},
}

// toneType and toneCodec are the media type and the codec of the formats.
var (
	toneType  = map[string]string{"mp3": "audio/mpeg", "ogg": "application/ogg"}
	toneCodec = map[string]string{"mp3": "mp3", "ogg": "vorbis"}
)

// tones makes files of the tone, each once.
var tones struct {
	sync.Mutex
	made map[string]string
}

// toneFile returns the name of a file with the tone.
func toneFile(t testing.TB, format string) string {
	t.Helper()
	tones.Lock()
	defer tones.Unlock()
	if name := tones.made[format]; name != "" {
		return name
	}
	name := filepath.Join(buildDir, "tone."+format)
	args := append([]string{"-nostdin", "-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("%s:duration=%d", toneSource, toneLength)},
		toneOptions[format]...)
	cmd := exec.CommandContext(t.Context(), tool(t, "ffmpeg"), append(args, "-metadata", "title=Tone", "-metadata", "artist=Test", "-y", name)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making the tone: %v\n%s", err, out)
	}
	if tones.made == nil {
		tones.made = make(map[string]string)
	}
	tones.made[format] = name
	return name
}

// wantTone has ffmpeg decode a file or URL, at most so many seconds of it, and
// checks that they are the tone without gaps. ffmpeg must have nothing to
// complain of.
func wantTone(t testing.TB, what, input string, seconds int, options ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := append([]string{"-nostdin", "-v", "error", "-xerror"}, options...)
	if strings.HasPrefix(input, "https:") {
		args = append(args, "-tls_verify", "0")
	}
	args = append(args, "-i", input, "-t", fmt.Sprint(seconds), "-ac", "1", "-ar", fmt.Sprint(sampleRate), "-f", "s16le", "-")
	cmd := exec.CommandContext(ctx, tool(t, "ffmpeg"), args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Errorf("%s: decoding: %v\n%s", what, err, &errs)
		return
	}
	samples := make([]float64, len(out)/2)
	for i := range samples {
		samples[i] = float64(int16(uint16(out[2*i]) | uint16(out[2*i+1])<<8))
	}
	length := float64(len(samples)) / sampleRate
	if length < 0.9*float64(seconds) {
		t.Errorf("%s: got %.2f s of audio, want %d s", what, length, seconds)
	}
	if share := toneShare(samples); share < 0.9 {
		t.Errorf("%s: %.0f %% of %.2f s of audio are the tone, want more than 90 %%", what, 100*share, length)
	}
}

// sampleRate is that of decoded audio, in Hz.
const sampleRate = 8000

// toneShare returns how much of the energy of samples is that of one unbroken
// tone.
func toneShare(samples []float64) float64 {
	var re, im, energy float64
	for i, v := range samples {
		sin, cos := math.Sincos(2 * math.Pi * toneHertz * float64(i) / sampleRate)
		re += v * cos
		im += v * sin
		energy += v * v
	}
	if energy == 0 {
		return 0
	}
	return 2 * (re*re + im*im) / float64(len(samples)) / energy
}

// recording is the body of a response, read as it comes.
type recording struct {
	cancel context.CancelFunc
	done   chan struct{} // closed at the end
	err    error         // how it ended; valid once done is closed

	mu   sync.Mutex
	data []byte
}

// Write implements io.Writer.
func (r *recording) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = append(r.data, p...)
	return len(p), nil
}

// size is how much there is so far, in bytes.
func (r *recording) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.data)
}

// record reads a response that is followed, to its end or a number of bytes.
func (f *follower) record(most int64) *recording {
	r := &recording{cancel: f.cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		_, r.err = io.Copy(r, io.LimitReader(f.resp.Body, most))
	}()
	f.t.Cleanup(func() {
		f.cancel()
		<-r.done
	})
	return r
}

// end waits for the end of the recording, and returns how that was.
func (r *recording) end(t testing.TB, what string) error {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(wait):
		t.Fatalf("%s: the response did not end within %v; it has %d bytes", what, wait, r.size())
	}
	return r.err
}

// file waits for the end of the recording, which must be a good one, and returns
// the name of a file with it.
func (r *recording) file(t testing.TB, what string) string {
	t.Helper()
	if err := r.end(t, what); err != nil {
		t.Errorf("%s: the response ended with %v after %d bytes, want a good end", what, err, r.size())
	}
	return r.save(t)
}

// cut ends the recording, and returns the name of a file with it.
func (r *recording) cut(t testing.TB) string {
	t.Helper()
	r.cancel()
	<-r.done
	return r.save(t)
}

func (r *recording) save(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "recording")
	data := r.data
	if !bytes.HasPrefix(data, []byte("OggS")) {
		data = wholeFrames(data)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// frameMark is what frames of the tone as MP3 begin with.
const frameMark = "\xff\xfb"

// wholeFrames cuts off the last frame of MP3 at 128 kb/s if it is not whole:
// encoders stop anywhere.
func wholeFrames(data []byte) []byte {
	end := 0
	for next := 0; ; {
		at := bytes.Index(data[next:], []byte(frameMark))
		if at < 0 || next+at+3 > len(data) {
			return data[:end]
		}
		next += at
		padding := int(data[next+2] >> 1 & 1)
		next += 144*128_000/44_100 + padding
		if next > len(data) {
			return data[:end]
		}
		end = next
	}
}
