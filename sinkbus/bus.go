package sinkbus

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Bus is a set of open streams by path. Several streams may be open on one
// path: the newest is the one that is found.
type Bus struct {
	count atomic.Int64

	// mu guards streams; the newest of a path is the last.
	mu      sync.RWMutex
	streams map[string][]*Stream
}

// NewBus returns an empty bus.
func NewBus() *Bus { return &Bus{streams: make(map[string][]*Stream)} }

// Open puts a new stream on the bus, until it ends.
func (b *Bus) Open(name string, o Options) *Stream {
	s := NewStream(name, o)
	s.bus = b
	b.mu.Lock()
	b.streams[name] = append(b.streams[name], s)
	b.count.Add(1)
	b.mu.Unlock()
	return s
}

// Lookup returns the newest open stream of the given name, nil if there is
// none. It costs next to nothing while the bus is empty.
func (b *Bus) Lookup(name string) *Stream {
	if b.count.Load() == 0 {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if list := b.streams[name]; len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}

// Len returns the number of open streams.
func (b *Bus) Len() int { return int(b.count.Load()) }

// Streams returns the newest open stream of each name.
func (b *Bus) Streams() []*Stream {
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := make([]*Stream, 0, len(b.streams))
	for _, s := range b.streams {
		list = append(list, s[len(s)-1])
	}
	return list
}

// AbortAll aborts every open stream for the given reason.
func (b *Bus) AbortAll(err error) {
	b.mu.RLock()
	var all []*Stream
	for _, list := range b.streams {
		all = append(all, list...)
	}
	b.mu.RUnlock()
	for _, s := range all {
		s.Abort(err)
	}
}

func (b *Bus) remove(s *Stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.streams[s.Name]
	i := slices.Index(list, s)
	if i < 0 {
		return
	}
	b.count.Add(-1)
	if len(list) == 1 {
		delete(b.streams, s.Name)
		return
	}
	b.streams[s.Name] = slices.Delete(slices.Clone(list), i, i+1)
}
