package caddytest_test

import (
	"net/http"
	"testing"
)

// TestHarness tests the harness itself, with what Caddy has on its own.
func TestHarness(t *testing.T) {
	t.Parallel()
	const sites = `
http://:{$HTTP} https://localhost:{$HTTPS} {
	root {$ROOT}
	file_server
}
`
	s := start(t, setup{sites: sites, files: map[string]string{"a.txt": "hello"}})
	for _, p := range protocols {
		r := do(t, newClient(t, p), http.MethodGet, s.url(p.port, "/a.txt"), "")
		wantReply(t, p.name, r, http.StatusOK, "hello")
		equal(t, p.name+": protocol", r.proto, p.want)
	}
	wantReply(t, "raw", raw(t, s.addr("HTTP"), "GET /a.txt HTTP/1.1\nRange: bytes=1-2\n\n"), http.StatusPartialContent, "el")
	s.stop(t)
	s.restart(t)
	wantReply(t, "after a restart", raw(t, s.addr("HTTP"), "GET /a.txt HTTP/1.0\n\n"), http.StatusOK, "hello")
}
