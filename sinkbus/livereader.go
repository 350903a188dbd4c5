package sinkbus

import (
	"context"
	"errors"
	"io"
)

// JoinOptions say how a reader follows a live stream.
type JoinOptions struct {
	// MaxLag is how many bytes may wait for the reader before it is moved to
	// the newest join point. Twice the stream's largest single write, and what
	// came in the last half second, may always wait.
	MaxLag int64

	// Block makes the writer wait when MaxLag bytes wait for the reader, which
	// then is never moved.
	Block bool

	// Start begins at the stream's first byte, as long as it is in memory: for
	// who has waited for the stream.
	Start bool

	// Next begins at the stream's first join point, as long as the stream's
	// first byte is in memory: for who goes on from another stream.
	Next bool
}

// LiveReader is one client's position in a live stream: it begins where a
// decoder can, and is moved ahead when it is too slow, so that the stream never
// waits for it. It is for one goroutine at a time and must be closed.
type LiveReader struct {
	s   *Stream
	r   *Reader
	o   JoinOptions
	ctx context.Context

	joined bool
	first  bool   // it began at the stream's first byte
	header []byte // the last one that was given
	give   []byte // what comes before the next bytes of the stream
	until  int64  // where a unit ends that is to be finished before a skip

	skips, skipped int64
}

// Join returns a reader that begins at the stream's newest join point, with the
// header that its format needs. Before there is one it begins at the stream's
// first byte or, when that is no longer in memory, waits. A stream that has a
// known length is kept for the reader, which is never moved then. It returns
// ErrClosed for a stream that is gone.
func (s *Stream) Join(ctx context.Context, o JoinOptions) (*LiveReader, error) {
	var r *Reader
	var err error
	switch {
	case s.live != nil && o.Block:
		r, err = s.NewWholeReader(ctx, s.Size(), max(1, o.MaxLag))
	case s.live != nil && s.Length >= 0:
		r, err = s.NewWholeReader(ctx, s.Size(), 0)
	default:
		r, err = s.NewReader(ctx, s.Size())
	}
	if err != nil {
		return nil, err
	}
	if s.live != nil {
		s.live.raiseLag(o.MaxLag)
	}
	l := &LiveReader{s: s, r: r, o: o, ctx: ctx, until: -1}
	l.join()
	return l, nil
}

// Suspend gives back what the reader holds, until Resume. Nothing else may be
// called in between.
func (l *LiveReader) Suspend() { l.r.Close() }

// Resume goes on after Suspend at the given position, as others have taken the
// bytes up to there. It returns ErrClosed for a stream that is gone.
func (l *LiveReader) Resume(off int64) error {
	r, err := l.s.NewReader(l.ctx, off)
	if err != nil {
		return err
	}
	l.r, l.until = r, -1
	return nil
}

// Joined tells whether the reader has found where to begin.
func (l *LiveReader) Joined() bool { return l.joined }

// Buffered returns how many bytes of the stream can be had without waiting.
func (l *LiveReader) Buffered() int64 { return l.r.Buffered() }

// Stream returns the stream that is read.
func (l *LiveReader) Stream() *Stream { return l.s }

// Offset returns the position of the next byte of the stream.
func (l *LiveReader) Offset() int64 { return l.r.pos }

// Skips returns how often the reader was moved ahead, and how many bytes it
// missed.
func (l *LiveReader) Skips() (times, bytes int64) { return l.skips, l.skipped }

// Close gives back what the reader holds.
func (l *LiveReader) Close() { l.r.Close() }

// join finds where the reader begins. It tells whether there is such a place.
func (l *LiveReader) join() bool {
	if l.joined {
		return true
	}
	start := l.s.log.start.Load()
	var at *joinPoint
	var scanned int64 // before what the framer found: more bytes may bring more
	if l.s.live != nil {
		scanned = l.s.live.scanned.Load()
		at = l.s.live.join.Load()
	}
	switch {
	case l.s.live == nil:
		l.r.pos = start
	case l.o.Start && start == 0:
		l.r.pos, l.first = 0, true
	case l.o.Next && start == 0:
		first := l.s.live.firstJoin.Load()
		switch {
		case first != nil:
			l.r.pos = first.off
			l.header, l.give = first.header, first.header
		case l.s.live.anywhere.Load() || l.s.State() != Open:
			l.r.pos, l.first = 0, true
		default:
			l.r.pos = scanned
			return false // it is not known yet where that is
		}
	case at != nil && at.off >= start:
		l.r.pos = at.off
		l.header, l.give = at.header, at.header
	case l.s.live.anywhere.Load():
		l.r.pos = l.s.log.end.Load()
	case start == 0:
		l.r.pos, l.first = 0, true
	default:
		l.r.pos = scanned
		return false
	}
	l.joined = true
	l.r.advance()
	return true
}

// Next returns the next bytes for the client, at most limit of them if limit is
// positive, and waits for some when there are none. The slice must not be
// changed, and is valid until the next call of Next or Close. The errors are
// those of Reader.Next; ErrBehind is returned when the reader is too far behind
// and there is no place to move it to where a decoder could go on.
func (l *LiveReader) Next(limit int64) ([]byte, error) {
	for {
		p, err := l.TryNext(limit)
		if len(p) > 0 || err != nil {
			return p, err
		}
		if err := l.Wait(); err != nil {
			return nil, err
		}
	}
}

// Wait waits until the stream goes on or ends. It returns the context's error.
func (l *LiveReader) Wait() error { return l.r.await(1) }

// TryNext is Next without waiting: it returns nothing where Next would wait.
func (l *LiveReader) TryNext(limit int64) ([]byte, error) {
	if !l.join() {
		return nil, l.ended()
	}
	if len(l.give) > 0 {
		p := l.give
		if limit > 0 && int64(len(p)) > limit {
			p = p[:limit]
		}
		l.give = l.give[len(p):]
		return p, nil
	}
	if l.behind() {
		if err := l.skip(); err != nil {
			return nil, err
		}
		if len(l.give) > 0 {
			return l.TryNext(limit)
		}
	}
	if l.r.pos >= l.until {
		l.until = -1
	}
	if l.until >= 0 {
		if rest := l.until - l.r.pos; limit <= 0 || rest < limit {
			limit = rest
		}
	}
	p, err := l.r.TryNext(limit)
	if errors.Is(err, ErrBehind) && !l.o.Block {
		l.until = -1
		if err := l.jump(); err != nil {
			return nil, err
		}
		return l.TryNext(limit)
	}
	return p, err
}

// ended returns why there is nothing to wait for, for a reader that has not
// joined; nil if there is.
func (l *LiveReader) ended() error {
	switch state := l.s.State(); {
	case state == Aborted:
		return l.s.Err()
	case state == Complete && !l.join(): // as nothing changes any more
		return io.EOF
	default:
		return nil
	}
}

// behind tells whether the reader is to be moved.
func (l *LiveReader) behind() bool {
	if l.s.live == nil || l.r.claim != nil {
		return false
	}
	end := l.s.log.end.Load()
	return end-l.r.pos > l.o.MaxLag && l.r.pos < l.s.live.slack(l.o.MaxLag, end)
}

// skip moves the reader to the newest join point, at the end of the unit that it
// is in where the format needs that. There may be none that is newer.
func (l *LiveReader) skip() error {
	live := l.s.live
	at := live.join.Load()
	if at == nil || at.off <= l.r.pos {
		if live.anywhere.Load() {
			return l.jump()
		}
		return nil
	}
	if !live.info.Load().Loose && l.until != l.r.pos {
		// what the client has of a unit must be completed first
		switch b := live.boundary(l.r.pos); {
		case b == l.r.pos:
		case b >= at.off:
			l.until = at.off // it is the next join point
			return nil
		default:
			l.until = b
			return nil
		}
	}
	l.until = -1
	return l.jump()
}

// jump moves the reader to the newest join point, or to the end of a stream that
// can be joined anywhere. It returns ErrBehind if that does not help.
func (l *LiveReader) jump() error {
	live := l.s.live
	if live == nil {
		return ErrBehind
	}
	to := l.s.log.end.Load()
	at := live.join.Load()
	info := live.info.Load()
	switch {
	case at != nil && at.off > l.r.pos && (info.Loose || live.boundary(l.r.pos) == l.r.pos):
		to = at.off
		if !l.first && !sameSlice(at.header, l.header) {
			l.give = at.header
		}
		l.header, l.first = at.header, false
	case live.anywhere.Load() && at == nil:
	default:
		return ErrBehind
	}
	l.skips++
	l.skipped += to - l.r.pos
	live.skips.Add(1)
	live.skipped.Add(to - l.r.pos)
	l.r.pos = to
	return nil
}

// sameSlice tells whether two slices are one.
func sameSlice(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
