package sinkbus

import (
	"context"
	"io"
	"sync"
	"time"
)

// spillRead is how much is read from the spill at a time.
const spillRead = 64 << 10

var spillBuffers = sync.Pool{New: func() any { return new([spillRead]byte) }}

// Reader is one client's position in a stream. It is for one goroutine at a
// time and must be closed.
type Reader struct {
	s    *Stream
	ctx  context.Context
	stop func() bool // undoes the wake-up at the end of ctx

	pos   int64
	block *block           // pinned, or nil
	buf   *[spillRead]byte // for bytes that come from the spill
	wait  waiter
	timer *time.Timer // for AwaitUntil
	claim *claim      // nil unless bytes are kept for it
}

// NewReader returns a reader that begins at the given offset, which may lie
// ahead of what has been written. Waiting ends with ctx. It returns ErrClosed
// for a stream whose bytes have been given up.
func (s *Stream) NewReader(ctx context.Context, off int64) (*Reader, error) {
	s.mu.Lock()
	if s.released && s.onIdle == nil && s.live == nil {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	s.waiting.readers.Add(1)
	s.mu.Unlock()

	r := &Reader{s: s, ctx: ctx, pos: off}
	r.wait.wake = make(chan struct{}, 1)
	r.stop = context.AfterFunc(ctx, r.wait.notify)
	return r, nil
}

// Offset returns the position of the next byte.
func (r *Reader) Offset() int64 { return r.pos }

// SkipTo moves the reader to another position, which may lie ahead of what has
// been written.
func (r *Reader) SkipTo(off int64) {
	r.pos = off
	r.advance()
}

// Buffered returns how many bytes can be had without waiting.
func (r *Reader) Buffered() int64 { return max(0, r.s.log.end.Load()-r.pos) }

// Next returns the next bytes of the stream, at most limit of them if limit is
// positive, and waits for some when there are none. The slice is the stream's
// own: it must not be changed, and is valid until the next call of Next or
// Close. Next returns io.EOF at the end of a complete stream, the reason when
// the stream was aborted, ErrBehind when the bytes are no longer kept, the
// context's error when that is done, or an error of the spill.
func (r *Reader) Next(limit int64) ([]byte, error) {
	for {
		p, err := r.TryNext(limit)
		if len(p) > 0 || err != nil {
			return p, err
		}
		if err := r.await(1); err != nil {
			return nil, err
		}
	}
}

// await waits until n bytes can be had or the stream has ended. It returns the
// context's error.
func (r *Reader) await(n int64) error {
	for {
		r.s.waiting.push(&r.wait)
		// who has just been queued asks again, lest it misses a wake-up
		if r.ready(n) {
			return r.ctx.Err()
		}
		<-r.wait.wake
		if r.ready(n) {
			return r.ctx.Err()
		}
	}
}

// AwaitUntil waits until n bytes can be had, the stream has ended, or the time
// has come. It returns the context's error.
func (r *Reader) AwaitUntil(n int64, deadline time.Time) error {
	if r.timer == nil {
		r.timer = time.AfterFunc(time.Until(deadline), r.wait.notify)
	} else {
		r.timer.Reset(time.Until(deadline))
	}
	defer r.timer.Stop()
	for {
		r.s.waiting.push(&r.wait)
		if r.ready(n) || !time.Now().Before(deadline) {
			return r.ctx.Err()
		}
		<-r.wait.wake
	}
}

// ready tells whether waiting for n bytes is over.
func (r *Reader) ready(n int64) bool {
	return r.s.State() != Open || r.s.log.end.Load()-r.pos >= n || r.ctx.Err() != nil
}

// TryNext is Next without waiting: it returns nothing where Next would wait.
func (r *Reader) TryNext(limit int64) ([]byte, error) {
	r.advance()
	state := r.s.State() // before end: no byte is added after the state changes
	if state == Aborted {
		return nil, r.s.Err()
	}
	end := r.s.log.end.Load()
	if r.pos >= end {
		if state == Complete {
			return nil, io.EOF
		}
		return nil, nil
	}
	if limit > 0 {
		end = min(end, r.pos+limit)
	}
	p, err := r.slice(end)
	r.pos += int64(len(p))
	return p, err
}

// slice returns bytes from the reader's position, at most up to end.
func (r *Reader) slice(end int64) ([]byte, error) {
	l := r.s.log
	no := r.pos >> l.shift
	base := no << l.shift
	end = min(end, base+1<<l.shift)
	for {
		if b := r.block; b != nil && b.no == no && !b.replaced.Load() {
			return b.data[r.pos-base : end-base], nil
		}
		r.unpin()
		if r.block = l.pin(no); r.block != nil {
			continue
		}
		start := l.start.Load()
		if r.pos >= start {
			continue // it left memory just now
		}
		spill := l.spill.Load()
		if spill == nil || r.pos < spill.from {
			return nil, ErrBehind
		}
		if r.buf == nil {
			r.buf = spillBuffers.Get().(*[spillRead]byte)
		}
		n, err := spill.ReadAt(r.buf[:min(spillRead, end-r.pos)], r.pos)
		if n > 0 {
			return r.buf[:n], nil
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
}

func (r *Reader) unpin() {
	if r.block != nil {
		r.block.unref(r.s.log.shift)
		r.block = nil
	}
}

// Close gives back what the reader holds.
func (r *Reader) Close() {
	r.stop()
	if r.timer != nil {
		r.timer.Stop()
	}
	if r.claim != nil {
		r.s.claims.remove(r)
	}
	r.unpin()
	if r.buf != nil {
		spillBuffers.Put(r.buf)
		r.buf = nil
	}
	r.s.mu.Lock()
	readers := r.s.waiting.readers.Add(-1)
	r.s.mu.Unlock()

	// A closed reader may still be queued, to be taken out by the next
	// wake-up. Where more of those than readers have gathered, wake all: the
	// others queue themselves again.
	crowded := r.s.waiting.length.Load() > 64+2*readers
	if crowded {
		r.s.waiting.wakeAll()
	}
	r.s.idle()
}
