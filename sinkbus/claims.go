package sinkbus

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// claims are the readers of a live stream whose bytes are kept for them, and
// those that the writer waits for.
type claims struct {
	// blocking is how many readers the writer waits for.
	blocking atomic.Int32

	// mu guards what follows.
	mu   sync.Mutex
	list []*Reader
	// moved has room for one token, for a writer that waits.
	moved chan struct{}
}

// claim says what a reader asks of the writer.
type claim struct {
	// at is the first byte that the reader has not done with.
	at atomic.Int64

	// limit is how many bytes the writer may be ahead; not positive if it does
	// not wait.
	limit int64
}

func (c *claims) add(r *Reader) {
	r.claim.at.Store(r.pos)
	c.mu.Lock()
	c.list = append(c.list, r)
	if c.moved == nil {
		c.moved = make(chan struct{}, 1)
	}
	c.mu.Unlock()
	if r.claim.limit > 0 {
		c.blocking.Add(1)
	}
}

func (c *claims) remove(r *Reader) {
	c.mu.Lock()
	if i := slices.Index(c.list, r); i >= 0 {
		c.list = slices.Delete(c.list, i, i+1)
	}
	c.mu.Unlock()
	if r.claim.limit > 0 {
		c.blocking.Add(-1)
	}
	c.wake()
}

func (c *claims) wake() {
	select {
	case c.moved <- struct{}{}:
	default:
	}
}

// lowest returns the first byte that a claim wants.
func (c *claims) lowest() int64 {
	low := int64(math.MaxInt64)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.list {
		low = min(low, r.claim.at.Load())
	}
	return low
}

// ahead tells whether a writer at end has to wait for a reader.
func (c *claims) ahead(end int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.list {
		if r.claim.limit > 0 && end-r.claim.at.Load() >= r.claim.limit {
			return true
		}
	}
	return false
}

// awaitReaders waits while a reader that the writer waits for is too far behind,
// and the stream is open.
func (s *Stream) awaitReaders() {
	for s.claims.blocking.Load() > 0 && s.State() == Open && s.claims.ahead(s.log.end.Load()) {
		select {
		case <-s.claims.moved:
		case <-s.stopped:
		}
	}
}

// advance tells the writer how far the reader is.
func (r *Reader) advance() {
	if r.claim == nil || r.claim.at.Load() == r.pos {
		return
	}
	r.claim.at.Store(r.pos)
	if r.claim.limit > 0 {
		r.s.claims.wake()
	}
}

// NewWholeReader is NewReader for who wants every byte of a live stream: those
// from off on that are in memory now, and all that come, are kept until they
// have been read, on disk if need be. With blocking being positive, the writer
// waits instead while the reader is that many bytes behind.
func (s *Stream) NewWholeReader(ctx context.Context, off, blocking int64) (*Reader, error) {
	r, err := s.NewReader(ctx, off)
	if err != nil {
		return nil, err
	}
	r.claim = &claim{limit: blocking}
	s.claims.add(r)
	return r, nil
}

// wholeReader returns a reader of all the bytes that are in memory and all that
// come, nil if the stream has been released.
func (s *Stream) wholeReader() *Reader {
	r, err := s.NewWholeReader(context.Background(), s.log.start.Load(), 0)
	if err != nil {
		return nil
	}
	return r
}
