package sinkbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// EventKind says what has happened on a bus.
type EventKind uint8

// What happens on a bus.
const (
	Opened    EventKind = iota + 1 // a stream has been opened
	Completed                      // it has ended, and has all of its bytes
	Broken                         // it was aborted
	Deleted                        // its producer wants the name to be deleted
)

// String returns the name of the kind.
func (k EventKind) String() string {
	switch k {
	case Opened:
		return "opened"
	case Completed:
		return "completed"
	case Broken:
		return "aborted"
	case Deleted:
		return "deleted"
	default:
		return fmt.Sprintf("event %d", k)
	}
}

// Event is something that has happened on a bus.
type Event struct {
	Kind EventKind
	Name string

	// Stream is what was opened or has ended, nil for Deleted.
	Stream *Stream

	// Reader is at the stream's first byte, or at the first one that can be
	// had. It comes with Opened for a follower that wants whole streams, and
	// must be closed by it; otherwise it is nil.
	Reader *Reader
}

// maxEvents bounds how many events a follower may leave waiting.
const maxEvents = 1 << 16

// ErrLost is returned to a follower that has left too many events waiting.
var ErrLost = errors.New("the follower fell behind the events of the bus")

// Follower is one consumer's position in the events of a bus. It is for one
// goroutine at a time and must be closed.
type Follower struct {
	bus   *Bus
	whole bool

	// mu guards what follows.
	mu    sync.Mutex
	queue []Event
	err   error         // what comes after the queue
	more  chan struct{} // has room for one token
}

// Follow returns a follower that gets every event from now on, after an Opened
// for each stream that is open now. With whole, it gets a reader with each
// stream, whose bytes are kept for it: all of them for a stream that is opened
// from now on.
func (b *Bus) Follow(whole bool) *Follower {
	f := &Follower{bus: b, whole: whole, more: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	open := make([]*Stream, 0, len(b.streams))
	for _, list := range b.streams {
		open = append(open, list...)
	}
	slices.SortFunc(open, func(x, y *Stream) int { return int(x.serial - y.serial) })
	for _, s := range open {
		f.add(Event{Kind: Opened, Name: s.Name, Stream: s})
	}
	if b.closed {
		f.close()
		return f
	}
	b.followers = append(b.followers, f)
	return f
}

// emitLocked gives an event to all who follow. The caller holds b.mu.
func (b *Bus) emitLocked(e Event) {
	for _, f := range b.followers {
		f.add(e)
	}
	if !b.closed {
		close(b.changed)
		b.changed = make(chan struct{})
	}
}

func (f *Follower) add(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.err != nil:
		return
	case len(f.queue) >= maxEvents:
		f.err = ErrLost
	default:
		if f.whole && e.Kind == Opened {
			e.Reader = e.Stream.wholeReader()
		}
		f.queue = append(f.queue, e)
	}
	f.wake()
}

// close ends the events: the queue can still be read.
func (f *Follower) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = io.EOF
	}
	f.wake()
}

func (f *Follower) wake() {
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// Next returns the next event, and waits for one. After the last event of an
// input that is over it returns io.EOF; otherwise the context's error, or
// ErrLost.
func (f *Follower) Next(ctx context.Context) (Event, error) {
	for {
		f.mu.Lock()
		if len(f.queue) > 0 {
			e := f.queue[0]
			f.queue[0] = Event{}
			f.queue = f.queue[1:]
			f.mu.Unlock()
			return e, nil
		}
		err := f.err
		f.mu.Unlock()
		if err != nil {
			return Event{}, err
		}
		select {
		case <-f.more:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// Close ends following. Events that were not taken are dropped.
func (f *Follower) Close() {
	b := f.bus
	b.mu.Lock()
	if i := slices.Index(b.followers, f); i >= 0 {
		b.followers = slices.Delete(b.followers, i, i+1)
	}
	b.mu.Unlock()

	f.mu.Lock()
	queue := f.queue
	f.queue, f.err = nil, ErrClosed
	f.mu.Unlock()
	for _, e := range queue {
		if e.Reader != nil {
			e.Reader.Close()
		}
	}
}

// Followed tells whether anybody follows the bus.
func (b *Bus) Followed() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.followers) > 0
}
