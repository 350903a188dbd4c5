package sourcebus

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// maxTaken bounds how many things an output does at a time. What comes on top of
// that is not taken, and logged as an error.
const maxTaken = 1024

// Taker does the work of a Consumer, stream by stream.
type Taker interface {
	// Take takes a stream, of which r has all the bytes from its offset on, in a
	// goroutine of its own. It is back soon after the stream has ended or ctx is
	// done, whichever comes first, and has closed r then. What it returns, if it
	// is not nil, is called next, when the streams of the same name that have
	// ended before are dealt with. Errors are logged.
	Take(ctx context.Context, s *sinkbus.Stream, r *sinkbus.Reader) (finish func(context.Context) error, err error)

	// Delete deletes what was made of the streams of a name that have ended.
	Delete(ctx context.Context, name string) error
}

// taking is what an output is busy with.
type taking struct {
	*Output
	taker Taker
	later context.Context // for what is to be done after the output's is done
	slots chan struct{}
	wg    sync.WaitGroup
	lines lines

	// open has the streams whose end was not seen yet; each gets its place in
	// line then.
	open map[*sinkbus.Stream]chan place
}

// Each has t take every stream, and delete what the input deletes, until the
// input is over or ctx is done, and then waits until t has done. Streams of one
// name, and their deletion, are dealt with in the order in which they have
// ended.
func (o *Output) Each(ctx context.Context, t Taker) error {
	later, cancel := lingering(ctx, stopGrace)
	defer cancel()
	k := &taking{
		Output: o,
		taker:  t,
		later:  later,
		slots:  make(chan struct{}, maxTaken),
		lines:  lines{last: make(map[string]chan struct{})},
		open:   make(map[*sinkbus.Stream]chan place),
	}
	defer k.wg.Wait()
	defer k.passOver(func(*sinkbus.Stream) bool { return true })
	for {
		e, err := o.follower.Next(ctx)
		switch {
		case errors.Is(err, sinkbus.ErrLost):
			k.passOver(func(s *sinkbus.Stream) bool { return s.State() != sinkbus.Open })
			o.follower.Close()
			o.follower = o.Input.Follow(true)
			o.Logger.Error("output fell behind", zap.Error(err))
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch e.Kind {
		case sinkbus.Opened:
			k.opened(ctx, e)
		case sinkbus.Completed, sinkbus.Broken:
			if ended := k.open[e.Stream]; ended != nil {
				delete(k.open, e.Stream)
				ended <- k.lines.join(e.Name)
			}
		case sinkbus.Deleted:
			k.deleted(e.Name)
		}
	}
}

// passOver gives those streams a place in no line, whose end will not be seen.
func (k *taking) passOver(which func(*sinkbus.Stream) bool) {
	for s, ended := range k.open {
		if which(s) {
			delete(k.open, s)
			ended <- place{}
		}
	}
}

// opened begins to take a stream.
func (k *taking) opened(ctx context.Context, e sinkbus.Event) {
	if e.Reader == nil {
		return // it is gone already
	}
	if k.open[e.Stream] != nil || !k.begin(e.Name) {
		e.Reader.Close()
		return
	}
	ended := make(chan place, 1)
	k.open[e.Stream] = ended
	k.wg.Go(func() {
		defer k.end()
		finish, err := k.taker.Take(ctx, e.Stream, e.Reader)
		k.report(e.Name, err)
		at := <-ended
		defer at.leave()
		if finish != nil {
			at.wait(k.later)
			k.report(e.Name, finish(k.later))
		}
	})
}

// deleted deletes what has a name.
func (k *taking) deleted(name string) {
	if !k.begin(name) {
		return
	}
	at := k.lines.join(name)
	k.wg.Go(func() {
		defer k.end()
		defer at.leave()
		at.wait(k.later)
		k.report(name, k.taker.Delete(k.later, name))
	})
}

// begin takes a slot, which end gives back. There may be none.
func (k *taking) begin(name string) bool {
	select {
	case k.slots <- struct{}{}:
		return true
	default:
		k.Logger.Error("output is too busy", zap.String("stream", name), zap.Int("limit", maxTaken))
		return false
	}
}

func (k *taking) end() { <-k.slots }

func (k *taking) report(name string, err error) {
	if err != nil {
		k.Logger.Warn("stream was not taken", zap.String("stream", name), zap.Error(err))
	}
}

// lines have what is to be done about each name done in turn.
type lines struct {
	// mu guards last.
	mu   sync.Mutex
	last map[string]chan struct{} // is closed when the last in line is done
}

// place is a place in a line.
type place struct {
	before <-chan struct{} // closed when those before are done; nil if there are none
	done   func()
}

// join returns the next place in a line, which must be left.
func (l *lines) join(name string) place {
	done := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.last[name]
	l.last[name] = done
	return place{before, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		close(done)
		if l.last[name] == done {
			delete(l.last, name)
		}
	}}
}

// wait waits for those before, or for the end of ctx.
func (p place) wait(ctx context.Context) {
	if p.before == nil {
		return
	}
	select {
	case <-p.before:
	case <-ctx.Done():
	}
}

func (p place) leave() {
	if p.done != nil {
		p.done()
	}
}

// lingering returns a context that is done a while after ctx is, or when cancel
// is called.
func lingering(ctx context.Context, d time.Duration) (later context.Context, cancel context.CancelFunc) {
	later, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if pause(later, d) == nil {
			end()
		}
	})
	return later, func() {
		stop()
		end()
	}
}
