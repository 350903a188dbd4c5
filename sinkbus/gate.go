package sinkbus

import (
	"context"
	"sync"
)

// gate holds producers back until the first client asks for their input.
type gate struct {
	// mu guards what follows.
	mu   sync.Mutex
	shut chan struct{} // nil unless held; closed when released
	open bool          // it is never shut again
}

// Hold has the bus's producers wait with their first byte until Release is
// called. It does nothing once that has been called.
func (b *Bus) Hold() {
	b.gate.mu.Lock()
	defer b.gate.mu.Unlock()
	if !b.gate.open && b.gate.shut == nil {
		b.gate.shut = make(chan struct{})
	}
}

// Release lets the bus's producers go on, for good.
func (b *Bus) Release() { b.gate.release() }

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil && !g.open {
		close(g.shut)
	}
	g.open = true
}

// Await waits until the bus's producers may go on. It returns the context's
// error when that is done first.
func (b *Bus) Await(ctx context.Context) error {
	b.gate.mu.Lock()
	shut := b.gate.shut
	b.gate.mu.Unlock()
	if shut == nil {
		return nil
	}
	select {
	case <-shut:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
