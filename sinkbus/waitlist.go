package sinkbus

import (
	"sync"
	"sync/atomic"
	"time"
)

// Readers that have caught up are woken at most once in a window that grows
// with their number, so that a stream that trickles to thousands of them costs
// a bounded number of wake-ups: one wake-up of a reader, with the write that
// follows, costs some 10 µs of CPU. The window counts from the last wake-up, so
// the first bytes after a pause never wait; and below minWindow nothing does.
const (
	windowPerReader = 10 * time.Microsecond
	minWindow       = time.Millisecond
	maxWindow       = 50 * time.Millisecond
)

// waiter is a reader's place in a waitlist.
type waiter struct {
	// wake has room for one token, so waking never blocks.
	wake chan struct{}

	// queued is set while the waiter is in the list: by its owner before it
	// is pushed, cleared by who takes it out.
	queued atomic.Bool

	next *waiter
}

func (w *waiter) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// waitlist is the readers of a stream that wait for more. Pushing and waking
// take no lock.
type waitlist struct {
	head atomic.Pointer[waiter]

	// length is how many waiters are in the list.
	length atomic.Int32

	// readers is how many open readers the stream has, waiting or not. It
	// changes under the stream's lock.
	readers atomic.Int32

	// mu guards what follows; only the notifying side takes it.
	mu    sync.Mutex
	last  time.Time
	timer *time.Timer
	armed bool
}

// push adds w, unless it is still there from an earlier wait. The caller must
// look for what it waits for once more before it waits.
func (l *waitlist) push(w *waiter) {
	if w.queued.Swap(true) {
		return
	}
	l.length.Add(1)
	for {
		head := l.head.Load()
		w.next = head
		if l.head.CompareAndSwap(head, w) {
			return
		}
	}
}

// notify wakes the waiters now, or at the end of the window.
func (l *waitlist) notify() {
	if l.head.Load() == nil {
		return
	}
	window := min(maxWindow, time.Duration(l.readers.Load())*windowPerReader)
	if window < minWindow {
		l.wakeAll()
		return
	}
	l.mu.Lock()
	if l.armed {
		l.mu.Unlock()
		return
	}
	now := time.Now()
	if wait := window - now.Sub(l.last); wait > 0 {
		l.armed = true
		if l.timer == nil {
			l.timer = time.AfterFunc(wait, l.expire)
		} else {
			l.timer.Reset(wait)
		}
		l.mu.Unlock()
		return
	}
	l.last = now
	l.mu.Unlock()
	l.wakeAll()
}

// expire is the end of a window.
func (l *waitlist) expire() {
	l.mu.Lock()
	l.armed = false
	l.last = time.Now()
	l.mu.Unlock()
	l.wakeAll()
}

// wakeAll wakes all who wait.
func (l *waitlist) wakeAll() {
	w := l.head.Swap(nil)
	var n int32
	for w != nil {
		next := w.next // once queued is cleared the owner may push w again
		w.queued.Store(false)
		w.notify()
		w = next
		n++
	}
	if n > 0 {
		l.length.Add(-n)
	}
}
