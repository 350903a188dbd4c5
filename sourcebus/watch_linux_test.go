package sourcebus

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/caddy-httpout/httpout/sinkbus"
)

func TestClosingCounts(t *testing.T) {
	checkLeaks(t)
	dir := t.TempDir()
	in := watching(t, dir, false)
	var list []*opened
	for i := range 50 { // all in less time than it takes for a file to be left alone
		f := create(t, filepath.Join(dir, strconv.Itoa(i)))
		put(t, f, "x")
		s := in.open("/" + strconv.Itoa(i))
		s.next("x")
		f.Close()
		list = append(list, s)
		s.complete("")
	}
	if in.Len() != 0 || len(list) != 50 {
		t.Errorf("got %d open streams, want none", in.Len())
	}
	// opening for writing alone is nothing
	f, err := os.OpenFile(filepath.Join(dir, "0"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	writeFile(t, filepath.Join(dir, "last"), "last")
	in.open("/last").complete("last")
}

func TestLinkedFileIsCompleteAfterAWhile(t *testing.T) {
	checkLeaks(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.tmp"), "linked")
	in := watching(t, dir, false)
	if err := os.Link(filepath.Join(dir, "a.tmp"), filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	in.open("/a").complete("linked")
}

func TestFIFOIsNotOpened(t *testing.T) {
	checkLeaks(t)
	dir := t.TempDir()
	in := watching(t, dir, false)
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "a"), "a")
	in.open("/a").complete("a")
}

func TestLostEventsAreMadeUpFor(t *testing.T) {
	checkLeaks(t)
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || most > 1<<17 {
		t.Fatalf("the queue has %s events", text)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "old"), "old")
	if err := os.Chtimes(filepath.Join(dir, "old"), time.Time{}, time.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	in := watching(t, dir, false)
	files := []*os.File{create(t, filepath.Join(dir, "a")), create(t, filepath.Join(dir, "b"))}
	streams := make([]*opened, len(files))
	for i, f := range files {
		put(t, f, "x")
		streams[i] = in.open("/" + filepath.Base(f.Name()))
		streams[i].next("x")
	}
	slow, err := streams[0].NewWholeReader(t.Context(), 0, 1) // so that nobody asks for events
	if err != nil {
		t.Fatal(err)
	}
	for i := range most + 1000 {
		put(t, files[i%2], "x")
	}
	mkdir(t, filepath.Join(dir, "lost"))
	writeFile(t, filepath.Join(dir, "lost", "c"), "c")
	files[0].Close()
	removeAll(t, filepath.Join(dir, "b"))
	slow.Close()
	in.logs("too much has happened in the folder at once, looking at all of its files", 1)

	for _, s := range streams {
		if got, err := s.rest(); err != nil || len(got) != (most+1000)/2 {
			t.Errorf("got %d more bytes and error %v, want %d", len(got), err, (most+1000)/2)
		}
	}
	got := make(map[string]int)
	for len(got) < 5 {
		e, _ := in.event()
		got[fmt.Sprint(e.Kind, " ", e.Name)]++
		if e.Kind == sinkbus.Opened {
			if text, err := (&opened{e.Stream, e.Reader, in}).rest(); err != nil || string(text) != "c" {
				t.Errorf("%s: got %q and error %v", e.Name, text, err)
			}
		}
	}
	want := map[string]int{"opened /lost/c": 1, "completed /lost/c": 1, "completed /a": 1, "completed /b": 1, "deleted /b": 1}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	// it goes on as before
	writeFile(t, filepath.Join(dir, "lost", "d"), "d")
	in.open("/lost/d").complete("d")
}

func TestSegmentsOfFFmpeg(t *testing.T) {
	for _, tc := range []struct {
		name     string
		manifest string
		args     []string
	}{
		{"HLS in place", "live.m3u8", []string{"-f", "hls", "-hls_time", "1", "-hls_flags", "independent_segments", "-hls_list_size", "0"}},
		{"HLS by renaming", "live.m3u8", []string{"-f", "hls", "-hls_time", "1", "-hls_flags", "temp_file", "-hls_list_size", "0"}},
		{"HLS of fragments", "live.m3u8", []string{"-f", "hls", "-hls_time", "1", "-hls_segment_type", "fmp4", "-hls_list_size", "0"}},
		{"DASH", "live.mpd", []string{"-f", "dash", "-seg_duration", "1", "-ldash", "1", "-streaming", "1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkLeaks(t)
			dir := t.TempDir()
			in := watching(t, dir, false)
			args := append([]string{"-f", "lavfi", "-i", "testsrc=size=160x120:rate=25", "-t", "5", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25"}, tc.args...)
			ffmpeg(t, append(args, filepath.Join(dir, tc.manifest))...)
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			want := make(map[string]string)
			for _, e := range entries {
				want["/"+e.Name()] = readFile(t, filepath.Join(dir, e.Name()))
			}
			writeFile(t, filepath.Join(dir, "end"), "end")

			got := make(map[string]string)
			whole := 0
			for got["/end"] == "" {
				e, _ := in.event()
				switch e.Kind {
				case sinkbus.Opened:
					content, err := (&opened{e.Stream, e.Reader, in}).rest()
					if err != nil {
						t.Errorf("%s: %v", e.Name, err)
					}
					got[e.Name] = string(content)
					if e.Stream.Length >= 0 {
						whole++
					}
				case sinkbus.Completed:
				default:
					t.Errorf("got %v %s", e.Kind, e.Name)
				}
			}
			delete(got, "/end")
			for name, content := range want {
				if got[name] != content {
					t.Errorf("%s: got %d bytes, want the %d of the file", name, len(got[name]), len(content))
				}
				delete(got, name)
			}
			if len(got) > 0 {
				t.Errorf("got %d streams more than files", len(got))
			}
			t.Logf("%d files, %d streams of known length", len(want), whole)
		})
	}
}
