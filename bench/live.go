//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// liveLoad is one upload in progress and its readers: a chunk every interval,
// and every reader must get every byte of it and a proper end.
//
// Latency is from just before the producer writes a chunk to the kernel queueing
// its last byte on the reader's socket. A read that finds several chunks queued
// gives all of them the arrival time of the last, so it errs to the high side.
type liveLoad struct {
	readers  int
	chunk    int
	interval time.Duration
}

// The readers ask while the first chunks are on their way; these are not
// measured. Joining has its own cost, which is not that of following.
const (
	joinChunks = 1 // sent before the readers ask
	warmChunks = 3
)

// liveRun is the state that the producer and the readers share.
type liveRun struct {
	liveLoad
	id     uint64
	chunks int
	sent   []atomic.Int64 // when each chunk was written
	got    []atomic.Int64 // how many readers have each chunk whole

	latencies []int64
	bytes     int64
	ended     int
}

// run measures a peer. The window opens when all readers follow the upload and
// closes when all have the last chunk.
func (l liveLoad) run(ctx context.Context, b *bench, p *peer) (c cell, err error) {
	measured := max(int(b.live/l.interval), 1)
	r := &liveRun{liveLoad: l, id: uint64(now()), chunks: warmChunks + measured}
	r.sent = make([]atomic.Int64, r.chunks)
	r.got = make([]atomic.Int64, r.chunks)
	path := fmt.Sprintf("/live%x.m4s", r.id)

	poll, err := newPoller()
	if err != nil {
		return c, err
	}
	defer poll.close()
	if err := r.openReaders(poll, b, p); err != nil {
		return c, err
	}
	fd, err := dial(p.live, b.mss)
	if err != nil {
		return c, err
	}
	defer unix.Close(fd)
	if err := writeAll(fd, putHead(p.live, path, "Transfer-Encoding: chunked")); err != nil {
		return c, fmt.Errorf("starting the upload: %w", err)
	}
	if err := r.produce(fd, 0, joinChunks); err != nil {
		return c, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	finished := make(chan error, 1)
	go func() {
		err := r.follow(ctx, poll, fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", path, p.live))
		finished <- err
		cancel(err)
	}()
	// the readers are joined whatever happens: they use what is closed on return
	fail := func(err error) (cell, error) {
		cancel(err)
		if ferr := <-finished; ferr != nil && !errors.Is(ferr, context.Canceled) {
			err = ferr
		}
		return c, err
	}
	if err := r.await(ctx, joinChunks-1); err != nil {
		return fail(fmt.Errorf("joining the upload: %w", err))
	}
	if err := r.produce(fd, joinChunks, warmChunks); err != nil {
		return fail(err)
	}
	if err := r.await(ctx, warmChunks-1); err != nil {
		return fail(fmt.Errorf("following the upload: %w", err))
	}
	m := &meter{pids: p.pids()}
	if err := m.start(); err != nil {
		return fail(err)
	}
	if err := r.produce(fd, warmChunks, r.chunks); err != nil {
		return fail(err)
	}
	if err := r.await(ctx, r.chunks-1); err != nil {
		return fail(fmt.Errorf("following the upload: %w", err))
	}
	use, err := m.stop()
	if err != nil {
		return fail(err)
	}
	if err := writeAll(fd, []byte("0\r\n\r\n")); err != nil {
		return fail(fmt.Errorf("ending the upload: %w", err))
	}
	if status, _, err := readAnswer(fd); err != nil || status != 201 {
		return fail(fmt.Errorf("upload was answered with status %d, want 201 (%v)", status, err))
	}
	if err := <-finished; err != nil {
		return c, err
	}
	slices.Sort(r.latencies)
	units := int64(measured) * int64(l.readers)
	c.fill(use, units, units*int64(l.chunk), r.latencies)
	c.RSS = peakMemory(m.pids)
	c.Verified = r.bytes
	if p.liveDir != "" {
		if err := verifyFile(filepath.Join(p.liveDir, path), r.id, int64(r.chunks)*int64(l.chunk)); err != nil {
			return c, fmt.Errorf("the stored upload: %w", err)
		}
	}
	return c, nil
}

// produce writes some of the chunks and takes an interval for each.
func (r *liveRun) produce(fd, from, to int) error {
	wire := make([]byte, 0, r.chunk+16)
	data := make([]byte, r.chunk)
	next := time.Now()
	for i := from; i < to; i++ {
		fill(data, r.id, int64(i)*int64(r.chunk))
		wire = fmt.Appendf(wire[:0], "%x\r\n", len(data))
		wire = append(append(wire, data...), "\r\n"...)
		time.Sleep(time.Until(next))
		next = next.Add(r.interval)
		r.sent[i].Store(now())
		if err := writeAll(fd, wire); err != nil {
			return fmt.Errorf("sending chunk %d: %w", i, err)
		}
	}
	time.Sleep(time.Until(next))
	return nil
}

// await waits until all readers have a chunk.
func (r *liveRun) await(ctx context.Context, chunk int) error {
	limit := time.Now().Add(ioTimeout)
	for r.got[chunk].Load() < int64(r.readers) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%d of %d readers got chunk %d within %v", r.got[chunk].Load(), r.readers, chunk, ioTimeout)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// openReaders connects the readers and tells them what to expect.
func (r *liveRun) openReaders(poll *poller, b *bench, p *peer) error {
	return poll.open(p.live, b.mss, r.readers, func(_ int, cn *conn) {
		cn.body = func(cn *conn, part []byte, at int64) error {
			if cn.resp.status != 200 {
				return nil
			}
			end := cn.resp.size
			off := end - int64(len(part))
			if bad := mismatch(part, r.id, off); bad >= 0 {
				return fmt.Errorf("byte %d of the upload is wrong", bad)
			}
			r.bytes += int64(len(part))
			for i := off / int64(r.chunk); i < end/int64(r.chunk); i++ {
				if int(i) >= r.chunks {
					return fmt.Errorf("got %d bytes of an upload of %d", end, r.chunks*r.chunk)
				}
				if i >= warmChunks {
					r.latencies = append(r.latencies, at-r.sent[i].Load())
				}
				r.got[i].Add(1)
			}
			return nil
		}
	})
}

// follow sends the readers' requests and reads until all responses have ended.
func (r *liveRun) follow(ctx context.Context, poll *poller, head []byte) error {
	giveUp := time.Now().Add(2 * time.Second)
	for _, cn := range poll.conns {
		cn.end = func(cn *conn, _ int64) error {
			switch {
			case cn.resp.status == 404 && time.Now().Before(giveUp):
				// the server has not got round to the upload yet
				cn.resp.reset()
				time.Sleep(time.Millisecond)
				return cn.request(head)
			case cn.resp.status != 200:
				return fmt.Errorf("a reader was answered with status %d", cn.resp.status)
			case cn.resp.size != int64(r.chunks)*int64(r.chunk):
				return fmt.Errorf("a response ended after %d bytes of %d", cn.resp.size, r.chunks*r.chunk)
			}
			r.ended++
			return nil
		}
		if err := cn.request(head); err != nil {
			return fmt.Errorf("sending a request: %w", err)
		}
	}
	return poll.run(ctx, func() bool { return r.ended < r.readers })
}
