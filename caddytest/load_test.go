package caddytest_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

// maxMemory is how much memory the server may use in TestParallelUploads, in
// bytes: 64 uploads at a time, each with its tail in memory, and what Caddy
// itself needs. The race detector makes everything several times as large.
const maxMemory = 300 << 20

// TestParallelUploads sends many large uploads at the same time. Memory is
// bounded, the files are whole, and afterwards nothing is held any more.
func TestParallelUploads(t *testing.T) {
	// not in parallel with other tests: it uses all there is
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	uploads, size := 64, int64(100_000_000)
	switch {
	case testing.Short():
		uploads, size = 8, 20_000_000
	case raceEnabled:
		size = 5_000_000 // scripts/test runs it once more, in full, without
	}
	limit := int64(maxMemory)
	if raceEnabled {
		limit *= 4
	}
	s := start(t, setup{admin: true, sites: `
http://:{$HTTP} https://localhost:{$HTTPS} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		maxs 0
		maxc 0
		maxp 0
	}
}
`})
	free, err := diskFree(s.root)
	if err == nil && free < int64(uploads)*size+1<<30 {
		skip(t, "%d uploads of %d bytes need more than the %d bytes that the disk has left", uploads, size, free)
	}

	run := func(uploads int, size int64) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range uploads {
			p := plain // most of them: encryption takes long in a test
			if i%16 < len(protocols) {
				p = protocols[i%16]
			}
			c := newClient(t, p)
			url := s.url(p.port, fmt.Sprintf("/%d.bin", i))
			req := newRequest(t, t.Context(), http.MethodPut, url, nil)
			req.Body = io.NopCloser(io.LimitReader(newNoise(i), size))
			req.ContentLength = size
			wg.Go(func() {
				if r := exchangeOn(c, req); r.status != http.StatusCreated && r.status != http.StatusOK {
					t.Errorf("upload %d on %s: got status %d (%v)", i, p.name, r.status, r.err)
				}
				c.CloseIdleConnections()
				if tr, ok := c.Transport.(io.Closer); ok {
					tr.Close()
				}
			})
		}
		wg.Wait()
	}

	run(4, 1000) // so that everything there is once has been made
	goroutines, files := s.settled(t, 0, 0)
	stop := s.watchMemory()
	begin := time.Now()
	run(uploads, size)
	took := time.Since(begin)
	most := stop()
	t.Logf("%d uploads of %d bytes took %v; the server used up to %d MiB of memory", uploads, size, took, most>>20)
	if most > limit {
		t.Errorf("memory: got %d MiB, want at most %d", most>>20, limit>>20)
	}
	for i := range uploads {
		if err := sameBytes(s.file(fmt.Sprintf("%d.bin", i)), newNoise(i), size); err != nil {
			t.Errorf("file %d: %v", i, err)
		}
	}
	s.settled(t, goroutines, files)
	s.wantNoTemporaries(t)
}

// noise is a fast source of bytes: the same block again and again, which depends
// on the seed, but for its number at its beginning.
type noise struct {
	block []byte
	at    int64
}

func newNoise(seed int) *noise {
	return &noise{block: []byte(pattern(uint64(seed), 100_003))} // it fits nobody's buffers
}

// Read implements io.Reader.
func (n *noise) Read(p []byte) (int, error) {
	size := int64(len(n.block))
	if n.at%size == 0 {
		copy(n.block, fmt.Sprintf("%020d", n.at))
	}
	m := copy(p, n.block[n.at%size:])
	n.at += int64(m)
	return m, nil
}

// sameBytes compares a file with what was uploaded.
func sameBytes(name string, want io.Reader, size int64) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	for left := size; left > 0; {
		n := min(left, int64(len(a)))
		if _, err := io.ReadFull(f, a[:n]); err != nil {
			return err
		}
		if _, err := io.ReadFull(want, b[:n]); err != nil {
			return err
		}
		if !bytes.Equal(a[:n], b[:n]) {
			return fmt.Errorf("it differs in the %d bytes from %d on", n, size-left)
		}
		left -= n
	}
	if n, err := f.Read(a[:1]); n > 0 || err != io.EOF {
		return fmt.Errorf("it is longer than %d bytes", size)
	}
	return nil
}

// TestManyReadersOfOneUpload follows one upload by many readers at a time.
func TestManyReadersOfOneUpload(t *testing.T) {
	t.Parallel()
	readers := 200
	if testing.Short() {
		readers = 40
	}
	s := start(t, setup{admin: true, sites: writable})
	goroutines, files := s.settled(t, 0, 0)
	body := pattern(3, 2_000_000)
	up := begin(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/live.bin"))
	up.write(body[:1])
	follow(t, newClient(t, plain), s.url("HTTP", "/live.bin")).want(body[:1])
	var wg sync.WaitGroup
	var ready sync.WaitGroup
	ready.Add(readers)
	for i := range readers {
		p := protocols[i%len(protocols)]
		c := newClient(t, p)
		req := newRequest(t, t.Context(), http.MethodGet, s.url(p.port, "/live.bin"), nil)
		wg.Go(func() {
			resp, err := c.Do(req)
			ready.Done()
			if err != nil {
				t.Errorf("reader %d on %s: %v", i, p.name, err)
				return
			}
			if r := readReply(resp); r.status != http.StatusOK || r.err != nil || r.body != body {
				t.Errorf("reader %d on %s: got status %d and %d bytes (%v), want all %d", i, p.name, r.status, len(r.body), r.err, len(body))
			}
			c.CloseIdleConnections()
			if tr, ok := c.Transport.(io.Closer); ok {
				tr.Close()
			}
		})
	}
	ready.Wait()
	for at := 1; at < len(body); at += 10_000 {
		up.write(body[at:min(at+10_000, len(body))])
	}
	equal(t, "status", up.finish().status, http.StatusCreated)
	wg.Wait()
	s.settled(t, goroutines+20, files+20) // the keep-alive connections of the test
}
