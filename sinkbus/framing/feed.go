package framing

import (
	"time"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// maxUnit is how many bytes of a unit are kept at most: what has to be seen
// whole is the format's header, or a part of it. A framer that would need more
// gives up.
const maxUnit = 1 << 20

// maxIdle is how much of its memory a feed keeps when it needs none.
const maxIdle = 64 << 10

// nowhere is for no place in the stream.
const nowhere = -1

// parser takes units off the front of a stream's bytes.
type parser interface {
	// next looks at the unit that begins with p, which is not empty. It returns
	// how long the unit is, which may be more than p has: the rest is passed
	// over. If p does not tell, it returns 0 and how many bytes it has to see,
	// more than p has. What it does may depend on no more of p than that, so
	// that it is the same however the stream is cut.
	next(p []byte) (size int64, need int)
}

// feed cuts a stream into units. It is what all framers have in common.
type feed struct {
	off  int64  // where in the stream the next unit begins
	skip int64  // bytes left of the unit before it
	kept []byte // kept[at:] are the first bytes of the next unit
	at   int
	need int // how many of them it takes to tell what they are

	mark func(off int64, join bool) // only while scanning
	head []byte                     // the header for the newest join
	info sinkbus.Info

	// over is set when the stream can no longer be followed.
	over bool
}

// Header returns the header for the newest join.
func (f *feed) Header() []byte { return f.head }

// Info returns what is known about the stream so far.
func (f *feed) Info() sinkbus.Info {
	info := f.info
	info.Unknown = info.Unknown || f.over
	return info
}

// join reports a place to join the stream after a header, nil for none.
func (f *feed) join(off int64, head []byte) {
	f.head = head
	f.mark(off, true)
}

// scan passes the next bytes of the stream to the parser.
func (f *feed) scan(p []byte, mark func(off int64, join bool), u parser) {
	f.mark = mark
	for len(p) > 0 && !f.over {
		switch {
		case f.skip > 0:
			n := min(f.skip, int64(len(p)))
			f.skip -= n
			p = p[n:]
		case len(f.kept) == f.at:
			p = f.direct(p, u)
		default:
			n := min(f.need-(len(f.kept)-f.at), len(p))
			f.keep(p[:n])
			p = p[n:]
			f.drain(u)
		}
	}
	if f.over {
		f.kept, f.at = nil, 0
	}
	f.mark = nil
}

// direct takes one unit off p, which is at the start of one.
func (f *feed) direct(p []byte, u parser) []byte {
	size, need := u.next(p)
	switch {
	case size >= int64(len(p)):
		f.off += size
		f.skip = size - int64(len(p))
		return nil
	case size > 0:
		f.off += size
		return p[size:]
	case need <= len(p) || need > maxUnit:
		f.over = true
		return nil
	default:
		f.keep(p)
		f.need = need
		return nil
	}
}

// drain takes units off the bytes that are kept, as far as they suffice.
func (f *feed) drain(u parser) {
	for len(f.kept)-f.at >= f.need {
		p := f.kept[f.at:]
		size, need := u.next(p)
		switch {
		case size >= int64(len(p)):
			f.off += size
			f.skip = size - int64(len(p))
			f.drop()
			return
		case size > 0:
			f.off += size
			f.at += int(size)
			f.need = 1
		case need <= len(p) || need > maxUnit:
			f.over = true
			return
		default:
			f.need = need
		}
		if f.over {
			return
		}
	}
}

// keep adds p to the bytes that are kept. It makes room at the front where
// that moves few bytes.
func (f *feed) keep(p []byte) {
	if rest := len(f.kept) - f.at; len(f.kept)+len(p) > cap(f.kept) && rest <= f.at {
		copy(f.kept, f.kept[f.at:])
		f.kept, f.at = f.kept[:rest], 0
	}
	f.kept = append(f.kept, p...)
}

// drop forgets the bytes that are kept.
func (f *feed) drop() {
	f.kept, f.at = f.kept[:0], 0
	if cap(f.kept) > maxIdle {
		f.kept = nil
	}
}

// giveUp ends the following of the stream. Its result is that of next.
func (f *feed) giveUp() (int64, int) {
	f.over = true
	return 0, 0
}

// These are the longest steps of a clock that count as the stream's own time,
// forward, and back where tracks are interleaved. After a longer one the clock
// has started anew.
const (
	maxStep = time.Minute
	maxBack = 3 * time.Second
)

// patience is how many bytes of a stream with video are watched for a picture
// that can be decoded alone, before any other is taken for a place to join: a
// player then has to find its way.
const patience = 4 << 20

// keyframes tells whether pictures that can be decoded alone are to be waited
// for.
type keyframes struct {
	since int64 // where in the stream the first one may come
	seen  bool
}

// canJoin reports whether one can join at a picture.
func (k *keyframes) canJoin(off int64, key bool) bool {
	k.seen = k.seen || key
	return key || !k.seen && off-k.since >= patience
}

// timeline adds up how far a clock in the stream has gone.
type timeline struct {
	played  time.Duration
	last    int64
	rest    int64 // of the last tick's division
	started bool
}

// start sets the clock without counting the way to there.
func (t *timeline) start(now int64) {
	t.last, t.rest, t.started = now, 0, true
}

// advance sets the clock to now, in units of 1/rate seconds. A clock with a
// wrap that is not 0 starts again from 0 when it reaches it.
func (t *timeline) advance(now, rate, wrap int64) {
	if !t.started {
		t.start(now)
	}
	if rate <= 0 {
		return
	}
	step := now - t.last
	if wrap > 0 {
		if step %= wrap; step < -wrap/2 {
			step += wrap
		} else if step > wrap/2 {
			step -= wrap
		}
	}
	const seconds = int64(maxStep / time.Second)
	limit, back := rate*seconds, rate*int64(maxBack/time.Second)
	switch {
	case limit/rate != seconds || step > limit || step < -back:
		t.start(now)
	case step > 0:
		t.last = now
		t.add(step, rate)
	}
}

// add counts n units of 1/rate seconds, not more than maxStep of them.
func (t *timeline) add(n, rate int64) {
	whole := n / rate
	t.played += time.Duration(whole) * time.Second
	n -= whole * rate
	// Both factors are below 2^33 for every clock that a format may have.
	ns := n*int64(time.Second) + t.rest
	if rate > 1<<33 {
		ns = 0
	}
	t.played += time.Duration(ns / rate)
	t.rest = ns % rate
}
