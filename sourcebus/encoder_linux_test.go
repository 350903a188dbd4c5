package sourcebus

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// An encoder feeds a file and a program, which get the same bytes.
func TestEncoderToOutputs(t *testing.T) {
	for _, test := range []struct {
		format string
		args   string
		ext    string
		codec  string
	}{
		{"mp3", "-c:a libmp3lame -b:a 128k -f mp3", ".mp3", "mp3"},
		{"adts", "-c:a aac -f adts", ".aac", "aac"},
		{"mpegts", "-c:a aac -f mpegts", ".ts", "aac"},
		{"ogg", "-c:a libopus -f ogg", ".ogg", "opus"},
		{"webm", "-c:a libopus -f webm", "", "opus"},
	} {
		t.Run(test.format, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("DIR", dir)
			encoder := "ffmpeg -v error -f lavfi -i sine=440:duration=20 " + test.args + " -"
			r := newRig(t, shell(encoder, ""))
			program := r.output(&ExecOutput{Command: []string{"sh", "-c", `cat > "$DIR/copy"`}})
			files := r.output(&FileOutput{Dir: filepath.Join(dir, "files")})
			program.Start()
			files.Start()
			r.Start()
			want := r.whole(sinkbus.Completed)
			r.await(program)
			r.await(files)

			list := stored(t, filepath.Join(dir, "files"))
			if len(list) != 1 {
				t.Fatalf("got %d files, want 1", len(list))
			}
			for name, got := range list {
				if test.ext != "" && !strings.HasSuffix(name, test.ext) {
					t.Errorf("got file %s, want one with %s", name, test.ext)
				}
				if got != want {
					t.Errorf("got %d bytes in the file, want the same %d", len(got), len(want))
				}
				probe := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", filepath.Join(dir, "files", name))
				codec, err := probe.CombinedOutput()
				if err != nil || !strings.Contains(string(codec), test.codec) {
					t.Errorf("got codec %q and error %v, want %s", codec, err, test.codec)
				}
			}
			got, err := os.ReadFile(filepath.Join(dir, "copy"))
			if err != nil || string(got) != want {
				t.Errorf("the program got %d bytes and error %v, want the same %d", len(got), err, len(want))
			}
		})
	}
}
