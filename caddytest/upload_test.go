package caddytest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAbortedUploadResetsReaders aborts an upload that is being followed: no
// reader may take what it got for the whole.
func TestAbortedUploadResetsReaders(t *testing.T) {
	t.Parallel()
	s := start(t, setup{sites: writable, files: map[string]string{"old.bin": "old"}})
	for _, p := range protocols {
		for _, target := range []string{"/old.bin", "/" + p.name + "-new/x.bin"} {
			t.Run(p.name+target, func(t *testing.T) {
				url := s.url(p.port, target)
				up := begin(t, newClient(t, p), http.MethodPut, url)
				up.write(content)
				var readers []*follower
				for _, rp := range protocols {
					var f *follower
					await(t, wait, "the upload to be seen", func() error {
						f = follow(t, newClient(t, rp), s.url(rp.port, target))
						if f.resp.ContentLength >= 0 {
							f.cancel()
							return errors.New("got the old file")
						}
						return nil
					})
					f.want(content)
					readers = append(readers, f)
				}
				curls := make([]*exec.Cmd, 0, 2)
				for _, args := range [][]string{{"--http1.1", s.url("HTTP", target)}, {"--http2", "-k", s.url("HTTPS", target)}} {
					cmd := exec.CommandContext(t.Context(), tool(t, "curl"), append([]string{"-sSN", "-o", "-"}, args...)...)
					out, err := cmd.StdoutPipe()
					if err != nil {
						t.Fatal(err)
					}
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadFull(out, make([]byte, len(content))); err != nil {
						t.Fatalf("curl: %v", err)
					}
					curls = append(curls, cmd)
				}

				up.abort()
				for i, f := range readers {
					equal(t, protocols[i].name+": rest", f.wantAbort(), "")
				}
				for i, want := range []int{18, 92} {
					var exit *exec.ExitError
					if err := curls[i].Wait(); !errors.As(err, &exit) || exit.ExitCode() != want {
						t.Errorf("curl: got %v, want exit status %d", err, want)
					}
				}
				s.wantFile(t, "old.bin", "old")
				await(t, wait, "the upload to be gone", func() error {
					if got := s.tree(t); !slices.Equal(got, []string{"old.bin"}) {
						return fmt.Errorf("got %q, want the old file alone", got)
					}
					return nil
				})
				if r := do(t, newClient(t, p), http.MethodGet, url, ""); target == "/old.bin" {
					wantReply(t, "GET afterwards", r, http.StatusOK, "old")
				} else {
					equal(t, "status of GET afterwards", r.status, http.StatusNotFound)
				}
			})
		}
	}
}

// TestStalledUpload pauses an upload for longer than the timeout.
func TestStalledUpload(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		sites: `
http://:{$HTTP} https://localhost:{$HTTPS} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		timeout 1s
	}
}
`,
		files: map[string]string{"old.bin": "old"},
	})
	t.Run("raw", func(t *testing.T) {
		c := dial(t, s.addr("HTTP"))
		c.send(rawText("PUT /old.bin HTTP/1.1\nContent-Length: 100\n\n" + content))
		f := newestOf(t, s, "/old.bin")
		f.want(content)
		begin := time.Now()
		r := c.want("PUT")
		equal(t, "status", r.status, http.StatusRequestTimeout)
		equal(t, "Connection", r.header.Get("Connection"), "close")
		if took := time.Since(begin); took < 500*time.Millisecond || took > 10*time.Second {
			t.Errorf("got the response after %v, want about 1 s", took)
		}
		c.wantEOF()
		f.wantAbort()
	})
	t.Run("not stalled but slow", func(t *testing.T) {
		c := dial(t, s.addr("HTTP"))
		c.send(rawText("PUT /slow.bin HTTP/1.1\nContent-Length: 5\n\n"))
		tick := time.NewTicker(400 * time.Millisecond)
		defer tick.Stop()
		for range 5 {
			<-tick.C // the pace of the client
			c.send("x")
		}
		equal(t, "status", c.want("PUT").status, http.StatusCreated)
	})
	for _, p := range []protocol{h2, h3} {
		t.Run(p.name, func(t *testing.T) {
			up := begin(t, newClient(t, p), http.MethodPut, s.url("HTTPS", "/old.bin"))
			up.write(content)
			f := newestOf(t, s, "/old.bin")
			f.want(content)
			<-up.done
			if up.err == nil {
				equal(t, "status", up.reply.status, http.StatusRequestTimeout)
			}
			f.wantAbort()
		})
	}
	s.wantFile(t, "old.bin", "old")
	s.wantNoTemporaries(t)
}

// TestUpgradeToH2C offers h2c on uploads, as some clients do with each request,
// to a server that knows it: an upgrade must not swallow a body that streams.
func TestUpgradeToH2C(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		global: `
	servers {
		protocols h1 h2 h2c
	}
`,
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
	}
}
`,
	})
	const upgrade = "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\n"
	for _, tc := range []struct {
		name, header, part1, part2 string
	}{
		{"length", "Content-Length: 6", "one", "two"},
		{"chunked", "Transfer-Encoding: chunked", "3\r\none\r\n", "3\r\ntwo\r\n0\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := dial(t, s.addr("HTTP"))
			c.send(rawText("PUT /" + tc.name + " HTTP/1.1\n" + upgrade + tc.header + "\n\n" + tc.part1))
			f := follow(t, newClient(t, plain), s.url("HTTP", "/"+tc.name))
			f.want("one")
			c.send(tc.part2)
			equal(t, "status", c.want("PUT").status, http.StatusCreated)
			f.wantEnd("two")
			s.wantFile(t, tc.name, "onetwo")
		})
	}
}

// newestOf follows an upload to a path where there is a file already.
func newestOf(t testing.TB, s *server, path string) *follower {
	t.Helper()
	var f *follower
	c := newClient(t, plain)
	await(t, wait, "the upload to be seen", func() error {
		f = follow(t, c, s.url("HTTP", path))
		if f.resp.ContentLength >= 0 {
			io.Copy(io.Discard, f.resp.Body)
			f.resp.Body.Close()
			return errors.New("got the old file")
		}
		return nil
	})
	return f
}

// TestUploadIsVisibleWhileItArrives follows uploads on every protocol, by
// readers on every protocol.
func TestUploadIsVisibleWhileItArrives(t *testing.T) {
	t.Parallel()
	s := start(t, setup{sites: writable})
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			target := "/" + p.name + ".bin"
			up := begin(t, newClient(t, p), http.MethodPut, s.url(p.port, target), "Content-Type: video/x-own")
			var readers []*follower
			for _, rp := range protocols {
				f := follow(t, newClient(t, rp), s.url(rp.port, target)) // before there is a byte
				equal(t, "Content-Type", f.resp.Header.Get("Content-Type"), "video/x-own")
				equal(t, "Incremental", f.resp.Header.Get("Incremental"), "?1")
				equal(t, "Content-Length", f.resp.ContentLength, -1)
				readers = append(readers, f)
			}
			head := do(t, newClient(t, p), http.MethodHead, s.url(p.port, target), "")
			wantReply(t, "HEAD", head, http.StatusOK, "")
			for i := range 10 {
				text := pattern(uint64(i), 1+i*5000)
				up.write(text)
				for _, f := range readers {
					f.want(text)
				}
			}
			equal(t, "status", up.finish().status, http.StatusCreated)
			for _, f := range readers {
				f.wantEnd("")
			}
			var all strings.Builder
			for i := range 10 {
				all.WriteString(pattern(uint64(i), 1+i*5000))
			}
			s.wantFile(t, target, all.String())
			late := do(t, newClient(t, p), http.MethodGet, s.url(p.port, target), "")
			wantReply(t, "GET afterwards", late, http.StatusOK, all.String())
			equal(t, "Content-Length afterwards", late.header.Get("Content-Length"), fmt.Sprint(all.Len()))
		})
	}
}

// TestTwoUploadsToOnePath has two versions of a file arrive at the same time.
func TestTwoUploadsToOnePath(t *testing.T) {
	t.Parallel()
	s := start(t, setup{sites: writable})
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("the first ends first %v", first), func(t *testing.T) {
			path := fmt.Sprintf("/two-%v", first)
			url := s.url("HTTP", path)
			a := begin(t, newClient(t, plain), http.MethodPut, url)
			a.write("version a")
			fa := follow(t, newClient(t, plain), url)
			fa.want("version a")
			b := begin(t, newClient(t, plain), http.MethodPut, url)
			b.write("version b")
			var fb *follower
			await(t, wait, "the newest version to be seen", func() error {
				fb = follow(t, newClient(t, plain), url)
				got := make([]byte, 9)
				if _, err := io.ReadFull(fb.resp.Body, got); err != nil || string(got) != "version b" {
					fb.cancel()
					return fmt.Errorf("got %q (%v), want version b", got, err)
				}
				return nil
			})
			end := func(u *upload, f *follower, rest, whole string) {
				u.write(rest)
				if got := u.finish().status; got != http.StatusCreated && got != http.StatusOK {
					t.Errorf("status: got %d, want 200 or 201", got)
				}
				f.wantEnd(rest)
				s.wantFile(t, path, whole)
			}
			if first {
				end(a, fa, ", long", "version a, long")
				end(b, fb, "!", "version b!")
			} else {
				end(b, fb, "!", "version b!")
				end(a, fa, ", long", "version a, long")
			}
			s.wantNoTemporaries(t)
		})
	}
	t.Run("the newest fails", func(t *testing.T) {
		url := s.url("HTTP", "/fails")
		a := begin(t, newClient(t, plain), http.MethodPut, url)
		a.write("version a")
		fa := follow(t, newClient(t, plain), url)
		fa.want("version a")
		b := begin(t, newClient(t, plain), http.MethodPut, url)
		b.write("version b")
		await(t, wait, "two uploads", func() error {
			names, err := temporaries(s.root)
			if err == nil && len(names) != 2 {
				err = fmt.Errorf("there are %q", names)
			}
			return err
		})
		b.abort()
		a.write("!")
		equal(t, "status", a.finish().status, http.StatusCreated)
		fa.wantEnd("!")
		s.wantFile(t, "/fails", "version a!")
		s.wantNoTemporaries(t)
	})
}

// TestUploadIsVisibleOnOtherSites follows an upload on other sites that read
// the same directory, or one above it.
func TestUploadIsVisibleOnOtherSites(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		wdir {$ROOT}/media/in
	}
}
http://:{$SAME} {
	httpout {
		rdirs {$ROOT}/media/in
	}
}
http://:{$ABOVE} {
	httpout {
		rdirs {$ROOT}
	}
}
http://:{$MOUNTS} {
	httpout {
		rdirs {$ROOT}/media {$ROOT}/other
	}
}
`,
		files: map[string]string{"media/in/": "", "other/": ""},
	})
	up := begin(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/a/live.bin"))
	up.write("one")
	var readers []*follower
	for _, url := range []string{s.url("SAME", "/a/live.bin"), s.url("ABOVE", "/media/in/a/live.bin"), s.url("MOUNTS", "/media/in/a/live.bin")} {
		f := follow(t, newClient(t, plain), url)
		f.want("one")
		readers = append(readers, f)
	}
	equal(t, "status of GET where only writing is allowed", do(t, newClient(t, plain), "GET", s.url("HTTP", "/a/live.bin"), "").status, http.StatusMethodNotAllowed)
	up.write("two")
	equal(t, "status", up.finish().status, http.StatusCreated)
	for _, f := range readers {
		f.wantEnd("two")
	}
	equal(t, "status of GET where only writing is allowed", do(t, newClient(t, plain), "GET", s.url("HTTP", "/a/live.bin"), "").status, http.StatusMethodNotAllowed)
	s.wantFile(t, "media/in/a/live.bin", "onetwo")
}

// TestManifestsAreWhole uploads manifests slowly: the last complete version is
// served until the new one is complete.
func TestManifestsAreWhole(t *testing.T) {
	t.Parallel()
	s := start(t, setup{sites: writable})
	for _, path := range []string{"/live/manifest.mpd", "/live/playlist.m3u8"} {
		t.Run(path, func(t *testing.T) {
			url := s.url("HTTP", path)
			c := newClient(t, plain)
			up := begin(t, newClient(t, plain), http.MethodPut, url)
			up.write("version ")
			seen := s.awaitTemporary(t)
			equal(t, "status before there is a version", do(t, c, http.MethodGet, url, "").status, http.StatusNotFound)
			up.write("1")
			equal(t, "status of the upload", up.finish().status, http.StatusCreated)
			wantReply(t, "first version", do(t, c, http.MethodGet, url, ""), http.StatusOK, "version 1")
			seen()

			up = begin(t, newClient(t, plain), http.MethodPut, url)
			up.write("version ")
			s.awaitTemporary(t)
			wantReply(t, "while the second arrives", do(t, c, http.MethodGet, url, ""), http.StatusOK, "version 1")
			up.write("2")
			equal(t, "status of the upload", up.finish().status, http.StatusOK)
			wantReply(t, "second version", do(t, c, http.MethodGet, url, ""), http.StatusOK, "version 2")
			s.wantNoTemporaries(t)
		})
	}
}

// awaitTemporary waits until an upload is being written. The function that it
// returns waits until it no longer is.
func (s *server) awaitTemporary(t testing.TB) func() {
	t.Helper()
	await(t, wait, "the upload to be received", func() error {
		names, err := temporaries(s.root)
		if err == nil && len(names) == 0 {
			err = errors.New("there is no temporary file")
		}
		return err
	})
	return func() { s.wantNoTemporaries(t) }
}
