package handler

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// Bytes of a stream that trickles are gathered before they are written to many
// connections, as it is the number of writes that costs: one is some 6 µs of
// CPU. The first bytes after a pause never wait.
const (
	// gatherPerMember is how long bytes wait for more, for each connection.
	gatherPerMember = time.Millisecond

	// maxGather bounds that.
	maxGather = 130 * time.Millisecond

	// minGathered is how many bytes are enough to be written at once: what a
	// stream brings in gatherTime, if that is more.
	minGathered = 2000
	gatherTime  = 3 * time.Millisecond

	// maxFrame is the most that is written at a time.
	maxFrame = 64 << 10

	// shardSize is how many connections one goroutine writes to before another
	// helps it, and maxShards bounds how many there are.
	shardSize = 1000
	maxShards = 4
)

// broadcast writes one stream to all the connections that were taken over for
// it: one goroutine, one write for each connection and frame, and none of them
// waits. Who takes no more is handed back to its own goroutine with what is left.
type broadcast struct {
	casts *broadcasts
	s     *sinkbus.Stream
	r     *sinkbus.Reader

	// mu guards what follows.
	mu       sync.Mutex
	incoming []*member
	ended    bool // no more members

	// The rest is the loop's.
	members []*member
	shared  frame
	writers [maxShards]frameWriter
	since   time.Time // of the rate
	from    int64
	rate    float64 // bytes a second
	last    time.Time
}

// broadcasts are those of a process, by their streams.
type broadcasts struct {
	mu   sync.Mutex
	open map[*sinkbus.Stream]*broadcast
}

// frame is a piece of a stream as it is written.
type frame struct {
	from, to int64  // its place in the stream
	chunk    []byte // with the framing of a chunk (RFC 9112 section 7.1)
	head     int    // the length of the chunk's first line
}

// set makes the frame of the bytes from an offset on.
func (f *frame) set(p []byte, from int64) {
	f.from, f.to = from, from+int64(len(p))
	f.chunk = strconv.AppendUint(f.chunk[:0], uint64(len(p)), 16)
	f.chunk = append(f.chunk, "\r\n"...)
	f.head = len(f.chunk)
	f.chunk = append(f.chunk, p...)
	f.chunk = append(f.chunk, "\r\n"...)
}

// plain returns the frame's bytes of the stream.
func (f *frame) plain() []byte { return f.chunk[f.head : len(f.chunk)-2] }

// bytes returns the frame as a client gets it.
func (f *frame) bytes(chunked bool) []byte {
	if chunked {
		return f.chunk
	}
	return f.plain()
}

// member is a connection in a broadcast. While it is in, the loop owns it;
// otherwise its own goroutine does.
type member struct {
	rawConn
	chunked bool

	// fresh tells that it has not found where to begin: it is given back with
	// the next bytes.
	fresh bool

	from int64        // the first byte of the stream that is still to be written
	rest []byte       // what is left of a frame, to be written before that
	sent atomic.Int64 // bytes of streams that were written

	// in is set by the goroutine, and cleared by the loop, which then wakes the
	// goroutine.
	in atomic.Bool

	// err is why the loop gave it back, nil to go on.
	err error
}

// of returns the broadcast of a stream, and begins it if there is none.
func (b *broadcasts) of(s *sinkbus.Stream, off int64) (*broadcast, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.open[s]; c != nil {
		return c, nil
	}
	r, err := s.NewReader(context.Background(), off)
	if err != nil {
		return nil, err
	}
	c := &broadcast{casts: b, s: s, r: r, since: time.Now(), from: off}
	if b.open == nil {
		b.open = make(map[*sinkbus.Stream]*broadcast)
	}
	b.open[s] = c
	go c.run()
	return c, nil
}

// join hands a member to the loop. It returns false when there is none any more,
// and when a fresh member has something to look at already.
func (c *broadcast) join(m *member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || m.fresh && c.s.Size() > m.from {
		return false
	}
	m.err = nil
	m.in.Store(true)
	c.incoming = append(c.incoming, m)
	return true
}

// run writes the stream until it ends or nobody is left.
func (c *broadcast) run() {
	defer c.r.Close()
	for {
		if err := c.gather(); err != nil {
			c.end(err)
			return
		}
		p, err := c.r.TryNext(maxFrame)
		if errors.Is(err, sinkbus.ErrBehind) {
			c.restart()
			continue
		}
		if err != nil {
			c.end(err)
			return
		}
		if !c.admit() {
			return
		}
		if len(p) > 0 {
			c.send(p, c.r.Offset()-int64(len(p)))
		}
	}
}

// gather waits until there is enough to be written.
func (c *broadcast) gather() error {
	if err := c.r.AwaitUntil(1, time.Now().Add(time.Hour)); err != nil {
		return err
	}
	now := time.Now()
	wait := min(maxGather, time.Duration(len(c.members))*gatherPerMember)
	idle := now.Sub(c.last) > 2*maxGather
	c.last = now
	if idle || wait < gatherPerMember*8 {
		return nil
	}
	enough := max(minGathered, int64(c.rate*gatherTime.Seconds()))
	err := c.r.AwaitUntil(min(enough, maxFrame), now.Add(wait))
	c.last = time.Now()
	return err
}

// admit takes the new members in. It returns false when there are none at all:
// the broadcast is over then.
func (c *broadcast) admit() bool {
	c.casts.mu.Lock()
	defer c.casts.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = append(c.members, c.incoming...)
	clear(c.incoming)
	c.incoming = c.incoming[:0]
	if len(c.members) > 0 {
		return true
	}
	c.ended = true
	delete(c.casts.open, c.s)
	return false
}

// send writes a piece of the stream to every member: in several goroutines where
// there are so many that the last one would wait for long.
func (c *broadcast) send(p []byte, off int64) {
	c.shared.set(p, off)
	shards := min(maxShards, runtime.GOMAXPROCS(0), 1+len(c.members)/shardSize)
	size := (len(c.members) + shards - 1) / shards
	var kept [maxShards][]*member
	var wg sync.WaitGroup
	for i := range shards {
		part := c.members[min(i*size, len(c.members)):min((i+1)*size, len(c.members))]
		if i == shards-1 {
			kept[i] = c.sendTo(part, &c.writers[i])
			break
		}
		wg.Go(func() { kept[i] = c.sendTo(part, &c.writers[i]) })
	}
	wg.Wait()
	all := c.members[:0]
	for _, part := range kept[:shards] {
		all = append(all, part...)
	}
	clear(c.members[len(all):])
	c.members = all
	c.measure(off + int64(len(p)))
}

// sendTo writes the shared frame to some of the members, and returns those that
// stay, in the same memory.
func (c *broadcast) sendTo(members []*member, out *frameWriter) []*member {
	var own frame
	kept := members[:0]
	for _, m := range members {
		f := &c.shared
		switch {
		case m.fresh, m.from < f.from: // it is to find its place, or to catch up
			c.giveBack(m, nil)
			continue
		case m.from >= f.to: // it has been given this already
			kept = append(kept, m)
			continue
		case m.from > f.from:
			own.set(f.plain()[m.from-f.from:], m.from)
			f = &own
		}
		b := f.bytes(m.chunked)
		n, err := out.write(m, b)
		if err == nil {
			m.sent.Add(f.to - f.from)
			m.from = f.to
			if n == len(b) {
				kept = append(kept, m)
				continue
			}
			m.rest = append(m.rest[:0], b[n:]...)
		}
		c.giveBack(m, err)
	}
	return kept
}

// measure keeps the rate of the stream.
func (c *broadcast) measure(end int64) {
	now := time.Now()
	if d := now.Sub(c.since); d >= time.Second {
		c.rate = float64(end-c.from) / d.Seconds()
		c.since, c.from = now, end
	}
}

// giveBack hands a member to its own goroutine.
func (c *broadcast) giveBack(m *member, err error) {
	m.err = err
	m.in.Store(false)
	m.wake()
}

// restart gives all members back, since the loop itself fell behind.
func (c *broadcast) restart() {
	c.mu.Lock()
	all := append(c.members, c.incoming...)
	c.members, c.incoming = nil, nil
	c.mu.Unlock()
	for _, m := range all {
		c.giveBack(m, nil)
	}
	c.r.SkipTo(c.s.Size())
}

// end gives all members back at the end of the stream. They read what is left of
// it themselves.
func (c *broadcast) end(error) {
	c.casts.mu.Lock()
	delete(c.casts.open, c.s)
	c.casts.mu.Unlock()
	c.mu.Lock()
	c.ended = true
	all := append(c.members, c.incoming...)
	c.members, c.incoming = nil, nil
	c.mu.Unlock()
	for _, m := range all {
		c.giveBack(m, nil)
	}
}
