package sinkbus

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// WriteBlocksAt writes the blocks one after the other (pwritev(2)), and returns
// how many bytes of them. The blocks are used up.
func (f spillFile) WriteBlocksAt(blocks [][]byte, off int64) (int64, error) {
	c, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var written int64
	var werr error
	err = c.Write(func(fd uintptr) bool {
		for len(blocks) > 0 {
			n, err := unix.Pwritev(int(fd), blocks, off+written)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				werr = err
				break
			}
			if n == 0 {
				werr = io.ErrShortWrite
				break
			}
			written += int64(n)
			blocks = skip(blocks, n)
		}
		return true
	})
	if werr == nil {
		werr = err
	}
	return written, werr
}

// skip returns what is left of the blocks after n bytes.
func skip(blocks [][]byte, n int) [][]byte {
	for len(blocks) > 0 && n >= len(blocks[0]) {
		n -= len(blocks[0])
		blocks = blocks[1:]
	}
	if n > 0 {
		blocks[0] = blocks[0][n:]
	}
	return blocks
}
