//go:build linux

package main

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// testMount runs a server of ours, sound or not, as a peer with a mount.
func testMount(t *testing.T, h http.Handler) (*bench, *peer) {
	t.Helper()
	b, p := testPeer(t, h)
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.CloseClientConnections)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	p.mount = &mount{
		source: p.live, secure: netip.MustParseAddrPort(srv.Listener.Addr().(*net.TCPAddr).String()),
		path: mountPath, chunked: true, roots: roots,
	}
	return b, p
}

// fromListener says whether a request is one of the load's listeners.
func fromListener(r *http.Request) bool {
	return r.Method == "GET" && r.Header.Get("User-Agent") == "bench"
}

// inWindow has what listeners get spoiled from when the window opens.
func inWindow(spoil func(p []byte) []byte) func(*atomic.Bool, http.Handler, http.ResponseWriter, *http.Request) {
	return func(open *atomic.Bool, next http.Handler, w http.ResponseWriter, r *http.Request) {
		if fromListener(r) {
			w = spoiler{w, func(p []byte) []byte {
				if open.Load() {
					return spoil(p)
				}
				return p
			}}
		}
		next.ServeHTTP(w, r)
	}
}

// every spoils one of n pieces.
func every(n int64, spoil func(p []byte) []byte) func([]byte) []byte {
	var count atomic.Int64
	return func(p []byte) []byte {
		if count.Add(1)%n == 0 {
			return spoil(p)
		}
		return p
	}
}

func drop([]byte) []byte    { return nil }
func half(p []byte) []byte  { return p[:len(p)/2] }
func abort([]byte) []byte   { panic(http.ErrAbortHandler) }
func twice(p []byte) []byte { return append(p, p...) }

// flip changes so many bytes that each packet is hit.
func flip(p []byte) []byte {
	for i := 0; i < len(p); i += packetSize / 2 {
		p[i] ^= 1
	}
	return p
}

func TestFanoutLoad(t *testing.T) {
	const (
		listeners = 20
		rate      = 1_000_000 // 95 packets a second
	)
	passOn := func(_ *atomic.Bool, next http.Handler, w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) }
	var asked atomic.Int64
	for _, tc := range []struct {
		name    string
		wrap    func(open *atomic.Bool, next http.Handler, w http.ResponseWriter, r *http.Request)
		load    fanoutLoad
		minP50  time.Duration
		lost    bool
		cut     int64
		waits   bool // until the deadline
		wantErr string
	}{
		{name: "sound", wrap: passOn},
		{name: "sound, TLS", wrap: passOn, load: fanoutLoad{secure: true}},
		{name: "sound, HTTP/2", wrap: passOn, load: fanoutLoad{secure: true, http2: true}},
		{name: "slow", minP50: 8 * time.Millisecond, wrap: func(_ *atomic.Bool, next http.Handler, w http.ResponseWriter, r *http.Request) {
			r.Body = slowBody{r.Body, 8 * time.Millisecond}
			next.ServeHTTP(w, r)
		}},
		{name: "late to know the stream", wrap: func(_ *atomic.Bool, next http.Handler, w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" && !fromListener(r) && asked.Add(1) < 4 {
				http.NotFound(w, r)
				return
			}
			next.ServeHTTP(w, r)
		}},
		{name: "drops", lost: true, wrap: inWindow(every(7, drop))},
		{name: "drops parts", lost: true, wrap: inWindow(every(7, half))},
		{name: "drops, HTTP/2", lost: true, wrap: inWindow(every(7, drop)), load: fanoutLoad{secure: true, http2: true}},
		{name: "corrupts", wantErr: "got what was not sent", wrap: inWindow(every(3, flip))},
		{name: "corrupts, TLS", wantErr: "got what was not sent", wrap: inWindow(every(3, flip)), load: fanoutLoad{secure: true}},
		{name: "repeats", wantErr: "got what was not sent", wrap: inWindow(every(3, twice))},
		{name: "corrupts always", waits: true, wantErr: "before the load", wrap: func(_ *atomic.Bool, next http.Handler, w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(spoiler{w, flip}, r)
		}},
		{name: "cuts off", lost: true, cut: listeners, wrap: inWindow(abort)},
		{name: "cuts off, HTTP/2", lost: true, cut: listeners, load: fanoutLoad{secure: true, http2: true}, wrap: inWindow(abort)},
		{name: "cuts off at once", wantErr: "the server closed the connection", wrap: func(_ *atomic.Bool, next http.Handler, w http.ResponseWriter, r *http.Request) {
			if fromListener(r) {
				w = spoiler{w, abort}
			}
			next.ServeHTTP(w, r)
		}},
		{name: "ends at once", wantErr: "the server ended the response", wrap: func(_ *atomic.Bool, next http.Handler, w http.ResponseWriter, r *http.Request) {
			if fromListener(r) {
				w.Write([]byte("x"))
				return
			}
			next.ServeHTTP(w, r)
		}},
		{name: "refuses listeners", wantErr: "status 503", wrap: func(_ *atomic.Bool, next http.Handler, w http.ResponseWriter, r *http.Request) {
			if fromListener(r) {
				w.WriteHeader(503)
				return
			}
			next.ServeHTTP(w, r)
		}},
		{name: "says nothing", waits: true, wantErr: "deadline", wrap: func(_ *atomic.Bool, next http.Handler, w http.ResponseWriter, r *http.Request) {
			if fromListener(r) {
				<-r.Context().Done()
				return
			}
			next.ServeHTTP(w, r)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			next := newLiveFloor()
			var open atomic.Bool
			b, p := testMount(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tc.wrap(&open, next, w, r) }))
			p.window = func() func() {
				open.Store(true)
				return func() {}
			}
			limit := time.Minute
			if tc.waits {
				limit = time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			l := tc.load
			l.listeners, l.rate = listeners, rate
			c, err := l.run(ctx, b, p)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("got error %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatalf("unexpected error: %v", err)
			}
			f := c.Fanout
			if f.Due <= 0 || f.Due%(listeners*packetSize) != 0 {
				t.Errorf("%d bytes were due", f.Due)
			}
			if (f.Lost > 0) != tc.lost || f.Cut != tc.cut || c.Verified+f.Lost != f.Due {
				t.Errorf("lost %d of %d bytes, verified %d, cut off %d listeners", f.Lost, f.Due, c.Verified, f.Cut)
			}
			if f.Listeners != listeners || f.Connect <= 0 || c.CPU <= 0 || tc.cut == 0 && c.Bytes <= 0 {
				t.Errorf("got %+v, %+v", c, f)
			}
			if tc.cut == 0 && (c.P50 <= 0 || time.Duration(c.P50*1e3) < tc.minP50 || c.P99 < c.P50 || c.Max < c.P99) {
				t.Errorf("got p50 %v, p99 %v, max %v µs, want %v or more", c.P50, c.P99, c.Max, tc.minP50)
			}
		})
	}
}

// TestFanoutLoadOnProcess has a server in a process of its own, as in a run.
func TestFanoutLoadOnProcess(t *testing.T) {
	b, _ := testPeer(t, http.NotFoundHandler())
	b.dir = t.TempDir()
	for _, l := range []fanoutLoad{
		{listeners: 200, rate: 500_000},
		{listeners: 200, rate: 500_000, secure: true},
		{listeners: 50, rate: 500_000, secure: true, http2: true},
	} {
		p, err := b.startMount(t.Context(), floorHTTP)
		if err != nil {
			t.Fatal(err)
		}
		windows := 0
		p.window = func() func() { return func() { windows++ } }
		c, err := l.run(t.Context(), b, p)
		p.proc.stop()
		if err != nil {
			t.Fatalf("%+v: unexpected error: %v", l, err)
		}
		if f := c.Fanout; windows != 1 || f.Lost != 0 || f.RSS < 1<<10 || c.CPU <= 0 || c.RSS == 0 {
			t.Errorf("%+v: got %+v, %+v", l, c, f)
		}
	}
}
