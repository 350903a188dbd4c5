//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// putLoad is a closed loop of uploads by several workers, each to a new name.
// When the window has closed, every file is compared with what was sent, where
// the server stored it, and removed.
type putLoad struct {
	workers int
	size    int64
	chunked bool
}

// maxUploads bounds what a cell can leave on the disk before it is verified.
const maxUploads = 4096

// run measures a peer.
func (u putLoad) run(ctx context.Context, b *bench, p *peer) (c cell, err error) {
	workers := make([]*uploader, u.workers)
	defer func() {
		for _, w := range workers {
			if w != nil {
				unix.Close(w.fd)
			}
		}
	}()
	for i := range workers {
		fd, err := dial(p.addr, b.mss)
		if err != nil {
			return c, err
		}
		workers[i] = &uploader{fd: fd, peer: p, chunked: u.chunked, next: uint64(i+1) << 32}
		workers[i].image(min(u.size, noiseSize))
	}

	// a large body is warmed up for with small ones
	if err := u.phase(ctx, workers, b.warm, min(u.size, noiseSize)); err != nil {
		return c, fmt.Errorf("warming up: %w", err)
	}
	if _, err := u.verify(workers, min(u.size, noiseSize)); err != nil {
		return c, fmt.Errorf("warming up: %w", err)
	}
	if err := primeMemory(max(2*u.size, 1<<30)); err != nil {
		return c, err
	}
	m := &meter{pids: p.pids()}
	if err := m.start(); err != nil {
		return c, err
	}
	if err := u.phase(ctx, workers, b.dur, u.size); err != nil {
		return c, err
	}
	use, err := m.stop()
	if err != nil {
		return c, err
	}
	var latencies []int64
	for _, w := range workers {
		latencies = append(latencies, w.latencies...)
	}
	slices.Sort(latencies)
	n := int64(len(latencies))
	c.fill(use, n, n*u.size, latencies)
	c.RSS = peakMemory(m.pids)
	c.Verified, err = u.verify(workers, u.size)
	return c, err
}

// phase uploads until the time is over; each worker uploads once at least.
func (u putLoad) phase(ctx context.Context, workers []*uploader, d time.Duration, size int64) error {
	stop := time.Now().Add(d)
	errs := make([]error, len(workers))
	var wg sync.WaitGroup
	for i, w := range workers {
		w.done, w.latencies = nil, nil
		wg.Go(func() {
			for range maxUploads / len(workers) {
				if errs[i] = w.put(ctx, size); errs[i] != nil || !time.Now().Before(stop) {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// verify compares the files of the last phase and removes them.
func (u putLoad) verify(workers []*uploader, size int64) (bytes int64, err error) {
	for _, w := range workers {
		for _, id := range w.done {
			name := filepath.Join(w.peer.putDir, uploadName(id))
			if verr := verifyFile(name, id, size); verr != nil && err == nil {
				err = fmt.Errorf("the upload was acknowledged, but is not what was sent: %w", verr)
			}
			bytes += size
			if rerr := os.Remove(name); rerr != nil && err == nil {
				err = rerr
			}
		}
		w.done = nil
	}
	return bytes, err
}

// uploadName names an upload after the identity of its body.
func uploadName(id uint64) string { return fmt.Sprintf("u%x.m4s", id) }

// uploader sends bodies over one connection.
type uploader struct {
	fd      int
	peer    *peer
	chunked bool
	next    uint64 // id of the next body

	wire  []byte   // up to one noise period of body, as it goes on the wire
	parts [][]byte // of wire: the blocks of the body, between any framing

	done      []uint64
	latencies []int64
}

// image prepares n bytes of body with their framing, one chunk a block, so that
// an upload only has to stamp and write them.
func (w *uploader) image(n int64) {
	var spans [][2]int
	block := make([]byte, blockSize)
	for off := int64(0); off < n; off += blockSize {
		block := block[:min(blockSize, n-off)]
		fill(block, 0, off)
		if w.chunked {
			w.wire = fmt.Appendf(w.wire, "%x\r\n", len(block))
		}
		at := len(w.wire)
		w.wire = append(w.wire, block...)
		spans = append(spans, [2]int{at, len(w.wire)})
		if w.chunked {
			w.wire = append(w.wire, "\r\n"...)
		}
	}
	for _, s := range spans {
		w.parts = append(w.parts, w.wire[s[0]:s[1]])
	}
}

// put uploads one body and waits for the answer. size must be a multiple of the
// image's, so that the image fits every part of the body.
func (w *uploader) put(ctx context.Context, size int64) error {
	id := w.next
	w.next++
	framing := fmt.Sprintf("Content-Length: %d", size)
	if w.chunked {
		framing = "Transfer-Encoding: chunked"
	}
	head := putHead(w.peer.addr, w.peer.putPath+uploadName(id), framing)
	began := now()
	if err := writeAll(w.fd, head); err != nil {
		return fmt.Errorf("sending the head of an upload: %w", err)
	}
	var werr error
	for off := int64(0); off < size && werr == nil; {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, part := range w.parts {
			stamps(part, id, off)
			off += int64(len(part))
		}
		werr = writeAll(w.fd, w.wire)
	}
	if w.chunked && werr == nil {
		werr = writeAll(w.fd, []byte("0\r\n\r\n"))
	}
	// an answer may explain why the body was not taken
	status, at, err := readAnswer(w.fd)
	switch {
	case err == nil && status != 201:
		return fmt.Errorf("upload was answered with status %d, want 201", status)
	case werr != nil:
		return fmt.Errorf("sending the body of an upload: %w", werr)
	case err != nil:
		return fmt.Errorf("reading the answer to an upload: %w", err)
	}
	w.latencies = append(w.latencies, at-began)
	w.done = append(w.done, id)
	return nil
}

func putHead(addr netip.AddrPort, path, framing string) []byte {
	return fmt.Appendf(nil, "PUT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\n%s\r\n\r\n", path, addr, framing)
}

// readAnswer reads one response from a blocking connection. Its body is dropped.
func readAnswer(fd int) (status int, at int64, err error) {
	var r response
	buf := make([]byte, 4<<10)
	for !r.done {
		var n int
		n, at, err = receive(fd, buf, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return 0, 0, errStalled
		case err != nil:
			return 0, 0, err
		case n == 0:
			return 0, 0, fmt.Errorf("the server closed the connection instead of answering")
		}
		for p := buf[:n]; len(p) > 0; {
			if r.done {
				return 0, 0, fmt.Errorf("%d bytes after the end of the response", len(p))
			}
			k, _, err := r.next(p)
			if err != nil {
				return 0, 0, err
			}
			p = p[k:]
		}
	}
	return r.status, at, nil
}
