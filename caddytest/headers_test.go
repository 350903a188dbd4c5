package caddytest_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestHeaders checks the fields that options put into responses.
func TestHeaders(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
	}
}
http://:{$CORS} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		cors on
	}
}
http://:{$NOCORS} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		cors off
	}
}
http://:{$OWN} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		sutc
		cache_control "max-age=7"
		user_agent "origin/1"
		hdrs X-One 1 X-Path {http.request.uri.path} Content-Type text/own
	}
}
http://:{$UNCACHED} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		cache_control none
	}
}
http://:{$ERRORS} {
	httpout {
		rdirs {$ROOT}
		hdrs X-One 1
		cors on
	}
	handle_errors {
		respond "sorry: {err.status_code}"
	}
}
http://:{$NEXT} {
	route {
		httpout {
			rdirs {$ROOT}
			pass_thru
		}
		respond "next" 202
	}
}
`,
		files: map[string]string{"f": "text", "dir/x": "x"},
	})
	const origin = "Origin: https://player.example\n"
	for _, tc := range []struct {
		name, port, request string
		status              int
		want                []string // "Name: value" that is there, "Name:" that is not, "Name~ pattern"
	}{
		{"no origin", "HTTP", "GET /f HTTP/1.1\n\n", 200, []string{"Access-Control-Allow-Origin:", "Vary~ Origin", "Server: Caddy", "Cache-Control:", "Server-UTC:"}},
		{"origin", "HTTP", "GET /f HTTP/1.1\n" + origin + "\n", 200, []string{"Access-Control-Allow-Origin: https://player.example", "Vary~ Origin", "Access-Control-Expose-Headers~ [*]|Content-Range"}},
		{"origin, error", "HTTP", "GET /none HTTP/1.1\n" + origin + "\n", 404, []string{"Access-Control-Allow-Origin: https://player.example", "Vary~ Origin"}},
		{"origin, PUT", "HTTP", "PUT /g HTTP/1.1\n" + origin + "Content-Length: 1\n\nx", 201, []string{"Access-Control-Allow-Origin: https://player.example"}},
		{"origin, not modified", "HTTP", "GET /f HTTP/1.1\n" + origin + "If-None-Match: *\n\n", 304, []string{"Access-Control-Allow-Origin: https://player.example", "Vary~ Origin"}},
		{
			"preflight", "HTTP", "OPTIONS /f HTTP/1.1\n" + origin + "Access-Control-Request-Method: PUT\nAccess-Control-Request-Headers: x-a, range\n\n", 204,
			[]string{"Access-Control-Allow-Origin: https://player.example", "Access-Control-Allow-Methods~ PUT", "Access-Control-Allow-Headers~ x-a", "Access-Control-Max-Age~ [0-9]+"},
		},
		{"always", "CORS", "GET /f HTTP/1.1\n\n", 200, []string{"Access-Control-Allow-Origin: *"}},
		{"always, origin", "CORS", "GET /f HTTP/1.1\n" + origin + "\n", 200, []string{"Access-Control-Allow-Origin: https://player.example"}},
		{"never", "NOCORS", "GET /f HTTP/1.1\n" + origin + "\n", 200, []string{"Access-Control-Allow-Origin:", "Vary: Accept-Encoding"}},
		{"never, preflight", "NOCORS", "OPTIONS /f HTTP/1.1\n" + origin + "Access-Control-Request-Method: PUT\n\n", 200, []string{"Access-Control-Allow-Origin:", "Access-Control-Allow-Methods:"}},

		{"own", "OWN", "GET /f HTTP/1.1\n\n", 200, []string{"Server-UTC~ ^[0-9]{13}$", "Cache-Control: max-age=7", "Server: origin/1", "X-One: 1", "X-Path: /f", "Content-Type: text/own", "ETag~ .", "Last-Modified~ ."}},
		{"own, range", "OWN", "GET /f HTTP/1.1\nRange: bytes=0-0\n\n", 206, []string{"Cache-Control: max-age=7", "X-One: 1"}},
		{"own, not modified", "OWN", "GET /f HTTP/1.1\nIf-None-Match: *\n\n", 304, []string{"Cache-Control: max-age=7", "ETag~ .", "X-One: 1"}},
		{"own, error", "OWN", "GET /none HTTP/1.1\n\n", 404, []string{"Server-UTC~ ^[0-9]{13}$", "Cache-Control:", "Server: origin/1", "X-One: 1", "X-Path: /none"}},
		{"own, PUT", "OWN", "PUT /g HTTP/1.1\nContent-Length: 1\n\nx", 200, []string{"X-One: 1", "Cache-Control:"}},
		{"own, OPTIONS", "OWN", "OPTIONS /g HTTP/1.1\n\n", 200, []string{"X-One: 1"}},
		{"own, not allowed", "OWN", "SOURCE /g HTTP/1.1\n\n", 405, []string{"X-One: 1", "Allow~ GET"}},
		{"uncached", "UNCACHED", "GET /f HTTP/1.1\n\n", 200, []string{"Cache-Control:", "ETag:", "Last-Modified~ ."}},
		{"error routes", "ERRORS", "GET /none HTTP/1.1\n\n", 404, []string{"X-One: 1", "Access-Control-Allow-Origin: *"}},
		{"error routes, not allowed", "ERRORS", "PUT /none HTTP/1.1\nContent-Length: 0\n\n", 405, []string{"X-One: 1", "Allow~ GET"}},
		{"passed on", "NEXT", "GET /none HTTP/1.1\n\n", 202, nil},
		{"not passed on", "NEXT", "GET /f HTTP/1.1\n\n", 200, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := raw(t, s.addr(tc.port), tc.request)
			equal(t, "status", r.status, tc.status)
			for _, line := range tc.want {
				name := line[:strings.IndexAny(line, ":~")]
				got := strings.Join(r.header.Values(name), ", ")
				if pattern, ok := strings.CutPrefix(line, name+"~ "); ok {
					if !regexp.MustCompile(pattern).MatchString(got) {
						t.Errorf("%s: got %q, want it to match %q", name, got, pattern)
					}
					continue
				}
				equal(t, name, got, strings.TrimPrefix(strings.TrimPrefix(line, name+":"), " "))
			}
			if tc.port == "ERRORS" {
				contains(t, "body", r.body, "sorry: ")
			}
		})
	}
}

// TestCompression asks for files in the encodings that there are.
func TestCompression(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("all work and no play makes jack a dull boy\n", 500)
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		zmax 30k
		maxp 0
	}
}
http://:{$OFF} {
	httpout {
		rdirs {$ROOT}
		zmax 0
	}
}
`,
		files: map[string]string{
			"f.txt": text, "large.txt": text + text, "f.mpd": text, "f.mp4": text, "unknown": text, "binary": "\x00\x01\x81\xff" + text, "tiny.txt": "x",
		},
	})
	for _, tc := range []struct {
		name, port, path, header string
		encoding                 string
	}{
		{"gzip", "HTTP", "/f.txt", "Accept-Encoding: gzip", "gzip"},
		{"zstd", "HTTP", "/f.txt", "Accept-Encoding: zstd", "zstd"},
		{"deflate", "HTTP", "/f.txt", "Accept-Encoding: deflate", "deflate"},
		{"the best", "HTTP", "/f.txt", "Accept-Encoding: gzip, deflate, zstd, br", "zstd"},
		{"preferred", "HTTP", "/f.txt", "Accept-Encoding: zstd;q=0.5, gzip", "gzip"},
		{"refused", "HTTP", "/f.txt", "Accept-Encoding: gzip;q=0", ""},
		{"any", "HTTP", "/f.txt", "Accept-Encoding: *", "zstd"},
		{"none", "HTTP", "/f.txt", "X: y", ""},
		{"identity", "HTTP", "/f.txt", "Accept-Encoding: identity", ""},
		{"unknown", "HTTP", "/f.txt", "Accept-Encoding: br", ""},
		{"manifest", "HTTP", "/f.mpd", "Accept-Encoding: gzip", "gzip"},
		{"UTF-8 of unknown type", "HTTP", "/unknown", "Accept-Encoding: gzip", "gzip"},
		{"media", "HTTP", "/f.mp4", "Accept-Encoding: gzip", ""},
		{"not text", "HTTP", "/binary", "Accept-Encoding: gzip", ""},
		{"too large", "HTTP", "/large.txt", "Accept-Encoding: gzip", ""},
		{"not smaller", "HTTP", "/tiny.txt", "Accept-Encoding: gzip", ""},
		{"range", "HTTP", "/f.txt", "Accept-Encoding: gzip\nRange: bytes=0-9", ""},
		{"off", "OFF", "/f.txt", "Accept-Encoding: gzip", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := raw(t, s.addr(tc.port), "GET "+tc.path+" HTTP/1.1\n"+tc.header+"\n\n")
			equal(t, "Content-Encoding", r.header.Get("Content-Encoding"), tc.encoding)
			plain := raw(t, s.addr(tc.port), "GET "+tc.path+" HTTP/1.1\n\n")
			want := plain.body
			if r.status == http.StatusPartialContent {
				want = want[:10]
			}
			body, err := decode(tc.encoding, r.body)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "body", body, want)
			if tc.encoding == "" {
				equal(t, "ETag", r.header.Get("ETag"), plain.header.Get("ETag"))
				return
			}
			if len(r.body) >= len(want) {
				t.Errorf("got %d bytes, want fewer than %d", len(r.body), len(want))
			}
			contains(t, "Vary", strings.Join(r.header.Values("Vary"), ", "), "Accept-Encoding")
			etag := r.header.Get("ETag")
			if etag == plain.header.Get("ETag") || etag == "" || strings.HasPrefix(etag, "W/") {
				t.Errorf("ETag: got %q, want a strong one that is not %q", etag, plain.header.Get("ETag"))
			}
			again := raw(t, s.addr(tc.port), "GET "+tc.path+" HTTP/1.1\n"+tc.header+"\nIf-None-Match: "+etag+"\n\n")
			equal(t, "status with the same ETag", again.status, http.StatusNotModified)
			head := raw(t, s.addr(tc.port), "HEAD "+tc.path+" HTTP/1.1\n"+tc.header+"\n\n")
			equal(t, "Content-Length of HEAD", head.header.Get("Content-Length"), r.header.Get("Content-Length"))
			equal(t, "ETag of HEAD", head.header.Get("ETag"), etag)
		})
	}
	t.Run("a new version", func(t *testing.T) {
		c := newClient(t, plain)
		for _, version := range []string{"one ", "two "} {
			equal(t, "status", do(t, c, http.MethodPut, s.url("HTTP", "/f.txt"), strings.Repeat(version, 1000)).status, http.StatusOK)
			r := do(t, c, http.MethodGet, s.url("HTTP", "/f.txt"), "", "Accept-Encoding: gzip")
			body, err := decode(r.header.Get("Content-Encoding"), r.body)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "body", body, strings.Repeat(version, 1000))
		}
	})
}

// decode undoes a content encoding.
func decode(encoding, body string) (string, error) {
	var rd io.Reader = strings.NewReader(body)
	var err error
	switch encoding {
	case "gzip":
		rd, err = gzip.NewReader(rd)
	case "zstd":
		rd, err = zstd.NewReader(rd)
	case "deflate":
		// it ought to be the zlib format, but not everybody means that
		if rd, err = zlib.NewReader(rd); err != nil {
			rd, err = flate.NewReader(strings.NewReader(body)), nil
		}
	}
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	_, err = io.Copy(&out, rd)
	return out.String(), err
}
