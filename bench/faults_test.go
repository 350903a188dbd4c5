//go:build linux

package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// testPeer runs a server of ours, sound or not, as a peer inside this process.
func testPeer(t *testing.T, h http.Handler) (*bench, *peer) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = nil
	srv.Start()
	t.Cleanup(srv.CloseClientConnections)
	addr := netip.MustParseAddrPort(srv.Listener.Addr().(*net.TCPAddr).String())
	b := &bench{
		rounds: 1, dur: 150 * time.Millisecond, warm: 30 * time.Millisecond, live: 400 * time.Millisecond,
		mss: 1448, client: newClient(),
	}
	return b, &peer{name: "test", addr: addr, live: addr, putPath: "/"}
}

// spoiler changes what a handler writes.
type spoiler struct {
	http.ResponseWriter
	spoil func(p []byte) []byte
}

func (s spoiler) Write(p []byte) (int, error) {
	_, err := s.ResponseWriter.Write(s.spoil(append([]byte(nil), p...)))
	return len(p), err
}
func (s spoiler) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func flipSometimes(chance float64) func([]byte) []byte {
	return func(p []byte) []byte {
		if rand.Float64() < chance && len(p) > 0 {
			p[rand.IntN(len(p))] ^= 1
		}
		return p
	}
}

func TestGetLoad(t *testing.T) {
	dir := t.TempDir()
	f := servedFiles(1 << 30)[1]
	if err := writeFile(filepath.Join(dir, f.name), f.id, f.size); err != nil {
		t.Fatal(err)
	}
	load := getLoad{
		method: "GET", path: "/" + f.name, conns: 2, status: 200,
		check: func(r *http.Response) error { return checkFile(r, f) }, sampled: true, bodyID: f.id,
	}
	sound := newFloor(dir)
	var served atomic.Int64
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		change  func(*getLoad)
		minP50  time.Duration
		wantErr string
	}{
		{name: "sound", handler: sound.ServeHTTP},
		{name: "slow", minP50: 30 * time.Millisecond, handler: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(30 * time.Millisecond)
			sound.ServeHTTP(w, r)
		}},
		{name: "corrupt now and then", wantErr: "of the body is wrong", handler: func(w http.ResponseWriter, r *http.Request) {
			if served.Add(1) > 2 {
				w = spoiler{w, flipSometimes(0.1)}
			}
			sound.ServeHTTP(w, r)
		}},
		{
			name: "corrupt always, not sampled", wantErr: "is wrong", change: func(g *getLoad) { g.sampled = false },
			handler: func(w http.ResponseWriter, r *http.Request) { sound.ServeHTTP(spoiler{w, flipSometimes(1)}, r) },
		},
		{
			name: "short", wantErr: "EOF", change: func(g *getLoad) { g.check = nil },
			handler: func(w http.ResponseWriter, r *http.Request) {
				sound.ServeHTTP(spoiler{w, func(p []byte) []byte { return p[:len(p)/2] }}, r)
			},
		},
		{
			name: "another size", wantErr: "bytes, want", change: func(g *getLoad) { g.check, g.sampled = nil, false },
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.Write(make([]byte, 100+rand.IntN(50)))
			},
		},
		{name: "errors under load", wantErr: "status 503", handler: func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("User-Agent") == "bench" { // the load, not the check
				w.WriteHeader(503)
				return
			}
			sound.ServeHTTP(w, r)
		}},
		{name: "closes", wantErr: "close", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			sound.ServeHTTP(w, r)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, p := testPeer(t, tc.handler)
			g := load
			if tc.change != nil {
				tc.change(&g)
			}
			c, err := g.run(t.Context(), b, p)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("got error %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatalf("unexpected error: %v", err)
			}
			if c.Units < 2 || c.Bytes != c.Units*f.size || c.CPU <= 0 || c.Wall < b.dur.Seconds() || c.Verified == 0 {
				t.Errorf("got %+v", c)
			}
			if got := time.Duration(c.P50 * 1e3); got < tc.minP50 || got > tc.minP50+500*time.Millisecond || c.P99 < c.P50 || c.Max < c.P99 {
				t.Errorf("got p50 %v, p99 %v µs, max %v µs", got, c.P99, c.Max)
			}
		})
	}
}

func TestGetLoadCountsEveryRequest(t *testing.T) {
	dir := t.TempDir()
	f := servedFiles(1 << 30)[0]
	if err := writeFile(filepath.Join(dir, f.name), f.id, f.size); err != nil {
		t.Fatal(err)
	}
	sound := newFloor(dir)
	asked := make(chan time.Time, 1<<20)
	b, p := testPeer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") == "bench" {
			asked <- time.Now()
		}
		sound.ServeHTTP(w, r)
	}))
	b.warm = 0 // one request for each connection
	const conns = 4
	c, err := getLoad{method: "GET", path: "/" + f.name, conns: conns, status: 200, check: func(r *http.Response) error { return checkFile(r, f) }}.run(t.Context(), b, p)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Units+conns, int64(len(asked)); got != want {
		t.Errorf("counted %d requests, the server %d", got, want)
	}
}

func TestPutLoad(t *testing.T) {
	for _, tc := range []struct {
		name    string
		store   func(body []byte) []byte
		delay   time.Duration
		status  int
		wantErr string
	}{
		{name: "sound", store: func(b []byte) []byte { return b }},
		{name: "slow", store: func(b []byte) []byte { return b }, delay: 30 * time.Millisecond},
		{name: "corrupt", store: flipSometimes(0.5), wantErr: "is wrong"},
		{name: "cut", store: func(b []byte) []byte { return b[:len(b)-1] }, wantErr: "want"},
		{name: "not stored", store: func([]byte) []byte { return nil }, wantErr: "no such file"},
		{name: "refused", store: func([]byte) []byte { return nil }, status: 413, wantErr: "status 413"},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(tc.name, func(t *testing.T) {
				dir := t.TempDir()
				b, p := testPeer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					if data := tc.store(body); data != nil {
						os.WriteFile(filepath.Join(dir, filepath.Base(r.URL.Path)), data, 0o644)
					}
					time.Sleep(tc.delay)
					w.WriteHeader(max(tc.status, 201))
				}))
				p.putDir = dir
				c, err := putLoad{workers: 2, size: 2 << 20, chunked: chunked}.run(t.Context(), b, p)
				if tc.wantErr != "" {
					if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
						t.Fatalf("got error %v, want %q", err, tc.wantErr)
					}
					return
				}
				if err != nil {
					t.Fatalf("unexpected error: %v", err)
				}
				if c.Units < 2 || c.Verified != c.Units*(2<<20) || time.Duration(c.P50*1e3) < tc.delay {
					t.Errorf("got %+v", c)
				}
				if left, _ := os.ReadDir(dir); len(left) > 0 {
					t.Errorf("%d files are left", len(left))
				}
			})
		}
	}
}

// slowBody delays what is read from it.
type slowBody struct {
	io.ReadCloser
	delay time.Duration
}

func (s slowBody) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	time.Sleep(s.delay)
	return n, err
}

func TestLiveLoad(t *testing.T) {
	for _, tc := range []struct {
		name    string
		wrap    func(next http.Handler, w http.ResponseWriter, r *http.Request)
		minP50  time.Duration
		wantErr string
	}{
		{name: "sound", wrap: func(next http.Handler, w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) }},
		{name: "slow", minP50: 20 * time.Millisecond, wrap: func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			r.Body = slowBody{r.Body, 20 * time.Millisecond}
			next.ServeHTTP(w, r)
		}},
		{name: "late to know the upload", wrap: func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" && rand.IntN(2) == 0 {
				http.NotFound(w, r)
				return
			}
			next.ServeHTTP(w, r)
		}},
		{name: "corrupt", wantErr: "of the upload is wrong", wrap: func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(spoiler{w, flipSometimes(0.05)}, r)
		}},
		{name: "drops", wantErr: "of the upload is wrong", wrap: func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			n := 0
			next.ServeHTTP(spoiler{w, func(p []byte) []byte {
				if n++; n == 5 {
					return nil
				}
				return p
			}}, r)
		}},
		{name: "ends early", wantErr: "ended after", wrap: func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				w.Write([]byte{})
				return
			}
			next.ServeHTTP(w, r)
		}},
		{name: "aborts readers", wantErr: "EOF", wrap: func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			n := 0
			next.ServeHTTP(spoiler{w, func(p []byte) []byte {
				if n++; n > 5 {
					panic(http.ErrAbortHandler)
				}
				return p
			}}, r)
		}},
		{name: "refuses the upload", wantErr: "status", wrap: func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			next := newFloor(t.TempDir())
			b, p := testPeer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tc.wrap(next, w, r) }))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			c, err := liveLoad{readers: 20, chunk: 25_000, interval: 40 * time.Millisecond}.run(ctx, b, p)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("got error %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatalf("unexpected error: %v", err)
			}
			if c.Units != 20*10 || c.Verified != 20*(10+warmChunks)*25_000 || c.CPU <= 0 {
				t.Errorf("got %+v", c)
			}
			if time.Duration(c.P50*1e3) < tc.minP50 || c.P50 <= 0 {
				t.Errorf("got p50 %v µs, want %v or more", c.P50, tc.minP50)
			}
		})
	}
}

func TestCheckListing(t *testing.T) {
	page := func(n int) string {
		var s strings.Builder
		s.WriteString("<html>")
		for i := range n {
			s.WriteString(`<a href="` + listName(i) + `">` + listName(i) + "</a>\n")
		}
		return s.String() + "</html>"
	}
	for _, tc := range []struct {
		name, kind, body string
		wantErr          string
	}{
		{"whole", "text/html; charset=utf-8", page(listEntries), ""},
		{"one is missing", "text/html", page(listEntries - 1), "9999 of 10000"},
		{"cut", "text/html", strings.TrimSuffix(page(listEntries), "</html>"), "no end"},
		{"not HTML", "application/json", page(listEntries), "content type"},
	} {
		err := checkListing(&http.Response{Header: http.Header{"Content-Type": {tc.kind}}, Body: io.NopCloser(strings.NewReader(tc.body))})
		if (err == nil) != (tc.wantErr == "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
			t.Errorf("%s: got error %v, want %q", tc.name, err, tc.wantErr)
		}
	}
}

func TestCheckRanges(t *testing.T) {
	file := make([]byte, 3*blockSize)
	fill(file, 5, 0)
	parts := [][2]int64{{0, 100}, {blockSize, 100}, {2*blockSize + 7, 100}}
	var concat, multi strings.Builder
	for _, p := range parts {
		concat.Write(file[p[0] : p[0]+p[1]])
		multi.WriteString("--b\r\nContent-Range: x\r\n\r\n" + string(file[p[0]:p[0]+p[1]]) + "\r\n")
	}
	const byteranges = "multipart/byteranges; boundary=b"
	for _, tc := range []struct {
		name, kind, body string
		ok               bool
	}{
		{"concatenated", "video/mp4", concat.String(), true},
		{"concatenated, cut", "video/mp4", concat.String()[:299], false},
		{"concatenated, too long", "video/mp4", concat.String() + "x", false},
		{"multipart", byteranges, multi.String() + "--b--\r\n", true},
		{"multipart, a part is missing", byteranges, multi.String()[:strings.LastIndex(multi.String(), "--b")] + "--b--\r\n", false},
		{"multipart, one more", byteranges, multi.String() + "--b\r\n\r\nx\r\n--b--\r\n", false},
		{"multipart, not ended", byteranges, multi.String(), false},
		{"wrong bytes", "video/mp4", strings.Repeat("x", 300), false},
	} {
		err := checkRanges(&http.Response{Header: http.Header{"Content-Type": {tc.kind}}, Body: io.NopCloser(strings.NewReader(tc.body))}, 5, parts)
		if (err == nil) != tc.ok {
			t.Errorf("%s: got error %v, want ok %v", tc.name, err, tc.ok)
		}
	}
}
