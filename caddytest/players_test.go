package caddytest_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPlayers has the players that Debian has play a mount. What they play is
// written to a file, which must have the tone.
func TestPlayers(t *testing.T) {
	t.Parallel()
	s := startRadio(t, "ice")
	for _, format := range []string{"mp3", "ogg"} {
		e := encoder{"ffmpeg", format, "ffmpeg", ffmpegSource()}
		path := "/play." + format
		e.start(t, s.mount("HTTP", path)).awaitMount(t, s.url("HTTP", path), hasType(toneType[format]))
	}
	const seconds = 3
	length := fmt.Sprint(seconds)
	for _, tc := range []struct {
		name, port, format string
		program            string
		args               func(url, file string) []string
	}{
		{"mpv", "HTTP", "mp3", "mpv", mpvArgs(length)},
		{"mpv", "HTTP", "ogg", "mpv", mpvArgs(length)},
		{"mpv-tls", "HTTPS", "mp3", "mpv", mpvArgs(length)},
		{"mpg123", "HTTP", "mp3", "mpg123", func(url, file string) []string {
			return []string{"-q", "-n", fmt.Sprint(seconds * 44100 / 1152), "-w", file, url}
		}},
		{"ffmpeg", "HTTP", "mp3", "ffmpeg", ffmpegPlayArgs(length)},
		{"ffmpeg", "HTTP", "ogg", "ffmpeg", ffmpegPlayArgs(length)},
		{"ffmpeg-tls", "HTTPS", "ogg", "ffmpeg", ffmpegPlayArgs(length, "-tls_verify", "0")},
	} {
		t.Run(tc.name+"."+tc.format, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "played.wav")
			p := startProgram(t, exec.Command(tool(t, tc.program), tc.args(s.url(tc.port, "/play."+tc.format), file)...))
			p.wantSuccess(t, wait)
			wantTone(t, "what was played", file, seconds)
		})
	}
}

func mpvArgs(length string) func(url, file string) []string {
	return func(url, file string) []string {
		return []string{"--no-config", "--no-video", "--ao=pcm", "--ao-pcm-file=" + file, "--length=" + length, url}
	}
}

func ffmpegPlayArgs(length string, options ...string) func(url, file string) []string {
	return func(url, file string) []string {
		args := append([]string{"-nostdin", "-v", "error", "-xerror"}, options...)
		return append(args, "-icy", "1", "-i", url, "-t", length, file)
	}
}
