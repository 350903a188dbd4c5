package caddytest_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// relay is a site whose uploads its clients listen to, each under its own path,
// and the newest at /newest.
const relay = `
http://:{$HTTP} https://localhost:{$HTTPS} {
	log
	httpout {
		hmode source
		input up
		maxc 0
		maxp 0
	}
	httpout {
		input up
		maxc 0
		maxp 0
	}
	httpout {
		input up
		dst /newest
	}
}
`

// unheard is the first that tests upload. It is of no format, and once the
// server knows that, clients join wherever the stream is.
var unheard = pattern(99, 70_000)

// beginLive starts an upload whose stream clients listen to at another URL. Those
// who come when it returns hear what is written then.
func beginLive(t testing.TB, c *http.Client, method, url, listen string, header ...string) *upload {
	t.Helper()
	up := begin(t, c, method, url, header...)
	up.write("x")
	f := follow(t, newClient(t, plain), listen)
	f.want("x")
	up.write(unheard)
	f.want(unheard)
	f.cancel()
	return up
}

// TestSink has clients on each protocol listen to uploads on each.
func TestSink(t *testing.T) {
	t.Parallel()
	s := start(t, setup{admin: true, verbose: true, sites: relay})
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			path := "/" + p.name + ".bin"
			missing := do(t, newClient(t, p), http.MethodGet, s.url(p.port, path), "")
			equal(t, "status before anything was produced", missing.status, http.StatusNotFound)
			up := beginLive(t, newClient(t, p), http.MethodPut, s.url(p.port, path), s.url("HTTP", path), "Content-Type: application/x-test")
			var all []*follower
			for _, lp := range protocols {
				f := follow(t, newClient(t, lp), s.url(lp.port, path), "Range: bytes=1-2")
				equal(t, "status", f.resp.StatusCode, http.StatusOK)
				for name, want := range map[string]string{
					"Content-Type":  "application/x-test",
					"Cache-Control": "no-cache, no-store, no-transform",
					"Incremental":   "?1",
					"Accept-Ranges": "none",
					"Allow":         "",
				} {
					equal(t, lp.name+": "+name, f.resp.Header.Get(name), want)
				}
				all = append(all, f, follow(t, newClient(t, lp), s.url(lp.port, "/newest")))
			}
			for i := range 20 {
				text := fmt.Sprintf("message %d on %s ", i, p.name)
				up.write(text)
				for _, f := range all {
					f.want(text)
				}
			}
			large := pattern(7, 3<<20)
			done := make(chan struct{})
			go func() {
				defer close(done)
				io.WriteString(up.pipe, large)
			}()
			got := make(chan string)
			for _, f := range all {
				go func() {
					buf := make([]byte, len(large))
					io.ReadFull(f.resp.Body, buf)
					got <- string(buf)
				}()
			}
			for range all {
				if text := <-got; text != large {
					t.Error("a listener got other bytes of a large write")
				}
			}
			<-done
			equal(t, "status", up.finish().status, http.StatusCreated)
			for _, f := range all {
				f.wantEnd("")
			}
			gone := do(t, newClient(t, p), http.MethodGet, s.url(p.port, "/newest"), "")
			wantReply(t, "afterwards", gone, http.StatusNotFound, "This stream is no longer available\n")
		})
	}
	t.Run("aborted", func(t *testing.T) {
		for _, p := range protocols {
			up := beginLive(t, newClient(t, p), http.MethodPut, s.url(p.port, "/broken.bin"), s.url("HTTP", "/broken.bin"))
			var all []*follower
			for _, lp := range protocols {
				all = append(all, follow(t, newClient(t, lp), s.url(lp.port, "/broken.bin")))
			}
			up.write("some")
			for _, f := range all {
				f.want("some")
			}
			up.abort()
			for _, f := range all {
				f.wantAbort()
			}
		}
	})
	t.Run("methods", func(t *testing.T) {
		for _, p := range protocols {
			c := newClient(t, p)
			up := beginLive(t, newClient(t, p), http.MethodPost, s.url(p.port, "/m.mp3"), s.url("HTTP", "/m.mp3"))
			follow(t, c, s.url(p.port, "/m.mp3"))
			r := do(t, newClient(t, p), http.MethodHead, s.url(p.port, "/m.mp3"), "")
			wantReply(t, p.name+": HEAD", r, http.StatusOK, "")
			equal(t, "type", r.header.Get("Content-Type"), "audio/mpeg")
			r = do(t, newClient(t, p), http.MethodDelete, s.url(p.port, "/m.mp3"), "")
			equal(t, p.name+": DELETE", r.status, http.StatusMethodNotAllowed)
			r = do(t, newClient(t, p), http.MethodPut, s.url(p.port, "/m.mp3"), "abc", "Range: bytes=0-2")
			equal(t, p.name+": PUT of a range", r.status, http.StatusRequestedRangeNotSatisfiable)
			equal(t, "status", up.finish().status, http.StatusCreated)
		}
	})
	t.Run("access log", func(t *testing.T) {
		from := s.logs.size()
		up := beginLive(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/logged.bin"), s.url("HTTP", "/logged.bin"))
		f := follow(t, newClient(t, plain), s.url("HTTP", "/logged.bin"))
		text := pattern(1, 12345)
		up.write(text)
		f.want(text)
		up.finish()
		f.wantEnd("")
		line := s.logs.find(wait, from, `"handled request"`, `"uri":"/logged.bin"`, `"size":12345`)
		contains(t, "access log", line, `"method":"GET"`)
		contains(t, "access log", line, `"status":200`)
	})
}

// tcpBuffers is how much a test has the system hold for a client that does not
// read.
const tcpBuffers = 4 << 10

// TestSlowListener has clients that do not read beside one that does, which
// must not lose a byte.
func TestSlowListener(t *testing.T) {
	t.Parallel()
	s := start(t, setup{admin: true, verbose: true, sites: strings.ReplaceAll(relay, "input up\n", "input up\n\t\ttimeout 3\n")})
	up := beginLive(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/live.bin"), s.url("HTTP", "/live.bin"))
	fast := follow(t, newClient(t, plain), s.url("HTTP", "/live.bin"))
	fastTLS := follow(t, newClient(t, h2), s.url("HTTPS", "/live.bin"))
	for _, method := range []string{"GET", "GET", "GET"} {
		c := dial(t, s.addr("HTTP"))
		if err := c.Conn.(*net.TCPConn).SetReadBuffer(tcpBuffers); err != nil {
			t.Fatal(err)
		}
		c.send(rawText(method + " /live.bin HTTP/1.1\n\n"))
	}
	stuck := follow(t, newClient(t, h2), s.url("HTTPS", "/live.bin"))
	peak := s.watchMemory()
	from := s.logs.size()
	piece := pattern(3, 64<<10)
	deadline := time.Now().Add(30 * time.Second)
	moved := false
	n := 0
	for ; time.Now().Before(deadline) && !moved; n++ {
		up.write(piece)
		fast.want(piece)
		fastTLS.want(piece)
		moved = strings.Count(s.logs.since(from), `"status":200`) >= 3
	}
	t.Logf("stuck clients were gone after %d MB", n>>4)
	if !moved {
		t.Error("clients that take nothing are still there")
	}
	if m := peak(); m > 300<<20 {
		t.Errorf("the server used %d MB", m>>20)
	}
	stuck.cancel()
	equal(t, "status", up.finish().status, http.StatusCreated)
	fast.wantEnd("")
	fastTLS.wantEnd("")
}

// TestLiveCounts checks that clients of live responses count as connections, and
// no longer when they have gone.
func TestLiveCounts(t *testing.T) {
	t.Parallel()
	s := start(t, setup{admin: true, sites: `
http://:{$HTTP} {
	httpout {
		hmode source
		input up
	}
	httpout {
		input up
		maxc 3
		maxp 0
	}
}
`})
	up := beginLive(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/live.bin"), s.url("HTTP", "/live.bin"))
	var all []*follower
	for range 3 {
		all = append(all, follow(t, newClient(t, plain), s.url("HTTP", "/live.bin")))
	}
	get := func() int { return do(t, newClient(t, plain), http.MethodHead, s.url("HTTP", "/live.bin"), "").status }
	equal(t, "one more", get(), http.StatusServiceUnavailable)
	all[1].cancel() // noticed without anything being written
	await(t, wait, "a free place", func() error {
		if status := get(); status != http.StatusOK {
			return fmt.Errorf("got status %d", status)
		}
		return nil
	})
	up.write("more")
	all[0].want("more")
	equal(t, "status", up.finish().status, http.StatusCreated)
	all[2].wantEnd("more")
}

// TestLiveLeavesNothing opens and closes clients in all ways, and counts
// goroutines and files.
func TestLiveLeavesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, setup{admin: true, sites: relay})
	round := func() {
		for _, p := range protocols {
			var clients []*http.Client
			client := func() *http.Client {
				c := newClient(t, p)
				clients = append(clients, c)
				return c
			}
			up := beginLive(t, client(), http.MethodPut, s.url(p.port, "/live.bin"), s.url("HTTP", "/live.bin"))
			var all []*follower
			for range 4 {
				all = append(all, follow(t, client(), s.url(p.port, "/live.bin")))
			}
			up.write("y")
			all[0].want("y")
			all[1].cancel()
			up.write("z")
			all[2].want("yz")
			if p == h2 {
				up.abort()
				all[2].wantAbort()
			} else {
				up.finish()
				all[2].wantEnd("")
			}
			all[0].cancel()
			all[3].cancel()
			for _, c := range clients {
				c.CloseIdleConnections()
			}
		}
	}
	for range 2 {
		round()
	}
	goroutines, files := s.settled(t, 0, 0)
	for range 10 {
		round()
	}
	s.settled(t, goroutines+3, files+1)
}
