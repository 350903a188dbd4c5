package sinkbus

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrOver is returned for a stream that is to be opened on a bus that has been
// closed.
var ErrOver = errors.New("the input is over")

// BusOptions are what the streams of a bus have in common.
type BusOptions struct {
	// Many tells that several streams are open at a time, each under a name of
	// its own, as a packager's are.
	Many bool

	// MediaType is the type of all streams, whatever their producers declare.
	MediaType string

	// Properties go before those that producers declare.
	Properties Properties

	// NewFramer returns what follows the units of a stream with the given type
	// and name. Without it readers join streams anywhere.
	NewFramer func(mediaType, name string) Framer
}

// Bus is a set of open streams by path, and the events about them. Several
// streams may be open on one path: the newest is the one that is found.
type Bus struct {
	o     BusOptions
	count atomic.Int64
	over  chan struct{} // closed by Close
	gate  gate

	// mu guards what follows; the newest stream of a path is the last.
	mu        sync.RWMutex
	streams   map[string][]*Stream
	followers []*Follower
	changed   chan struct{} // closed and replaced with every event
	opened    int64         // how many streams there have been
	closed    bool
}

// NewBus returns an empty bus.
func NewBus(o BusOptions) *Bus {
	return &Bus{
		o:       o,
		over:    make(chan struct{}),
		streams: make(map[string][]*Stream),
		changed: make(chan struct{}),
	}
}

// Open puts a new stream on the bus, until it ends. It is kept as its options
// say.
func (b *Bus) Open(name string, o Options) *Stream {
	s := NewStream(name, o)
	s.bus = b
	b.mu.Lock()
	b.addLocked(s)
	b.mu.Unlock()
	return s
}

// Declared is what a producer says of a stream that it opens.
type Declared struct {
	MediaType string

	// Length is the number of bytes that there will be, -1 if it is not known.
	Length int64

	Properties Properties
}

// OpenLive puts a new live stream on the bus, until it ends: a bounded tail of
// it is kept, and of older bytes what readers have claimed. It returns ErrOver
// once the bus is closed.
func (b *Bus) OpenLive(name string, d Declared) (*Stream, error) {
	o := Options{MediaType: d.MediaType, Length: d.Length, Live: true}
	if b.o.MediaType != "" {
		o.MediaType = b.o.MediaType
	}
	o.Properties = b.o.Properties.Over(d.Properties)
	if b.o.NewFramer != nil {
		o.Framer = b.o.NewFramer(o.MediaType, name)
	}
	s := NewStream(name, o)
	s.bus = b
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrOver
	}
	b.addLocked(s)
	return s, nil
}

func (b *Bus) addLocked(s *Stream) {
	b.streams[s.Name] = append(b.streams[s.Name], s)
	b.count.Add(1)
	b.opened++
	s.serial = b.opened
	b.emitLocked(Event{Kind: Opened, Name: s.Name, Stream: s})
}

// Many tells whether the bus has several streams at a time.
func (b *Bus) Many() bool { return b.o.Many }

// Properties returns what is known of all streams of the bus.
func (b *Bus) Properties() Properties { return b.o.Properties }

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

// Newest returns the open stream that was opened last among those that match,
// nil if there is none.
func (b *Bus) Newest(match func(*Stream) bool) *Stream {
	if b.count.Load() == 0 {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	var newest *Stream
	for _, list := range b.streams {
		for _, s := range list {
			if (newest == nil || s.serial > newest.serial) && match(s) {
				newest = s
			}
		}
	}
	return newest
}

// Len returns the number of open streams.
func (b *Bus) Len() int { return int(b.count.Load()) }

// Opened returns how many streams there have been so far.
func (b *Bus) Opened() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.opened
}

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
	for _, s := range b.all() {
		s.Abort(err)
	}
}

// CompleteAll completes every open stream.
func (b *Bus) CompleteAll() {
	for _, s := range b.all() {
		s.Complete()
	}
}

func (b *Bus) all() []*Stream {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var all []*Stream
	for _, list := range b.streams {
		all = append(all, list...)
	}
	return all
}

// Delete tells those who follow the bus that what has the name is to be
// deleted. Open streams go on.
func (b *Bus) Delete(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.emitLocked(Event{Kind: Deleted, Name: name})
	}
}

// Close says that there will be no more streams: the input is over. Open ones
// go on until they end.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	close(b.over)
	close(b.changed)
	for _, f := range b.followers {
		f.close()
	}
	b.gate.release()
}

// Over is closed when the input is over.
func (b *Bus) Over() <-chan struct{} { return b.over }

// Changed returns a channel that is closed with the next event, and is closed
// already when the input is over. Who waits for something takes the channel
// first, and then looks for it.
func (b *Bus) Changed() <-chan struct{} {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.changed
}

// ended is called once by a stream that has ended.
func (b *Bus) ended(s *Stream, e Event) {
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
	} else {
		b.streams[s.Name] = slices.Delete(slices.Clone(list), i, i+1)
	}
	b.emitLocked(e)
}
