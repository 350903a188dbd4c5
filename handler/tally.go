package handler

import "sync"

// tally counts what is going on, for who waits until there is nothing left.
type tally struct {
	// mu guards what follows.
	mu   sync.Mutex
	n    int
	zero chan struct{} // nil unless somebody waits; closed when n is 0
}

func (t *tally) enter() {
	t.mu.Lock()
	t.n++
	t.mu.Unlock()
}

func (t *tally) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n--
	if t.n == 0 && t.zero != nil {
		close(t.zero)
		t.zero = nil
	}
}

// await waits until nothing is going on, and returns true, or until it gives up.
func await[T any](t *tally, giveUp <-chan T) bool {
	t.mu.Lock()
	if t.n == 0 {
		t.mu.Unlock()
		return true
	}
	if t.zero == nil {
		t.zero = make(chan struct{})
	}
	zero := t.zero
	t.mu.Unlock()
	select {
	case <-zero:
		return true
	case <-giveUp:
		return false
	}
}
