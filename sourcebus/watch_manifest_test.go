package sourcebus

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-httpout/httpout/sinkbus"
)

func TestManifestIsNeverTorn(t *testing.T) {
	checkLeaks(t)
	dir := t.TempDir()
	in := watching(t, dir, false)
	name := filepath.Join(dir, "live.m3u8")
	version := func(i int) string {
		return fmt.Sprintf("version %d of\n%s%d", i, strings.Repeat(fmt.Sprintf("%d line\n", i), 1+i*7%500), i)
	}
	const versions = 500
	written := make(chan error, 1)
	go func() {
		for i := range versions {
			// in place, and in several writes
			f, err := os.Create(name)
			if err != nil {
				written <- err
				return
			}
			text := version(i)
			for len(text) > 0 {
				n := min(1000, len(text))
				if _, err := f.WriteString(text[:n]); err != nil {
					written <- err
				}
				text = text[n:]
			}
			f.Close()
		}
		written <- nil
	}()
	for last := 0; last < versions-1; {
		s := in.open("/live.m3u8")
		got, err := s.rest()
		if err != nil {
			t.Fatal(err)
		}
		in.want(sinkbus.Completed, "/live.m3u8")
		var i int
		if _, err := fmt.Sscanf(string(got), "version %d of\n", &i); err != nil || string(got) != version(i) {
			t.Fatalf("got a manifest that was never written: %q", short(got))
		}
		if s.Length != int64(len(got)) || s.MediaType != "application/vnd.apple.mpegurl" {
			t.Errorf("got length %d and type %q", s.Length, s.MediaType)
		}
		last = i
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

func TestManifestThatStaysOpen(t *testing.T) {
	bothWays(t, func(t *testing.T, dir string, scan bool) {
		in := watching(t, dir, scan)
		f := create(t, filepath.Join(dir, "live.mpd"))
		put(t, f, "<MPD>")
		began := time.Now()
		put(t, f, "</MPD>")
		in.open("/live.mpd").complete("<MPD></MPD>")
		if d := time.Since(began); d < settleManifest {
			t.Errorf("it was taken after %v, want %v", d, settleManifest)
		}
	})
}

func TestSegmentsComeBeforeTheManifest(t *testing.T) {
	bothWays(t, func(t *testing.T, dir string, scan bool) {
		in := watching(t, dir, scan)
		for i := range 20 {
			f := create(t, filepath.Join(dir, "seg.m4s"))
			text := fmt.Sprint("segment ", i)
			put(t, f, text)
			// as for low latency, where segments are named while they grow
			writeFile(t, filepath.Join(dir, "live.m3u8"), fmt.Sprint(i))
			s := in.open("/seg.m4s")
			m := in.open("/live.m3u8")
			if s.Size() != int64(len(text)) {
				t.Errorf("got %d bytes of the segment, want %d", s.Size(), len(text))
			}
			m.complete(fmt.Sprint(i))
			f.Close()
			s.complete(text)
		}
	})
}
