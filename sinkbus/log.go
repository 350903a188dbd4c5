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

	// table holds the blocks in memory by number; it grows where all blocks are
	// kept, or more than a tail.
	table atomic.Pointer[table]

	// spill is where bytes that have left memory are, nil if they are gone.
	spill atomic.Pointer[spillRange]

	// The rest is the writer's.
	keep    int64    // how many blocks stay in memory at least, 0 for all
	first   int64    // the number of the oldest block in memory
	spilled int64    // up to where the bytes of the log are in spill
	tail    *block   // the newest block
	used    int      // how many bytes of it are in use
	iov     [][]byte // what flush writes, kept for its memory

	// retain is asked, where it is set, when the oldest block is to leave
	// memory at the given end. It returns the first byte that readers are to
	// find in memory, and the first that somebody will still want.
	retain func(end int64) (memory, wanted int64)

	// overflow returns a spill for a log that has none when bytes which
	// somebody wants leave memory. An error means that they are lost.
	overflow func() (Spill, error)
}

// spillRange is a spill, and the first byte from which on it has all that left
// memory.
type spillRange struct {
	Spill
	from int64
}

// maxKeep bounds what a live log keeps in memory beyond its tail, in blocks.
const maxKeep = 64 << 20 >> maxShift

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
	l := &log{shift: shift}
	if spill != nil {
		l.spill.Store(&spillRange{Spill: spill})
	}
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

// roll begins a new block. The oldest ones leave memory if there are too many.
func (l *log) roll() error {
	var no int64
	if l.tail != nil {
		no = l.tail.no + 1
	}
	if l.keep > 0 {
		if err := l.evict(no); err != nil {
			return err
		}
	}
	t := l.table.Load()
	if no-l.first > t.mask {
		grown := newTable(2 * (t.mask + 1))
		for i := l.first; i < no; i++ {
			grown.slot(i).Store(t.slot(i).Load())
		}
		l.table.Store(grown)
		t = grown
	}
	b := newBlock(l.shift, no)
	l.tail, l.used = b, 0
	t.slot(no).Store(b)
	return nil
}

// evict makes room in memory for block no. What is not in the spill by then is
// written first, all of it at once.
func (l *log) evict(no int64) error {
	first := no - l.keep + 1
	if first <= l.first {
		return nil
	}
	wanted := int64(0)
	if l.retain != nil {
		var memory int64
		memory, wanted = l.retain(l.end.Load())
		first = min(first, max(memory>>l.shift, no-maxKeep+1))
		if first <= l.first {
			return nil
		}
	}
	if err := l.save(first<<l.shift, wanted); err != nil {
		return err
	}
	// start moves before the slots are emptied: a reader that misses a block
	// then knows from start where to look for it
	l.start.Store(first << l.shift)
	t := l.table.Load()
	for ; l.first < first; l.first++ {
		if old := t.slot(l.first).Swap(nil); old != nil {
			old.unref(l.shift)
		}
	}
	return nil
}

// save sees to it that the bytes from wanted on, which leave memory below
// start, are in the spill.
func (l *log) save(start, wanted int64) error {
	if l.retain == nil {
		if l.spill.Load() != nil && l.spilled < start {
			return l.flush()
		}
		return nil
	}
	if wanted >= start {
		// nobody needs what leaves, so that the spill has a gap from here on
		if r := l.spill.Load(); r != nil {
			l.spill.Store(&spillRange{r.Spill, start})
		}
		l.spilled = max(l.spilled, start)
		return nil
	}
	if l.spilled >= start {
		return nil
	}
	r := l.spill.Load()
	if r == nil {
		l.spilled = l.first << l.shift
		spill, err := l.overflow()
		if err != nil {
			l.spilled = start
			return nil //nolint:nilerr // those who want the bytes find that they are gone
		}
		r = &spillRange{spill, l.spilled}
		l.spill.Store(r)
	}
	if l.spilled < l.first<<l.shift {
		l.spilled = l.first << l.shift
		r = &spillRange{r.Spill, l.spilled}
		l.spill.Store(r)
	}
	if err := l.flush(); err != nil {
		// the stream goes on; who wants the bytes finds that they are gone
		l.spilled = start
		l.spill.Store(&spillRange{r.Spill, start})
	}
	return nil
}

// flush writes what is not yet in the spill.
func (l *log) flush() error {
	end := l.end.Load()
	spill := l.spill.Load()
	if spill == nil || l.spilled == end {
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
	if w, ok := spill.Spill.(blockWriter); ok && len(l.iov) > 1 {
		n, err := w.WriteBlocksAt(l.iov, l.spilled)
		l.spilled += n
		return err
	}
	for _, p := range l.iov {
		n, err := spill.WriteAt(p, l.spilled)
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
	if spill := l.spill.Load(); spill != nil && off < l.spilled {
		n := min(int64(len(p)), l.spilled-off)
		if _, err := spill.WriteAt(p[:n], off); err != nil {
			return err
		}
	}
	for len(p) > 0 {
		no := off >> l.shift
		at := int(off & (1<<l.shift - 1))
		n := min(len(p), 1<<l.shift-at)
		if off >= l.start.Load() && l.tail != nil {
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
