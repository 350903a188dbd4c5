package sourcebus

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-httpout/httpout/sinkbus"
	"github.com/caddy-httpout/httpout/sinkbus/framing"
)

// media are files of several formats, made once.
func media(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	sound := []string{"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"}
	both := append(slices.Clip(sound), "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25", "-b:v", "300k", "-c:a", "aac")
	x264 := append(slices.Clip(both), "-preset", "ultrafast")
	make := func(name string, input []string, args ...string) {
		ffmpeg(t, append(append(slices.Clip(input), args...), "-t", "6", filepath.Join(dir, name))...)
	}
	make("a.mp3", sound, "-b:a", "64k")
	make("vbr.mp3", sound, "-q:a", "4")
	make("a.aac", sound, "-b:a", "64k")
	make("a.opus", sound, "-b:a", "64k")
	make("a.webm", sound, "-b:a", "64k")
	make("a.ts", x264, "-g", "25")
	make("a.mp4", x264, "-g", "50", "-movflags", "frag_keyframe+empty_moov+default_base_moof")
	make("a.flv", both, "-c:v", "flv")
	return dir
}

func TestFileIsReadAsItPlays(t *testing.T) {
	checkLeaks(t)
	dir := media(t)
	for _, tc := range []struct {
		name string
		unit time.Duration // how long what the framer tells at once lasts, about
	}{
		{"a.mp3", 50 * time.Millisecond},
		{"vbr.mp3", 100 * time.Millisecond},
		{"a.aac", 100 * time.Millisecond},
		{"a.ts", 150 * time.Millisecond},
		{"a.flv", 150 * time.Millisecond},
		{"a.opus", 1100 * time.Millisecond},
		{"a.webm", 5100 * time.Millisecond},
		{"a.mp4", 2100 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			content := readFile(t, filepath.Join(dir, tc.name))
			synctest.Test(t, func(t *testing.T) {
				in := startVirtual(t, &File{Path: filepath.Join(dir, tc.name), Realtime: true}, Config{})
				s := in.open("/in")
				began := time.Now()
				framer := framing.New("", tc.name)
				var got bytes.Buffer
				last, gap := began, time.Duration(0)
				for {
					p, err := s.reader.Next(0)
					if err != nil {
						break
					}
					now := time.Since(began)
					gap = max(gap, time.Since(last))
					last = time.Now()
					got.Write(p)
					framer.Scan(p, ignoreBoundary)
					played := framer.Info().Played
					if early := played - now; early > paceLead+tc.unit {
						t.Errorf("%v after the start, %v have come", now, played)
					}
					if late := now - played; late > tc.unit && now > tc.unit {
						t.Errorf("%v after the start, only %v have come", now, played)
					}
				}
				s.reader.Close()
				in.want(sinkbus.Completed, "/in")
				in.wantOver()
				if got.String() != content {
					t.Errorf("got %d bytes that differ from the file's %d", got.Len(), len(content))
				}
				if took := time.Since(began); took < 5500*time.Millisecond || took > 6200*time.Millisecond {
					t.Errorf("took %v, want the 6 seconds of the file less %v", took, paceLead)
				}
				if gap > 2*paceStep {
					t.Errorf("got nothing for %v", gap)
				}
			})
		})
	}
}

func TestFileWithoutTimingIsReadAtItsBitrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "noise")
	content := strings.Repeat("no format at all\n", 5000)
	writeFile(t, path, content)
	synctest.Test(t, func(t *testing.T) {
		in := startVirtual(t, &File{Path: path, Realtime: true}, Config{Bitrate: 8 * len(content) / 10})
		s := in.open("/in")
		began := time.Now()
		s.complete(content)
		if took := time.Since(began); took < 9700*time.Millisecond || took > 10*time.Second {
			t.Errorf("took %v, want 10s less %v", took, paceLead)
		}
	})
}

func TestFileWithoutTimingNeedsBitrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "noise")
	writeFile(t, path, strings.Repeat("no format at all\n", 5000))
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		in := startVirtual(t, &File{Path: path, Realtime: true, Loop: true}, Config{})
		in.open("/in").broken("set the input's bitrate")
		in.wantOver()
		if took := time.Since(began); took > 0 {
			t.Errorf("took %v, want it at once", took)
		}
	})
}

func TestFileLoops(t *testing.T) {
	dir := media(t)
	t.Run("in one stream", func(t *testing.T) {
		for _, name := range []string{"a.mp3", "a.ts"} {
			content := readFile(t, filepath.Join(dir, name))
			synctest.Test(t, func(t *testing.T) {
				in := startVirtual(t, &File{Path: filepath.Join(dir, name), Realtime: true, Loop: true}, Config{})
				s := in.open("/in")
				began := time.Now()
				for range 3 {
					s.next(content)
				}
				if took := time.Since(began); took < 17*time.Second || took > 18500*time.Millisecond {
					t.Errorf("took %v for three rounds, want 18s", took)
				}
				in.Suspend()
				s.reader.Close()
				in.want(sinkbus.Completed, "/in")
			})
		}
	})
	t.Run("in a stream each", func(t *testing.T) {
		content := readFile(t, filepath.Join(dir, "a.mp4"))
		synctest.Test(t, func(t *testing.T) {
			in := startVirtual(t, &File{Path: filepath.Join(dir, "a.mp4"), Realtime: true, Loop: true}, Config{})
			for range 3 {
				in.open("/in").complete(content)
			}
		})
	})
	t.Run("as fast as can be", func(t *testing.T) {
		content := readFile(t, filepath.Join(dir, "a.mp3"))
		checkLeaks(t)
		in := prepare(t, &File{Path: filepath.Join(dir, "a.mp3"), Loop: true}, Config{})
		in.Hold() // so that the reader is there
		in.Start()
		s := in.open("/in")
		s.reader.Close()
		r, err := s.NewWholeReader(t.Context(), 0, 100000)
		if err != nil {
			t.Fatal(err)
		}
		s.reader = r
		in.Release()
		s.next(content)
		s.next(content)
		// it waits for the reader, which does not read: that must not keep the
		// input from ending
		in.Suspend()
		s.reader.Close()
		in.want(sinkbus.Completed, "/in")
	})
	t.Run("what was replaced", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "f.txt")
		writeFile(t, path, "first")
		in := prepare(t, &File{Path: path, Loop: true, Realtime: true}, Config{Bitrate: 8})
		synctest.Test(t, func(t *testing.T) {
			in := startVirtual(t, in.Producer(), in.Config)
			s := in.open("/in")
			if s.MediaType != "text/plain; charset=utf-8" {
				t.Errorf("got type %q", s.MediaType)
			}
			s.next("firs")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, "second")
			s.complete("t")
			s = in.open("/in")
			s.next("sec")
			writeFile(t, path, "")
			s.complete("")
			in.open("/in").broken("is empty")
			in.wantOver()
		})
	})
}

func TestFileIsHeldBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	writeFile(t, path, strings.Repeat("x", 1000))
	synctest.Test(t, func(t *testing.T) {
		in := prepare(t, &File{Path: path, Realtime: true}, Config{Bitrate: 8000})
		in.Hold()
		in.Start()
		s := in.open("/in")
		time.Sleep(time.Hour) // virtual
		if n := s.Size(); n != 0 {
			t.Errorf("got %d bytes, want none yet", n)
		}
		in.Release()
		began := time.Now()
		s.complete(strings.Repeat("x", 1000))
		if took := time.Since(began); took < 750*time.Millisecond || took > time.Second {
			t.Errorf("took %v, want 1s less %v", took, paceLead)
		}
	})
}

func TestFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct{ path, want string }{
		{filepath.Join(dir, "missing"), "no such file"},
		{dir, "is not a regular file"},
	} {
		in := start(t, &File{Path: tc.path}, Config{})
		in.wantOver()
		if got := fmt.Sprint(in.logs("input ended", 1).fields["error"]); !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.path, got, tc.want)
		}
	}
}

func TestPaceGoesOnAfterBeingHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c paceClock
		began := time.Now()
		wait := func(want time.Duration) {
			t.Helper()
			if err := c.wait(t.Context(), 100*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(began); got != want {
				t.Fatalf("went on after %v, want %v", got, want)
			}
		}
		wait(0)
		wait(0)
		wait(100 * time.Millisecond)
		time.Sleep(500 * time.Millisecond) // little enough to catch up
		for range 5 {
			wait(600 * time.Millisecond)
		}
		wait(700 * time.Millisecond)
		time.Sleep(time.Minute)
		wait(time.Minute + 700*time.Millisecond)
		wait(time.Minute + 800*time.Millisecond)
	})
}
