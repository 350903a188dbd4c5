package caddytest_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCrash kills the server in the middle of uploads, again and again. No part
// of an upload may be found under its name, what was there before must still be
// there, and the next start removes what the uploads have left.
func TestCrash(t *testing.T) {
	t.Parallel()
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	const size = 3_000_000
	old := pattern(1, size)
	s := start(t, setup{sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		maxc 0
		maxp 0
	}
}
`, files: map[string]string{"replaced": old, "patched": old, "appended": old}})

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	cases := []struct{ path, header string }{
		{"/replaced", ""},
		{"/new", ""},
		{"/made/by/upload/new", ""},
		{"/patched", fmt.Sprintf("Content-Range: bytes 1000-%d/*", 1000+size-1001)},
		{"/appended", fmt.Sprintf("Range: bytes=%d-", size)},
		{"/manifest.mpd", ""},
	}
	for round := range rounds {
		for i, tc := range cases {
			// some uploads are in their beginning, some nearly complete
			body := pattern(uint64(100*round+i+2), 1+random.IntN(size-1001))
			header := []string{fmt.Sprintf("Content-Length: %d", size-1000)}
			if tc.header != "" {
				header = append(header, tc.header)
			}
			c := dial(t, s.addr("HTTP"))
			c.send(rawText("PUT " + tc.path + " HTTP/1.1\n" + strings.Join(header, "\n") + "\n\n"))
			go io.WriteString(c.Conn, body)
		}
		await(t, wait, "uploads to be received", func() error {
			names, err := temporaries(s.root)
			if err == nil && len(names) < len(cases) {
				err = fmt.Errorf("there are only %q", names)
			}
			return err
		})
		<-time.After(time.Duration(random.IntN(20)) * time.Millisecond) // any moment
		s.kill()
		if names, err := temporaries(s.root); err != nil || len(names) == 0 {
			t.Fatalf("round %d: got no temporary files (%v), so it was not in the middle", round, err)
		}
		s.wantNoFile(t, "new")
		s.wantNoFile(t, "made/by/upload/new")
		s.wantNoFile(t, "manifest.mpd")
		s.wantFile(t, "replaced", old)
		s.wantFile(t, "patched", old)

		s.restart(t)
		s.wantNoTemporaries(t)
		// an append is undone by the same sweep, before the file is served
		for _, name := range []string{"replaced", "patched", "appended"} {
			r := do(t, newClient(t, plain), http.MethodGet, s.url("HTTP", "/"+name), "")
			wantReply(t, name, r, http.StatusOK, old)
			s.wantFile(t, name, old)
		}
		got := slices.DeleteFunc(s.tree(t), func(name string) bool { return strings.HasSuffix(name, "/") })
		equal(t, "files", fmt.Sprintf("%q", got), `["appended" "patched" "replaced"]`)
		if t.Failed() {
			t.Fatalf("failed in round %d", round)
		}
	}
}

// TestCrashDuringCommit kills the server at any moment while small files are
// replaced and appended to at full speed: each file is one version or another.
func TestCrashDuringCommit(t *testing.T) {
	t.Parallel()
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	const size = 50_000
	s := start(t, setup{sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		maxc 0
		maxp 0
	}
}
`, files: map[string]string{"whole": strings.Repeat("a", size), "log": ""}})
	line := strings.Repeat("x", 999) + "\n"
	for round := range rounds {
		appended := make(chan int, 1) // the size that the server has confirmed
		var before int
		{
			text, _ := s.read(t, "log")
			before = len(text)
		}
		answered := make(chan struct{}, 1000)
		go func() {
			c := newClient(t, plain)
			for i := 0; ; i++ {
				body := strings.Repeat(string(rune('a'+i%26)), size)
				if r := exchangeOn(c, newRequest(t, t.Context(), http.MethodPut, s.url("HTTP", "/whole"), strings.NewReader(body))); r.status == 0 {
					return
				}
				select {
				case answered <- struct{}{}:
				default:
				}
			}
		}()
		go func() {
			c := newClient(t, plain)
			n := before
			for {
				req := newRequest(t, t.Context(), http.MethodPatch, s.url("HTTP", "/log"), strings.NewReader(line), fmt.Sprintf("Range: bytes=%d-", n))
				if r := exchangeOn(c, req); r.status != http.StatusOK {
					appended <- n
					return
				}
				n += len(line)
			}
		}()
		for range 10 {
			<-answered
		}
		<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond) // any moment
		s.kill()
		confirmed := <-appended
		s.restart(t)
		s.wantNoTemporaries(t)
		text, _ := s.read(t, "whole")
		if len(text) != size || strings.Trim(text, text[:1]) != "" {
			t.Fatalf("round %d: got %d bytes of several versions, want one version of %d", round, len(text), size)
		}
		text, _ = s.read(t, "log")
		if len(text)%len(line) != 0 || len(text) < confirmed || len(text) > confirmed+len(line) || text != strings.Repeat(line, len(text)/len(line)) {
			t.Fatalf("round %d: got a log of %d bytes, want whole lines of %d up to %d or one more", round, len(text), len(line), confirmed)
		}
	}
}
