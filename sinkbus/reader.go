package sinkbus

import (
	"context"
	"io"
	"sync"
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
}

// NewReader returns a reader that begins at the given offset, which may lie
// ahead of what has been written. Waiting ends with ctx. It returns ErrClosed
// for a stream whose bytes have been given up.
func (s *Stream) NewReader(ctx context.Context, off int64) (*Reader, error) {
	s.mu.Lock()
	if s.released && s.onIdle == nil {
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
		r.s.waiting.push(&r.wait)
		if !r.ready() {
			<-r.wait.wake
		}
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// ready tells whether there is anything to be had without waiting. It is what
// a reader that has just been queued asks again, lest it misses a wake-up.
func (r *Reader) ready() bool {
	return r.s.State() != Open || r.pos < r.s.log.end.Load() || r.ctx.Err() != nil
}

// TryNext is Next without waiting: it returns nothing where Next would wait.
func (r *Reader) TryNext(limit int64) ([]byte, error) {
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
		if l.spill == nil {
			return nil, ErrBehind
		}
		if r.buf == nil {
			r.buf = spillBuffers.Get().(*[spillRead]byte)
		}
		n, err := l.spill.ReadAt(r.buf[:min(spillRead, end-r.pos)], r.pos)
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
