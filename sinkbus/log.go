package sinkbus

import (
	"io"
	"sync/atomic"
)

// Spill is where a log with a bounded tail keeps the bytes that have left
// memory; an *os.File is one. A log writes to it in large pieces: about as much
// as it keeps in memory at a time.
type Spill interface {
	io.ReaderAt
	io.WriterAt
}

// blockWriter is a Spill that takes several blocks in one call.
type blockWriter interface {
	WriteBlocksAt(blocks [][]byte, off int64) (int64, error)
}

// log is the bytes of a stream, in blocks. One goroutine at a time writes it;
// readers need no lock.
//
// The writer stores bytes into the room of the newest block and then publishes
// them by advancing end. Readers load end before anything else, so whatever
// they find below it has been written before.
type log struct {
	shift uint

	// end is how many bytes readers may see.
	end atomic.Int64

	// start is the first byte that is still in memory: a multiple of the
	// block size. Bytes before it are in spill, or gone.
	start atomic.Int64

	// table holds the blocks in memory by number; it only grows where all
	// blocks are kept.
	table atomic.Pointer[table]

	// keep is how many blocks stay in memory, 0 for all.
	keep int64

	// The rest is the writer's.
	spill   Spill    // may be read by readers
	spilled int64    // how many bytes of the log are in spill
	tail    *block   // the newest block
	used    int      // how many bytes of it are in use
	iov     [][]byte // what flush writes, kept for its memory
}

// table maps block numbers to slots. Where only a tail is kept it is a ring.
type table struct {
	mask  int64
	slots []atomic.Pointer[block]
}

func newTable(n int64) *table {
	size := int64(1)
	for size < n {
		size <<= 1
	}
	return &table{mask: size - 1, slots: make([]atomic.Pointer[block], size)}
}

func (t *table) slot(no int64) *atomic.Pointer[block] { return &t.slots[no&t.mask] }

// newLog returns an empty log whose blocks hold 1<<shift bytes, that keeps
// about tail bytes in memory (0: all) and the bytes before them in spill, if
// there is one.
func newLog(shift uint, tail int64, spill Spill) *log {
	l := &log{shift: shift, spill: spill}
	if tail > 0 {
		l.keep = max(2, (tail+1<<shift-1)>>shift)
		l.table.Store(newTable(l.keep))
	} else {
		l.table.Store(newTable(1))
	}
	return l
}

// room returns where the next bytes of the log go. It is never empty.
func (l *log) room() ([]byte, error) {
	if l.tail == nil || l.used == len(l.tail.data) {
		if err := l.roll(); err != nil {
			return nil, err
		}
	}
	return l.tail.data[l.used:], nil
}

// commit publishes n bytes that were written into the room.
func (l *log) commit(n int) {
	l.used += n
	l.end.Add(int64(n))
}

// roll begins a new block. The oldest leaves memory if there are too many; what
// is not in the spill by then is written first, all of it at once.
func (l *log) roll() error {
	var no int64
	if l.tail != nil {
		no = l.tail.no + 1
	}
	t := l.table.Load()
	switch {
	case l.keep > 0 && no >= l.keep:
		start := (no - l.keep + 1) << l.shift
		if l.spill != nil && l.spilled < start {
			if err := l.flush(); err != nil {
				return err
			}
		}
		// start moves before the slot is emptied: a reader that misses the
		// block then knows from start where to look for it
		l.start.Store(start)
		if old := t.slot(no - l.keep).Swap(nil); old != nil {
			old.unref(l.shift)
		}
	case l.keep == 0 && no > t.mask:
		grown := newTable(2 * (t.mask + 1))
		for i := range t.slots {
			grown.slots[i].Store(t.slots[i].Load())
		}
		l.table.Store(grown)
		t = grown
	}
	b := newBlock(l.shift, no)
	l.tail, l.used = b, 0
	t.slot(no).Store(b)
	return nil
}

// flush writes what is not yet in the spill.
func (l *log) flush() error {
	end := l.end.Load()
	if l.spill == nil || l.spilled == end {
		return nil
	}
	t := l.table.Load()
	l.iov = l.iov[:0]
	for off := l.spilled; off < end; {
		b := t.slot(off >> l.shift).Load()
		base := b.no << l.shift
		stop := min(end, base+1<<l.shift)
		l.iov = append(l.iov, b.data[off-base:stop-base])
		off = stop
	}
	defer clear(l.iov) // blocks must not be kept alive
	if w, ok := l.spill.(blockWriter); ok && len(l.iov) > 1 {
		n, err := w.WriteBlocksAt(l.iov, l.spilled)
		l.spilled += n
		return err
	}
	for _, p := range l.iov {
		n, err := l.spill.WriteAt(p, l.spilled)
		l.spilled += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// pin returns the block with the given number and a reference to it, or nil
// when it is not in memory.
func (l *log) pin(no int64) *block {
	for {
		slot := l.table.Load().slot(no)
		b := slot.Load()
		if b == nil {
			return nil
		}
		if !b.ref() {
			continue // just replaced or recycled: the slot has changed
		}
		if slot.Load() != b {
			b.unref(l.shift)
			continue
		}
		if b.no != no {
			b.unref(l.shift)
			return nil
		}
		return b
	}
}

// writeAt overwrites bytes below end. Blocks in memory are replaced by patched
// copies, so that a reader sees a block as it was or as it is, never between.
func (l *log) writeAt(p []byte, off int64) error {
	if l.spill != nil && off < l.spilled {
		n := min(int64(len(p)), l.spilled-off)
		if _, err := l.spill.WriteAt(p[:n], off); err != nil {
			return err
		}
	}
	for len(p) > 0 {
		no := off >> l.shift
		at := int(off & (1<<l.shift - 1))
		n := min(len(p), 1<<l.shift-at)
		if off >= l.start.Load() {
			l.patch(no, at, p[:n])
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// patch replaces block no by a copy that has p at the given place.
func (l *log) patch(no int64, at int, p []byte) {
	slot := l.table.Load().slot(no)
	old := slot.Load()
	b := newBlock(l.shift, no)
	copy(b.data, old.data)
	copy(b.data[at:], p)
	if old == l.tail {
		l.tail = b
	}
	slot.Store(b)
	old.replaced.Store(true)
	old.unref(l.shift)
}

// release gives the blocks in memory back. Readers go on with those they have
// pinned, then with the spill; the log must be flushed before.
func (l *log) release() {
	l.start.Store(l.end.Load())
	t := l.table.Load()
	for i := range t.slots {
		if b := t.slots[i].Swap(nil); b != nil {
			b.unref(l.shift)
		}
	}
	l.tail = nil
}
