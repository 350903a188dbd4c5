package caddytest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// reload loads a Caddyfile into the running server, through its admin API.
func (s *server) reload(t testing.TB, sites string) {
	t.Helper()
	text, err := os.ReadFile(s.configFile())
	if err != nil {
		t.Fatal(err)
	}
	options, _, _ := strings.Cut(string(text), "\n}\n")
	writeFile(t, s.configFile(), options+"\n}\n"+sites)
	cmd := exec.CommandContext(t.Context(), binary(t), "reload", "--config", s.configFile(), "--address", s.addr("ADMIN"), "--force")
	cmd.Env, cmd.Dir = s.environ(), s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("reloading: %v\n%s", err, out)
	}
}

// streams is an upload, with readers of it, on each protocol.
type streams struct {
	s       *server
	uploads []*upload
	readers []*follower
}

func openStreams(t testing.TB, s *server) *streams {
	t.Helper()
	st := &streams{s: s}
	for _, p := range protocols {
		path := "/" + p.name + ".bin"
		up := begin(t, newClient(t, p), http.MethodPut, s.url(p.port, path))
		up.write("one")
		st.uploads = append(st.uploads, up)
		for _, rp := range protocols {
			f := follow(t, newClient(t, rp), s.url(rp.port, path))
			f.want("one")
			st.readers = append(st.readers, f)
		}
	}
	return st
}

// goOn sends more on each stream, which every reader must get.
func (st *streams) goOn(text string) {
	for i, up := range st.uploads {
		up.t.Helper()
		up.write(text)
		for _, f := range st.readers[i*len(protocols) : (i+1)*len(protocols)] {
			f.want(text)
		}
	}
}

// finish completes the streams.
func (st *streams) finish(t testing.TB, whole string) {
	t.Helper()
	for i, up := range st.uploads {
		equal(t, protocols[i].name+": status", up.finish().status, http.StatusCreated)
		st.s.wantFile(t, protocols[i].name+".bin", whole)
	}
	for _, f := range st.readers {
		f.wantEnd("")
	}
}

// TestReload loads another configuration in the middle of uploads with readers.
func TestReload(t *testing.T) {
	t.Parallel()
	const others = `
http://:{$OTHER} {
	respond "another site"
}
`
	s := start(t, setup{admin: true, sites: writable + others})

	t.Run("unchanged", func(t *testing.T) {
		st := openStreams(t, s)
		s.reload(t, writable+others)
		st.goOn("two")
		// those who come now see what is there, too
		f := follow(t, newClient(t, plain), s.url("HTTP", "/h3.bin"))
		f.want("onetwo")
		s.reload(t, writable+others)
		st.goOn("three")
		f.want("three")
		st.finish(t, "onetwothree")
		f.wantEnd("")
	})
	clean(t, s)
	t.Run("options changed", func(t *testing.T) {
		st := openStreams(t, s)
		s.reload(t, strings.Replace(writable, "wdir", "dlist\n\t\tcors on\n\t\tmaxs 1\n\t\twdir", 1)+others)
		st.goOn("two")
		follow(t, newClient(t, h2), s.url("HTTPS", "/h2.bin")).want("onetwo")
		equal(t, "status with the new maxs", do(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/large"), "large").status, http.StatusRequestEntityTooLarge)
		st.finish(t, "onetwo")
		s.reload(t, writable+others)
	})
	clean(t, s)
	t.Run("site removed", func(t *testing.T) {
		st := openStreams(t, s)
		s.reload(t, others)
		wantReply(t, "another site", do(t, newClient(t, plain), http.MethodGet, s.url("OTHER", "/"), ""), http.StatusOK, "another site")
		// what is gone is closed, and nobody takes it for complete
		for _, f := range st.readers {
			f.wantAbort()
		}
		for i, up := range st.uploads {
			<-up.done
			if up.reply.status/100 == 2 {
				t.Errorf("upload on %s: got status %d, want an error", protocols[i].name, up.reply.status)
			}
		}
		s.wantNoTemporaries(t)
		if names := s.tree(t); len(names) > 0 {
			t.Errorf("files: got %q, want none", names)
		}
		s.reload(t, writable+others)
	})
	clean(t, s)
	t.Run("a bad configuration", func(t *testing.T) {
		st := openStreams(t, s)
		bad := "http://:{$HTTP} {\n\thttpout {\n\t\trdirs /proc/none/such\n\t}\n}\n"
		text, err := os.ReadFile(s.configFile())
		if err != nil {
			t.Fatal(err)
		}
		options, _, _ := strings.Cut(string(text), "\n}\n")
		name := s.dir + "/bad.caddyfile"
		writeFile(t, name, options+"\n}\n"+bad)
		cmd := exec.CommandContext(t.Context(), binary(t), "reload", "--config", name, "--adapter", "caddyfile", "--address", s.addr("ADMIN"), "--force")
		cmd.Env, cmd.Dir = s.environ(), s.dir
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("a configuration with a directory that cannot be made was loaded:\n%s", out)
		}
		st.goOn("two")
		st.finish(t, "onetwo")
	})
	s.wantNoTemporaries(t)
}

// clean removes the files that a part of a test has made.
func clean(t testing.TB, s *server) {
	t.Helper()
	for _, name := range s.tree(t) {
		if err := os.Remove(s.file(name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStopWithOpenStreams sends SIGTERM while uploads and their readers are
// open: the server must be gone soon, and no reader may think that it has all.
func TestStopWithOpenStreams(t *testing.T) {
	t.Parallel()
	for _, reloads := range []int{0, 2} {
		t.Run(fmt.Sprintf("after %d reloads", reloads), func(t *testing.T) {
			t.Parallel()
			s := start(t, setup{admin: true, sites: writable})
			st := openStreams(t, s)
			for range reloads {
				s.reload(t, writable)
				follow(t, newClient(t, plain), s.url("HTTP", "/h1.bin")).want("one")
			}
			// clients read on, and so learn of the end
			rests := make([]chan error, len(st.readers))
			for i, f := range st.readers {
				rests[i] = make(chan error, 1)
				go func() {
					_, err := f.rest()
					rests[i] <- err
				}()
			}
			took := s.stop(t)
			limit := 3 * time.Second
			if raceEnabled {
				limit *= 2
			}
			t.Logf("the server took %v to stop", took)
			if took > limit {
				t.Errorf("stopping took %v, want less than %v", took, limit)
			}
			for i, rest := range rests {
				if err := <-rest; err == nil || errors.Is(err, context.Canceled) {
					t.Errorf("reader on %s: ended with %v, want an aborted response", protocols[i%len(protocols)].name, err)
				}
			}
			for i, up := range st.uploads {
				<-up.done
				if up.reply.status/100 == 2 {
					t.Errorf("upload on %s: got status %d, want an error", protocols[i].name, up.reply.status)
				}
				s.wantNoFile(t, protocols[i].name+".bin")
			}
			if names := s.tree(t); len(names) > 0 {
				t.Errorf("files: got %q, want none", names)
			}
		})
	}
}

// TestReloadsLeaveNothing reloads many times, with uploads in between.
func TestReloadsLeaveNothing(t *testing.T) {
	t.Parallel()
	rounds := 50
	if testing.Short() {
		rounds = 10
	}
	s := start(t, setup{admin: true, sites: writable})
	c := newClient(t, plain)
	round := func(i int) {
		t.Helper()
		up := begin(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/f"))
		up.write("one")
		f := newestOf(t, s, "/f")
		f.want("one")
		s.reload(t, writable)
		up.write("two")
		if r := up.finish(); r.status >= 300 {
			t.Fatalf("round %d: got status %d", i, r.status)
		}
		f.wantEnd("two")
		wantReply(t, "GET", do(t, c, http.MethodGet, s.url("HTTP", "/f"), ""), http.StatusOK, "onetwo")
		c.CloseIdleConnections()
	}
	for i := range 3 {
		round(-i)
	}
	goroutines, files := s.settled(t, 0, 0)
	for i := range rounds {
		round(i)
	}
	s.settled(t, goroutines+3, files+1)
}
