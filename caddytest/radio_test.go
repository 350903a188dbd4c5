package caddytest_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// radioInput is an ffmpeg that plays a tone as MP3 of 128 kb/s, for ever.
const radioInput = `
	httpout {
		input radio exec ffmpeg -loglevel error -re -f lavfi -i sine=frequency=440:sample_rate=44100 -ac 2 -c:a libmp3lame -b:a 128k -f mp3 -
		input up upload
	}
`

const radioSites = `
http://:{$HTTP} https://localhost:{$HTTPS} {
	log
	httpout {
		input radio
		dst /live.mp3
		ice
		reopen
		maxc 0
		maxp 0
	}
	httpout {
		hmode source
		input up
		maxc 0
		maxp 0
	}
	httpout {
		input up
		dst /up/
		maxc 0
		maxp 0
	}
}
`

// TestRadio has 200 listeners, on all protocols and at all times, decode what an
// encoder plays.
func TestRadio(t *testing.T) {
	t.Parallel()
	ffmpeg := tool(t, "ffmpeg")
	s := start(t, setup{admin: true, global: radioInput, sites: radioSites})
	first := follow(t, newClient(t, plain), s.url("HTTP", "/live.mp3"))
	equal(t, "type", first.resp.Header.Get("Content-Type"), "audio/mpeg")
	if _, err := io.ReadFull(first.resp.Body, make([]byte, 8<<10)); err != nil {
		t.Fatal(err)
	}
	const listeners = 200
	const enough = 24 << 10 // 1.5 s
	dir := t.TempDir()
	var wg sync.WaitGroup
	errs := make(chan error, listeners)
	for i := range listeners {
		p := protocols[i%len(protocols)]
		c := newClient(t, p)
		wg.Go(func() {
			resp, err := c.Get(s.url(p.port, "/live.mp3"))
			if err != nil {
				errs <- err
				return
			}
			defer resp.Body.Close()
			data := make([]byte, enough)
			if _, err := io.ReadFull(resp.Body, data); err != nil {
				errs <- fmt.Errorf("%s: %w", p.name, err)
				return
			}
			if data[0] != 0xff || data[1]&0xe0 != 0xe0 {
				errs <- fmt.Errorf("%s: begins with % x, which is no MP3 frame", p.name, data[:4])
			}
			if i < 2*len(protocols) {
				errs <- os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.mp3", i)), data, 0o600)
			}
		})
		if i == listeners/2 {
			// the others come later
			if _, err := io.ReadFull(first.resp.Body, make([]byte, 8<<10)); err != nil {
				t.Fatal(err)
			}
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.mp3"))
	equal(t, "files", len(files), 2*len(protocols))
	for _, file := range files {
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), ffmpeg, "-v", "warning", "-xerror", "-f", "mp3", "-i", file, "-f", "null", "-")
		cmd.Stderr = &out
		if err := cmd.Run(); err != nil || strings.Contains(out.String(), "Header missing") {
			t.Errorf("%s: %v\n%s", filepath.Base(file), err, out.String())
		}
	}
	r := follow(t, newClient(t, h2), s.url("HTTPS", "/live.mp3"))
	equal(t, "icy-br", r.resp.Header.Get("Icy-Br"), "128")
	equal(t, "ice-audio-info", r.resp.Header.Get("Ice-Audio-Info"), "samplerate=44100;channels=2;bitrate=128000")
}

// children returns the processes that the server has started, by their names.
func (s *server) children(t testing.TB, name string) []int {
	t.Helper()
	var pids []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		m := regexp.MustCompile(`^(\d+) \((.*)\) (\S) (\d+) `).FindStringSubmatch(string(data))
		if m != nil && m[2] == name && m[4] == strconv.Itoa(s.cmd.Process.Pid) {
			pid, _ := strconv.Atoi(m[1])
			pids = append(pids, pid)
		}
	}
	return pids
}

// reloadGlobal is reload with other global options of ours.
func (s *server) reloadGlobal(t testing.TB, from, to string) {
	t.Helper()
	text, err := os.ReadFile(s.configFile())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("the Caddyfile has no %q", from)
	}
	writeFile(t, s.configFile(), strings.Replace(string(text), from, to, 1))
	cmd := exec.CommandContext(t.Context(), binary(t), "reload", "--config", s.configFile(), "--address", s.addr("ADMIN"), "--force")
	cmd.Env, cmd.Dir = s.environ(), s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("reloading: %v\n%s", err, out)
	}
}

// TestLiveReload loads the configuration anew, many times, while clients listen
// to an encoder and to uploads.
func TestLiveReload(t *testing.T) {
	t.Parallel()
	reloads := 100
	if testing.Short() {
		reloads = 5
	}
	s := start(t, setup{admin: true, global: radioInput, sites: radioSites})
	var radio, ups []*follower
	var uploads []*upload
	for _, p := range protocols {
		radio = append(radio, follow(t, newClient(t, p), s.url(p.port, "/live.mp3")))
		path := "/" + p.name + ".bin"
		up := beginLive(t, newClient(t, p), http.MethodPut, s.url(p.port, path), s.url("HTTP", "/up"+path))
		uploads = append(uploads, up)
		for _, lp := range protocols {
			ups = append(ups, follow(t, newClient(t, lp), s.url(lp.port, "/up"+path)))
		}
	}
	pids := fmt.Sprint(s.children(t, "ffmpeg"))
	if pids == "[]" {
		t.Fatal("the encoder does not run")
	}
	// listeners of the encoder read on meanwhile: each must get one stream
	// without a gap, so that all end with the same bytes
	type heard struct {
		data []byte
		err  error
	}
	results := make([]chan heard, len(radio))
	for i, f := range radio {
		results[i] = make(chan heard, 1)
		go func() {
			data, err := io.ReadAll(f.resp.Body)
			results[i] <- heard{data, err}
		}()
	}
	say := func(text string) {
		for i, up := range uploads {
			up.write(text)
			for _, f := range ups[i*len(protocols) : (i+1)*len(protocols)] {
				f.want(text)
			}
		}
	}
	for i := range reloads {
		// what does not matter to the inputs changes each time
		old, now := "ice\n", "ice\n\t\tsutc\n"
		if i%2 == 1 {
			old, now = now, old
		}
		s.reloadGlobal(t, old, now)
		say(fmt.Sprintf("reload %d ", i))
	}
	equal(t, "the encoder's process", fmt.Sprint(s.children(t, "ffmpeg")), pids)

	// what changes restarts alone
	s.reloadGlobal(t, "frequency=440", "frequency=880")
	say("another tone ")
	var longest []byte
	all := make([]heard, len(results))
	for i := range results {
		select {
		case all[i] = <-results[i]:
		case <-time.After(wait):
			t.Fatal("a listener of the input that has changed is still there")
		}
		if all[i].err != nil {
			t.Errorf("%s: ended with %v, want a good end", protocols[i].name, all[i].err)
		}
		if len(all[i].data) > len(longest) {
			longest = all[i].data
		}
	}
	for i, h := range all {
		if len(h.data) == 0 || !bytes.HasSuffix(longest, h.data) {
			t.Errorf("%s: heard %d bytes, which are not the last ones of the stream", protocols[i].name, len(h.data))
		}
	}
	after := follow(t, newClient(t, plain), s.url("HTTP", "/live.mp3"))
	if _, err := io.ReadFull(after.resp.Body, make([]byte, 1000)); err != nil {
		t.Error(err)
	}
	if now := fmt.Sprint(s.children(t, "ffmpeg")); now == pids || strings.Count(now, " ") != 0 {
		t.Errorf("the encoder's process is %s, want another one than %s", now, pids)
	}

	// what is removed ends well, and the rest goes on
	s.reloadGlobal(t, "\t\tinput radio exec", "\t\tinput other exec")
	if _, err := after.rest(); err != nil {
		t.Errorf("a listener of the input that was removed: %v", err)
	}
	say("the end")
	for _, up := range uploads {
		equal(t, "status", up.finish().status, http.StatusCreated)
	}
	for _, f := range ups {
		f.wantEnd("")
	}
}

// TestLiveStop sends SIGTERM while clients listen and upload.
func TestLiveStop(t *testing.T) {
	t.Parallel()
	for _, reloads := range []int{0, 2} {
		t.Run(fmt.Sprintf("after %d reloads", reloads), func(t *testing.T) {
			t.Parallel()
			s := start(t, setup{admin: true, global: radioInput, sites: radioSites})
			var all []*follower
			for _, p := range protocols {
				up := begin(t, newClient(t, p), http.MethodPut, s.url(p.port, "/"+p.name))
				up.write(unheard)
				all = append(all,
					follow(t, newClient(t, p), s.url(p.port, "/live.mp3")),
					follow(t, newClient(t, p), s.url(p.port, "/up/"+p.name)))
				for range reloads / 2 {
					s.reloadGlobal(t, "ice\n", "ice\n\t\tsutc\n")
					s.reloadGlobal(t, "ice\n\t\tsutc\n", "ice\n")
				}
			}
			ends := make(chan error)
			for _, f := range all {
				go func() {
					_, err := f.rest()
					ends <- err
				}()
			}
			encoder := s.children(t, "ffmpeg")
			took := s.stop(t)
			t.Logf("it took %v to stop", took)
			if took > 3*time.Second {
				t.Errorf("stopping took %v, want less than 3 s", took)
			}
			for range all {
				if err := <-ends; err != nil {
					t.Errorf("a listener got %v, want a good end", err)
				}
			}
			for _, pid := range encoder {
				if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
					t.Errorf("the encoder %d is still there", pid)
				}
			}
		})
	}
}

// TestHoldAndQuit has a producer wait for the first client, and the server stop
// after the last.
func TestHoldAndQuit(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "input")
	text := pattern(5, 300_000)
	writeFile(t, file, text)
	s := start(t, setup{
		global: "httpout {\n input tape exec cat " + file + "\n}\n",
		sites:  "http://:{$HTTP} {\n httpout {\n input tape\n dst /tape.bin\n hold\n quit\n }\n}\n",
	})
	head := do(t, newClient(t, plain), http.MethodHead, s.url("HTTP", "/tape.bin"), "")
	equal(t, "status of HEAD", head.status, http.StatusOK)
	got := do(t, newClient(t, plain), http.MethodGet, s.url("HTTP", "/tape.bin"), "")
	wantReply(t, "the first client", got, http.StatusOK, text)
	select {
	case <-s.exited:
	case <-time.After(wait):
		t.Fatal("the server is still there")
	}
	equal(t, "exit status", s.cmd.ProcessState.ExitCode(), 0)
}

// TestReopen has clients stay while an encoder comes back.
func TestReopen(t *testing.T) {
	t.Parallel()
	ffmpeg := tool(t, "ffmpeg")
	file := filepath.Join(t.TempDir(), "tone.mp3")
	if out, err := exec.CommandContext(t.Context(), ffmpeg, "-v", "error", "-f", "lavfi", "-i", "sine", "-t", "2",
		"-c:a", "libmp3lame", "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0", file).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	tone, err := readWhole(file)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, setup{admin: true, sites: strings.ReplaceAll(radioSites, "dst /up/", "dst /up/\n\t\treopen"), global: radioInput})
	upload := func(p protocol) *upload {
		return begin(t, newClient(t, p), http.MethodPut, s.url(p.port, "/tone.mp3"))
	}
	up := upload(plain)
	up.write(tone[:1000])
	var all []*follower
	for _, p := range protocols {
		all = append(all, follow(t, newClient(t, p), s.url(p.port, "/up/tone.mp3")))
	}
	up.write(tone[1000:])
	up.finish()
	// one leaves while there is nothing to listen to
	leaves := follow(t, newClient(t, plain), s.url("HTTP", "/live.mp3"))
	leaves.cancel()

	up = upload(h2)
	up.write(tone)
	for i, f := range all {
		buf := make([]byte, len(tone)+10_000)
		if _, err := io.ReadFull(f.resp.Body, buf); err != nil {
			t.Errorf("%s: %v", protocols[i].name, err)
			continue
		}
		if buf[0] != 0xff {
			t.Errorf("%s: begins with % x, which is no frame", protocols[i].name, buf[:4])
		}
		if !strings.Contains(tone+tone, string(buf)) {
			t.Errorf("%s: heard something else than one stream after the other", protocols[i].name)
		}
	}
	// a stream that is aborted does not end them either
	up.abort()
	up = upload(plain)
	up.write(tone)
	for i, f := range all {
		if _, err := io.ReadFull(f.resp.Body, make([]byte, len(tone))); err != nil {
			t.Errorf("%s, after an aborted stream: %v", protocols[i].name, err)
		}
	}
}
