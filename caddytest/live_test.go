package caddytest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// live is a packager's run that a test follows.
type live struct {
	s       *server
	dir     string // the folder that it writes into, without slashes
	port    string
	seconds int // how long it runs
	segment int // how long a segment is, in seconds
}

// TestLiveDASH has ffmpeg push a low-latency DASH presentation while readers
// fetch each segment before it is complete.
func TestLiveDASH(t *testing.T) {
	t.Parallel()
	forLive(t, func(t *testing.T, l live, readers []protocol) {
		manifest := l.s.url(l.port, "/"+l.dir+"/live.mpd")
		wait := l.run(t, "-f", "dash", "-ldash", "1", "-streaming", "1", "-use_template", "1", "-use_timeline", "0",
			"-seg_duration", strconv.Itoa(l.segment), "-window_size", "2", "-extra_window_size", "1", "-remove_at_exit", "0",
			"-init_seg_name", "init-$RepresentationID$.m4s", "-media_seg_name", "chunk-$RepresentationID$-$Number%05d$.m4s",
			"-method", "PUT", "-http_persistent", "1", "-http_opts", "tls_verify=0", manifest)
		got := l.follow(t, readers, 1, func(n int) []string {
			return []string{fmt.Sprintf("chunk-0-%05d.m4s", n), fmt.Sprintf("chunk-1-%05d.m4s", n)}
		}, wait)

		// chunks are sent as they are encoded
		for _, f := range got {
			half := time.Duration(l.segment) * time.Second / 2
			if early := f.end.Sub(f.first); !f.last && early < half {
				t.Errorf("%s on %s: the first byte came %v before the end, want more than %v", f.name, f.protocol, early, half)
			}
		}
		l.wantWindow(t, got, 3, "init-0.m4s", "init-1.m4s", "live.mpd")
		if l.port == "HTTP" {
			l.probe(t, manifest, "aac h264")
			return
		}
		// Over TLS ffmpeg closes its connection with responses unread, which
		// resets it: the manifest that says that it is over is lost on the way,
		// and ffprobe would wait for more segments.
		l.probe(t, l.joined(t, "init-0.m4s", "chunk-0-*.m4s"), "h264")
		l.probe(t, l.joined(t, "init-1.m4s", "chunk-1-*.m4s"), "aac")
	})
}

// TestLiveHLS has ffmpeg push an HLS playlist whose segments it deletes, while
// readers fetch each segment.
func TestLiveHLS(t *testing.T) {
	t.Parallel()
	forLive(t, func(t *testing.T, l live, readers []protocol) {
		playlist := l.s.url(l.port, "/"+l.dir+"/live.m3u8")
		wait := l.run(t, "-f", "hls", "-hls_time", strconv.Itoa(l.segment), "-hls_list_size", "2", "-hls_delete_threshold", "1",
			"-hls_flags", "delete_segments", "-method", "PUT", "-http_persistent", "1", "-tls_verify", "0",
			"-hls_segment_filename", l.s.url(l.port, "/"+l.dir+"/segment-%05d.ts"), playlist)
		got := l.follow(t, readers, 0, func(n int) []string { return []string{fmt.Sprintf("segment-%05d.ts", n)} }, wait)
		l.wantWindow(t, got, 3, "live.m3u8")
		l.probe(t, playlist, "aac h264")
	})
}

// forLive runs a test with the packager on HTTP/1.1 and with it on HTTPS, where
// there are readers on every protocol.
func forLive(t *testing.T, test func(*testing.T, live, []protocol)) {
	tool(t, "ffmpeg")
	s := start(t, setup{sites: `
http://:{$HTTP} https://localhost:{$HTTPS} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		cors on
		maxc 0
		maxp 0
	}
}
`})
	l := live{s: s, seconds: 20, segment: 2}
	if testing.Short() {
		l.seconds, l.segment = 6, 1
	}
	t.Run("http", func(t *testing.T) {
		t.Parallel()
		l := l
		l.dir, l.port = "http", "HTTP"
		test(t, l, []protocol{plain})
	})
	t.Run("https", func(t *testing.T) {
		t.Parallel()
		l := l
		l.dir, l.port = "https", "HTTPS"
		test(t, l, []protocol{h1, h2, h3})
	})
}

// run starts ffmpeg with a test picture and a tone. The function that it returns
// waits for ffmpeg to end; the context ends with it.
func (l live) run(t *testing.T, args ...string) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	limit, stop := context.WithTimeout(t.Context(), time.Duration(l.seconds+60)*time.Second)
	length := strconv.Itoa(l.seconds)
	cmd := exec.CommandContext(limit, tool(t, "ffmpeg"), append([]string{
		"-nostdin", "-hide_banner", "-loglevel", "warning",
		"-re", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=25:duration=" + length,
		"-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=" + length,
		"-map", "0:v", "-map", "1:a", "-threads", "1",
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-b:v", "300k",
		"-g", strconv.Itoa(25 * l.segment), "-keyint_min", strconv.Itoa(25 * l.segment), "-sc_threshold", "0",
		"-c:a", "aac", "-b:a", "64k",
	}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer stop()
		defer cancel()
		if err := cmd.Wait(); err != nil {
			t.Errorf("ffmpeg: %v", err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
		if t.Failed() {
			t.Logf("ffmpeg wrote:\n%s", &out)
		}
	})
	return ctx
}

// fetched is a segment that a reader got.
type fetched struct {
	name, protocol string
	kind           int       // which of the names that segments of the same number have
	n              int       // its number
	first, end     time.Time // when its first byte and its end came
	live           bool      // whether it was asked for before it was complete
	last           bool      // whether it is the last one of its kind, which may be short
	body           string
}

// follow has readers on each protocol fetch the segments that are numbered from
// n, by their names, until the packager has ended. Each must be the same as the
// file that it becomes.
func (l live) follow(t *testing.T, readers []protocol, n int, names func(n int) []string, run context.Context) []fetched {
	t.Helper()
	var mu sync.Mutex
	var all []fetched
	var wg sync.WaitGroup
	for _, p := range readers {
		for kind := range names(n) {
			c := newClient(t, p)
			wg.Go(func() {
				for n := n; ; n++ {
					f, err := l.fetch(c, p, names(n)[kind], run)
					if errors.Is(err, errEnded) {
						break
					}
					if err == nil {
						f.n, f.kind = n, kind
						err = l.compare(f)
					}
					if err != nil {
						t.Errorf("%s on %s: %v", names(n)[kind], p.name, err)
						return
					}
					mu.Lock()
					all = append(all, f)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()

	early, newest := 0, newestOfKind(all)
	for i := range all {
		all[i].last = all[i].n == newest[all[i].kind]
		if all[i].live {
			early++
		}
	}
	want := (l.seconds/l.segment - 1) * len(names(n)) * len(readers)
	if len(all) < want {
		t.Errorf("readers got %d segments, want at least %d", len(all), want)
	}
	t.Logf("readers got %d segments, %d of them before they were complete", len(all), early)
	return all
}

var errEnded = errors.New("the packager has ended")

// fetch asks for a segment until it is there, and reads it to its end.
func (l live) fetch(c *http.Client, p protocol, name string, run context.Context) (fetched, error) {
	f := fetched{name: name, protocol: p.name}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.s.url(p.port, "/"+l.dir+"/"+name), nil)
	if err != nil {
		return f, err
	}
	var resp *http.Response
	var final error
	err = pollUntil(time.Minute, func() error {
		ended := run.Err() != nil // before the request, so that nothing is missed
		if resp, final = c.Do(req); final != nil || resp.StatusCode != http.StatusNotFound {
			return nil
		}
		resp.Body.Close()
		if ended {
			final = errEnded
			return nil
		}
		return errors.New("it has not appeared")
	})
	if err = errors.Join(err, final); err != nil {
		return f, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Proto != p.want {
		return f, fmt.Errorf("got %s %s, want %s 200", resp.Proto, resp.Status, p.want)
	}
	f.live = resp.ContentLength < 0
	var body bytes.Buffer
	if _, err := io.CopyN(&body, resp.Body, 1); err != nil {
		return f, err
	}
	f.first = time.Now()
	if _, err := io.Copy(&body, resp.Body); err != nil {
		return f, err
	}
	f.end = time.Now()
	f.body = body.String()
	return f, nil
}

// compare compares what a reader got with the file that the upload has become.
func (l live) compare(f fetched) error {
	return pollUntil(5*time.Second, func() error {
		got, err := readWhole(l.s.file(l.dir + "/" + f.name))
		if err == nil && got != f.body {
			err = fmt.Errorf("got %d bytes that are not those of the file, which has %d", len(f.body), len(got))
		}
		return err
	})
}

// newestOfKind returns the highest number of each kind of segment.
func newestOfKind(all []fetched) map[int]int {
	newest := make(map[int]int)
	for _, f := range all {
		newest[f.kind] = max(newest[f.kind], f.n)
	}
	return newest
}

// wantWindow checks what is left when the packager has ended: no more segments
// of a kind than its window has, the other files, and nothing else. The
// segments that were deleted must be gone.
func (l live) wantWindow(t *testing.T, got []fetched, window int, others ...string) {
	t.Helper()
	newest := newestOfKind(got)
	old := make(map[string]bool) // those that the packager must have deleted
	for _, f := range got {
		if f.n < newest[f.kind]-window {
			old[f.name] = true
		}
	}
	left := make(map[string]bool)
	await(t, 10*time.Second, "the folder to be clean", func() error {
		names, err := listTree(l.s.file(l.dir))
		if err != nil {
			return err
		}
		clear(left)
		for _, name := range names {
			left[name] = true
			known := slices.ContainsFunc(got, func(f fetched) bool { return f.name == name })
			if old[name] || !known && !slices.Contains(others, name) {
				return fmt.Errorf("there is %s", name)
			}
		}
		return nil
	})
	for _, name := range others {
		if !left[name] {
			t.Errorf("there is no %s; got %v", name, left)
		}
	}
	gone := make(map[string]bool)
	c := newClient(t, plain)
	for _, f := range got {
		if left[f.name] || gone[f.name] {
			continue
		}
		gone[f.name] = true
		equal(t, "status of GET "+f.name, do(t, c, http.MethodGet, l.s.url("HTTP", "/"+l.dir+"/"+f.name), "").status, http.StatusNotFound)
	}
	if len(old) == 0 {
		t.Error("no segment was to be deleted; the test is too short")
	}
	t.Logf("%d files are left, %d segments were deleted", len(left), len(gone))
}

// probe has ffprobe read a file or URL, and checks the codecs that it finds.
func (l live) probe(t *testing.T, url, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := []string{"-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0"}
	if strings.HasPrefix(url, "https:") {
		args = append(args, "-tls_verify", "0")
	}
	cmd := exec.CommandContext(ctx, tool(t, "ffprobe"), append(args, url)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("ffprobe %s: %v\n%s", path.Base(url), err, &errs)
		return
	}
	codecs := strings.Fields(string(out))
	slices.Sort(codecs)
	equal(t, "codecs of "+path.Base(url), strings.Join(slices.Compact(codecs), " "), want)
}

// joined returns a file that has the stored segments that match a pattern behind
// their initialization segment.
func (l live) joined(t *testing.T, initialization, pattern string) string {
	t.Helper()
	segments, err := filepath.Glob(l.s.file(l.dir + "/" + pattern))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no segments %s: %v", pattern, err)
	}
	var all []byte
	for _, name := range append([]string{l.s.file(l.dir + "/" + initialization)}, segments...) {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	name := filepath.Join(t.TempDir(), initialization)
	if err := os.WriteFile(name, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
