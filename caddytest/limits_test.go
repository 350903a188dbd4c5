package caddytest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestConnectionLimits opens more connections than maxc and maxp allow.
func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, options string
		limit         int
		status        int
		option        string
	}{
		{"server", "maxc 3\n\t\t\tmaxp 0", 3, http.StatusServiceUnavailable, "maxc"},
		{"peer", "maxc 0\n\t\t\tmaxp 3", 3, http.StatusTooManyRequests, "maxp"},
		{"peer before server", "maxc 4\n\t\t\tmaxp 3", 3, http.StatusTooManyRequests, "maxp"},
		{"default", "", 6, http.StatusTooManyRequests, "maxp"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, setup{
				global: `
	httpout {
		server both {
			rdirs {$ROOT}
			` + tc.options + `
		}
	}
`,
				sites: `
http://:{$HTTP} https://localhost:{$HTTPS} {
	httpout {
		server both
	}
}
`,
				files: map[string]string{"f": "text"},
			})
			get := func(c *rawConn) *reply {
				t.Helper()
				c.send("GET /f HTTP/1.1\r\nHost: localhost\r\n\r\n")
				return c.want("GET")
			}
			var open []*rawConn
			for range tc.limit {
				c := dial(t, s.addr("HTTP"))
				wantReply(t, "within the limit", get(c), http.StatusOK, "text")
				open = append(open, c)
			}
			for range 3 {
				c := dial(t, s.addr("HTTP"))
				r := get(c)
				equal(t, "status beyond the limit", r.status, tc.status)
				equal(t, "Connection beyond the limit", r.header.Get("Connection"), "close")
				if r.header.Get("Retry-After") == "" {
					t.Error("Retry-After: got none")
				}
				c.wantEOF()
			}
			if !s.logs.wait(wait, 0, `"logger":"http.handlers.httpout"`, tc.option) {
				t.Errorf("got no log line that names %s", tc.option)
			}
			wantReply(t, "an open one goes on", get(open[0]), http.StatusOK, "text")

			// HTTP/2 and HTTP/3 connections count, too
			for _, p := range []protocol{h2, h3} {
				r := do(t, newClient(t, p), http.MethodGet, s.url("HTTPS", "/f"), "")
				equal(t, "status beyond the limit on "+p.name, r.status, tc.status)
			}

			open[1].Close()
			await(t, wait, "a place to be free", func() error {
				c := dial(t, s.addr("HTTP"))
				defer c.Close()
				if r := get(c); r.status != http.StatusOK {
					return fmt.Errorf("got status %d", r.status)
				}
				return nil
			})
		})
	}
}

// TestStreamsAreNotConnections opens many streams on one HTTP/2 or HTTP/3
// connection, and only a few of those on HTTP/1.
func TestStreamsAreNotConnections(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		global: `
	httpout {
		server both {
			rdirs {$ROOT}
			wdir {$ROOT}
			maxp 4
			maxc 4
		}
	}
`,
		sites: `
http://:{$HTTP} https://localhost:{$HTTPS} {
	httpout {
		server both
	}
}
`,
	})
	up := begin(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/live.bin")) // the first
	up.write("hello")
	for _, p := range []protocol{h2, h3} {
		c := newClient(t, p) // the second, the third
		for range 20 {
			follow(t, c, s.url("HTTPS", "/live.bin")).want("hello")
		}
		r := do(t, c, http.MethodPut, s.url("HTTPS", "/other.bin"), "x")
		if r.status >= 300 {
			t.Errorf("PUT on %s: got status %d", p.name, r.status)
		}
	}
	follow(t, newClient(t, plain), s.url("HTTP", "/live.bin")).want("hello") // the fourth
	r := raw(t, s.addr("HTTP"), "GET /live.bin HTTP/1.1\n\n")
	if r.status != http.StatusServiceUnavailable && r.status != http.StatusTooManyRequests {
		t.Errorf("status of the fifth connection: got %d, want 503 or 429", r.status)
	}
	up.write("!")
	equal(t, "status", up.finish().status, http.StatusCreated)
}

// TestIdleConnections checks that idle connections are closed after the timeout,
// that clients are told, and that connections in use are not closed.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		timeout 1s
		maxp 0
	}
}
http://:{$FOREVER} {
	httpout {
		rdirs {$ROOT}
		timeout 0
	}
}
`,
		files: map[string]string{"f": "text"},
	})
	t.Run("idle", func(t *testing.T) {
		c := dial(t, s.addr("HTTP"))
		c.send("GET /f HTTP/1.1\r\nHost: x\r\n\r\n")
		r := c.want("GET")
		equal(t, "Keep-Alive", r.header.Get("Keep-Alive"), "timeout=1")
		begin := time.Now()
		c.wantEOF()
		if took := time.Since(begin); took < 500*time.Millisecond || took > 10*time.Second {
			t.Errorf("closed after %v, want about 1 s", took)
		}
	})
	t.Run("not announced when closed", func(t *testing.T) {
		r := raw(t, s.addr("HTTP"), "GET /f HTTP/1.1\nConnection: close\n\n")
		equal(t, "Keep-Alive", r.header.Get("Keep-Alive"), "")
	})
	t.Run("no timeout", func(t *testing.T) {
		c := dial(t, s.addr("FOREVER"))
		c.send("GET /f HTTP/1.1\r\nHost: x\r\n\r\n")
		equal(t, "Keep-Alive", c.want("GET").header.Get("Keep-Alive"), "")
	})
	t.Run("live client", func(t *testing.T) {
		// an upload that goes on, and a reader that only waits for it
		up := begin(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/live.bin"))
		f := follow(t, newClient(t, plain), s.url("HTTP", "/live.bin"))
		tick := time.NewTicker(600 * time.Millisecond)
		defer tick.Stop()
		for i := range 6 {
			<-tick.C // the pace of the client
			up.write(fmt.Sprint(i))
			f.want(fmt.Sprint(i))
		}
		equal(t, "status", up.finish().status, http.StatusCreated)
		f.wantEnd("")
	})
}

// TestPausedUpload lowers Caddy's own idle timeout below ours: an upload may
// pause for as long as ours says.
func TestPausedUpload(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		global: `
	servers {
		timeouts {
			read_body_idle 1s
			write_idle 1s
		}
	}
`,
		sites: `
http://:{$HTTP} https://localhost:{$HTTPS} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		timeout 20s
		maxp 0
	}
}
`,
	})
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			path := "/" + p.name + ".bin"
			up := begin(t, newClient(t, p), http.MethodPut, s.url(p.port, path))
			up.write("one")
			f := follow(t, newClient(t, p), s.url(p.port, path))
			f.want("one")
			<-time.After(3 * time.Second) // the pause of the client
			up.write("two")
			f.want("two")
			equal(t, "status", up.finish().status, http.StatusCreated)
			f.wantEnd("")
			s.wantFile(t, path, "onetwo")
		})
	}
}

// TestClientErrors makes mistakes on a connection until it is closed.
func TestClientErrors(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		max_client_errors 3
	}
}
http://:{$NEVER} {
	httpout {
		rdirs {$ROOT}
		max_client_errors 0
	}
}
http://:{$CLOSE} {
	httpout {
		rdirs {$ROOT}
		close
	}
}
`,
		files: map[string]string{"f": "text"},
	})
	get := func(c *rawConn, path string, status int, connection string) {
		t.Helper()
		c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		r := c.want("GET")
		equal(t, "status", r.status, status)
		equal(t, "Connection", r.header.Get("Connection"), connection)
	}
	c := dial(t, s.addr("HTTP"))
	get(c, "/none", 404, "")
	get(c, "/none", 404, "")
	get(c, "/f", 200, "") // they must be consecutive
	get(c, "/none", 404, "")
	get(c, "/none", 404, "")
	get(c, "/none", 404, "close")
	c.wantEOF()

	c = dial(t, s.addr("NEVER"))
	for range 30 {
		get(c, "/none", 404, "")
	}
	get(c, "/f", 200, "")

	c = dial(t, s.addr("CLOSE"))
	get(c, "/f", 200, "close")
	c.wantEOF()
}

// TestRequestLog checks the lines that reqlog asks for.
func TestRequestLog(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		reqlog GET,PUT,REC
	}
}
http://:{$ALL} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		reqlog *
	}
}
http://:{$STARTS} {
	httpout {
		rdirs {$ROOT}
		reqlog -GET
	}
}
http://:{$NONE} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
	}
}
`,
		files: map[string]string{"f": content},
	})
	// lines returns what is logged, but for the requests that mark the end
	lines := func(request string, port string) []map[string]any {
		t.Helper()
		from := s.logs.size()
		raw(t, s.addr(port), request)
		// lines of requests on one port come in order, so a marker ends them
		marker := fmt.Sprintf("/marker-%d", from)
		raw(t, s.addr("ALL"), "GET "+marker+" HTTP/1.1\n\n")
		if !s.logs.wait(wait, from, marker, `"status"`) {
			t.Fatal("the marker was not logged")
		}
		var all []map[string]any
		for line := range strings.Lines(s.logs.since(from)) {
			var fields map[string]any
			if json.Unmarshal([]byte(line), &fields) == nil && fields["logger"] == "http.handlers.httpout" && fields["path"] != marker {
				all = append(all, fields)
			}
		}
		return all
	}
	for _, tc := range []struct {
		name, request, port string
		want                []string // the fields that matter, of each line
	}{
		{
			"GET", "GET /f HTTP/1.1\nRange: bytes=0-3\n\n", "HTTP",
			[]string{"info GET /f bytes=0-3", "info GET /f 206 4"},
		},
		{"HEAD is not asked for", "HEAD /f HTTP/1.1\n\n", "HTTP", nil},
		{
			"PUT and its file", "PUT /new HTTP/1.1\nTransfer-Encoding: chunked\n\n" + chunked("hello"), "HTTP",
			[]string{"info PUT /new chunked", "info file opened /new", "info file closed /new", "info PUT /new 201"},
		},
		{"DELETE is not asked for, its file is", "DELETE /new HTTP/1.1\n\n", "HTTP", []string{"info file deleted /new"}},
		{"all", "HEAD /f HTTP/1.1\n\n", "ALL", []string{"info HEAD /f", "info HEAD /f 200"}},
		{"all but files", "PUT /g HTTP/1.1\nContent-Length: 1\n\nx", "ALL", []string{"info PUT /g", "info PUT /g 201"}},
		{"an error", "GET /none HTTP/1.1\n\n", "ALL", []string{"info GET /none", "info GET /none 404"}},
		{"starts alone", "GET /f HTTP/1.1\n\n", "STARTS", []string{"info GET /f"}},
		{"none", "GET /f HTTP/1.1\n\n", "NONE", nil},
		{"none for files", "PUT /h HTTP/1.1\nContent-Length: 1\n\nx", "NONE", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			ids := make(map[any]bool)
			for _, f := range lines(tc.request, tc.port) {
				text := fmt.Sprint(f["level"])
				method := fmt.Sprint(f["method"])
				_, end := f["status"]
				switch {
				case f["method"] == nil:
					text += fmt.Sprintf(" %v %v", f["msg"], f["path"])
				case end:
					text += fmt.Sprintf(" %s %v %v", method, f["path"], f["status"])
					if f["range"] != nil || strings.HasPrefix(tc.request, "GET /f HTTP/1.1\nRange") {
						text += fmt.Sprintf(" %v", f["bytes"])
					}
					if f["duration"] == nil {
						t.Error("the end line has no duration")
					}
				default:
					text += fmt.Sprintf(" %s %v", method, f["path"])
					if v, ok := f["range"].(string); ok && v != "" {
						text += " " + v
					}
					if f["chunked"] == true {
						text += " chunked"
					}
				}
				if method != "<nil>" {
					ids[f["id"]] = true
					if ip := fmt.Sprint(f["client_ip"]); net.ParseIP(ip) == nil {
						t.Errorf("client_ip: got %q", ip)
					}
				}
				got = append(got, text)
			}
			equal(t, "lines", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			if len(ids) > 1 {
				t.Errorf("id: got %v in the lines of one request", ids)
			}
		})
	}
}

// TestSlowReaderIsDropped reads a large file and an upload without taking the
// data: after the timeout the connection is closed, and nobody else is held up.
func TestSlowReaderIsDropped(t *testing.T) {
	t.Parallel()
	large := pattern(1, 30_000_000)
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		timeout 2s
		maxs 0
		maxp 0
	}
}
`,
		files: map[string]string{"large.bin": large},
	})
	stuck := func(path string) *rawConn {
		c := dial(t, s.addr("HTTP"))
		c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		return c
	}
	// read sees how a response ends that was not read for a while
	read := func(c *rawConn) {
		t.Helper()
		c.SetDeadline(time.Now().Add(wait))
		var n int64
		resp, err := http.ReadResponse(c.rd, nil)
		if err == nil {
			n, err = io.Copy(io.Discard, resp.Body)
		}
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %d bytes (%v), want the connection to be closed", n, err)
		}
	}
	file := stuck("/large.bin")
	up := begin(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/up.bin"))
	up.write("x")
	follow(t, newClient(t, plain), s.url("HTTP", "/up.bin")).want("x")
	live := stuck("/up.bin")
	begin := time.Now()
	for part := range 30 {
		up.write(large[part*1_000_000 : (part+1)*1_000_000])
	}
	equal(t, "status", up.finish().status, http.StatusCreated)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the upload took %v", took)
	}
	s.wantFile(t, "up.bin", "x"+large)
	<-time.After(4 * time.Second) // in which the clients take nothing
	read(file)
	read(live)
}
