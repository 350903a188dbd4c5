package handler

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// discard is a response that nobody reads.
type discard struct {
	header http.Header
	status int
	n      int
}

func (d *discard) Header() http.Header { return d.header }

func (d *discard) Write(p []byte) (int, error) { d.n += len(p); return len(p), nil }

func (d *discard) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{d}, r) }

func (d *discard) WriteHeader(status int) { d.status = status }

// BenchmarkServeHTTP is what a request costs apart from Caddy and the network.
// What Caddy prepares for each is not counted.
func BenchmarkServeHTTP(b *testing.B) {
	s := newSite(b, readWrite, map[string]string{
		"www/1k.m4s": string(noise(1 << 10)), "www/64k.m4s": string(noise(64 << 10)), "www/10k.mpd": strings.Repeat("<Period/>\n", 1000),
	})
	tag := s.get("/1k.m4s").header.Get("ETag")
	for _, bc := range []struct {
		name, target string
		header       []string
		status       int
		bytes        int
	}{
		{"1 KiB", "/1k.m4s", nil, 200, 1 << 10},
		{"64 KiB", "/64k.m4s", nil, 200, 64 << 10},
		{"range", "/64k.m4s", []string{"Range: bytes=1000-1999"}, 206, 1000},
		{"not modified", "/1k.m4s", []string{"If-None-Match: " + tag}, 304, 0},
		{"compressed", "/10k.mpd", []string{"Accept-Encoding: gzip"}, 200, -1},
		{"missing", "/missing", nil, 404, -1},
	} {
		b.Run(bc.name, func(b *testing.B) {
			h := &Handler{srv: s.Server}
			w := &discard{header: make(http.Header)}
			r := newRequest(http.MethodGet, bc.target, "", bc.header...)
			r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))
			r = r.WithContext(s.state.conns.begin(r.Context(), nil))
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				w.n = 0
				if err := h.ServeHTTP(w, r, nil); err != nil {
					b.Fatal(err)
				}
			}
			equal(b, "status", w.status, bc.status)
			if bc.bytes >= 0 {
				equal(b, "bytes", w.n, bc.bytes)
			}
		})
	}
}

// BenchmarkPut is an upload of 1 KiB that replaces a file.
func BenchmarkPut(b *testing.B) {
	s := newSite(b, readWrite, nil)
	h := &Handler{srv: s.Server}
	w := &discard{header: make(http.Header)}
	content := string(noise(1 << 10))
	r := newRequest(http.MethodPut, "/a.m4s", content)
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))
	r = r.WithContext(s.state.conns.begin(r.Context(), nil))
	body := strings.NewReader(content)
	r.Body = io.NopCloser(body)
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		body.Reset(content)
		if err := h.ServeHTTP(w, r, nil); err != nil || w.status >= 300 {
			b.Fatalf("got %d, %v, want a stored file", w.status, err)
		}
	}
}
