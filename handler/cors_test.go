package handler

import (
	"net/http"
	"slices"
	"testing"
)

func TestCORSOfEveryResponse(t *testing.T) {
	const origin = "https://example.com"
	for _, tc := range []struct {
		name, cors string
		origin     string
		allow      string // Access-Control-Allow-Origin
		vary       bool
	}{
		{"off", "off", origin, "", false},
		{"off, no origin", "off", "", "", false},
		{"auto", "auto", origin, origin, true},
		{"auto, no origin", "auto", "", "", true}, // the answer would be another with one
		{"default", "", origin, origin, true},
		{"on", "on", origin, origin, true},
		{"on, no origin", "on", "", "*", true},
		{"opaque origin", "auto", "null", "null", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var header []string
			if tc.origin != "" {
				header = []string{"Origin: " + tc.origin}
			}
			eachAnswer(t, func(o *Options) { o.CORS = tc.cors }, func(what string, r reply) {
				exposed := ""
				if tc.allow != "" {
					exposed = "*"
				}
				wantHeader(t, what, r.header, "Access-Control-Allow-Origin: "+tc.allow, "Access-Control-Expose-Headers: "+exposed,
					"Access-Control-Allow-Methods:", "Access-Control-Max-Age:")
				equal(t, what+": Vary has Origin", varies(r.header, "Origin"), tc.vary)
			}, header...)
		})
	}
}

// varies tells whether a response depends on a header field of the request.
func varies(h http.Header, on string) bool {
	return slices.Contains(h.Values("Vary"), on)
}

func TestPreflight(t *testing.T) {
	// a preflight has no credentials, and the upload comes after it
	s := newSite(t, Options{ReadDirs: []string{"rules.ini"}, Users: "users", Headers: http.Header{"X-Custom": {"one"}}}, map[string]string{
		"rules.ini": "[www]\nru=bob\nwu=bob\n", "users": "", "www/a": "a",
	})
	asks := []string{"Origin: https://example.com", "Access-Control-Request-Method: PUT"}
	for _, path := range []string{"/a", "/missing", "/", "/a/../../b", "/.httpout-ABCDEFGHIJKLMNOP.tmp"} {
		r := s.do(http.MethodOptions, path, "", asks...)
		wantReply(t, path, r, http.StatusNoContent, "")
		wantHeader(t, path, r.header,
			"Access-Control-Allow-Origin: https://example.com", "Access-Control-Allow-Methods: "+allMethods,
			"Access-Control-Allow-Headers:", "Access-Control-Max-Age: 7200", "Vary: Origin", "WWW-Authenticate:",
			"Content-Length:", "X-Custom: one")
	}

	r := s.do(http.MethodOptions, "/a", "", append(asks, "Access-Control-Request-Headers: content-range, x-one", "Access-Control-Request-Headers: x-two")...)
	wantHeader(t, "with header fields", r.header, "Access-Control-Allow-Headers: content-range, x-one, x-two",
		"Vary: Origin, Access-Control-Request-Headers")

	for _, tc := range []struct {
		name   string
		cors   string
		header []string
		status int
	}{
		{"no method asked for", "auto", asks[:1], http.StatusUnauthorized},
		{"no origin", "auto", asks[1:], http.StatusUnauthorized},
		{"CORS is off", "off", asks, http.StatusUnauthorized},
	} {
		s.opts.CORS = tc.cors
		wantStatus(t, tc.name, s.do(http.MethodOptions, "/a", "", tc.header...), tc.status)
	}

	s.opts.CORS = "auto"
	one := 1
	s.maxConns, s.maxPeerConns = one, one
	first := s.connect(t)
	wantStatus(t, "connection that takes the only seat", s.serve(newRequest(http.MethodOptions, "/a", "").WithContext(first)), http.StatusUnauthorized)
	full := newRequest(http.MethodOptions, "/a", "", asks...)
	wantStatus(t, "when no connection is free", s.serve(full.WithContext(s.connect(t))), http.StatusNoContent)
}
