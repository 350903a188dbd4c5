package sinkbus

import (
	"sync"
	"sync/atomic"
)

// Blocks are powers of two, from minShift for a stream that is known to be
// small to maxShift. 128 KiB is what one read from a busy socket returns and
// one write to a file takes well.
const (
	minShift = 12
	maxShift = 17
)

// block is a fixed piece of a log. Its bytes are written once, by the log's
// writer, and are read-only below the log's end.
type block struct {
	data []byte

	// no is the block's number in its log. It may only be read by who holds a
	// reference, and only changes while there is none.
	no int64

	// refs counts the log, while the block is in its table, and the readers
	// that have pinned it. At 0 the block goes back to its pool.
	refs atomic.Int32

	// replaced tells readers that have the block pinned that a patched copy
	// took its place, and that nothing more will be appended to this one.
	replaced atomic.Bool
}

var blockPools [maxShift + 1]sync.Pool

// newBlock returns a block of 1<<shift bytes with one reference, the log's.
func newBlock(shift uint, no int64) *block {
	b, _ := blockPools[shift].Get().(*block)
	if b == nil {
		b = &block{data: make([]byte, 1<<shift)}
	}
	b.no = no
	b.replaced.Store(false)
	b.refs.Store(1)
	return b
}

// ref takes a reference unless there is none left, in which case the block may
// already belong to another log.
func (b *block) ref() bool {
	for {
		n := b.refs.Load()
		if n == 0 {
			return false
		}
		if b.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// unref drops a reference and recycles the block with the last one.
func (b *block) unref(shift uint) {
	if b.refs.Add(-1) == 0 {
		blockPools[shift].Put(b)
	}
}
