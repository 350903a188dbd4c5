//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

// Every file served and every body uploaded is a function of its id and the
// offset, so that any byte received can be checked without keeping a copy:
// noise, which repeats, except for a stamp at the start of each block, which
// does not. Bytes of another body, another place or another version differ.
const (
	blockSize = 64 << 10
	stampSize = 16
	noiseSize = 1 << 20 // a multiple of blockSize
)

var noise = func() []byte {
	p := make([]byte, noiseSize)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p) // cannot fail
	return p
}()

// fill writes the bytes at offset off of the body id into p.
func fill(p []byte, id uint64, off int64) {
	for i := 0; i < len(p); {
		i += copy(p[i:], noise[(off+int64(i))%noiseSize:])
	}
	stamps(p, id, off)
}

// stamps overwrites the parts of p that depend on the id and on the block. The
// rest of p stays as it is, so a buffer that holds a whole number of noise
// periods can be reused for the next piece or the next body.
func stamps(p []byte, id uint64, off int64) {
	for o := off - off%blockSize; o < off+int64(len(p)); o += blockSize {
		s := stamp(id, o)
		if o >= off {
			copy(p[o-off:], s[:])
		} else if off-o < stampSize {
			copy(p, s[off-o:])
		}
	}
}

func stamp(id uint64, off int64) (s [stampSize]byte) {
	binary.BigEndian.PutUint64(s[:], id)
	binary.BigEndian.PutUint64(s[8:], uint64(off))
	return s
}

// mismatch returns the offset of the first byte of p that is not what the body
// id has at off, or -1.
func mismatch(p []byte, id uint64, off int64) int64 {
	for len(p) > 0 {
		in := off % blockSize
		part := p[:min(int64(len(p)), blockSize-in)]
		head := 0
		if in < stampSize {
			s := stamp(id, off-in)
			head = min(stampSize-int(in), len(part))
			if want := s[in : int(in)+head]; !bytes.Equal(part[:head], want) {
				return off + firstDiff(part, want)
			}
		}
		base := off % noiseSize
		if want := noise[base+int64(head) : base+int64(len(part))]; !bytes.Equal(part[head:], want) {
			return off + int64(head) + firstDiff(part[head:], want)
		}
		p = p[len(part):]
		off += int64(len(part))
	}
	return -1
}

func firstDiff(a, b []byte) int64 {
	for i := range b {
		if a[i] != b[i] {
			return int64(i)
		}
	}
	return int64(len(b))
}

// verifier is an io.Writer that compares what is written to it with a body.
type verifier struct {
	id  uint64
	off int64
}

func (v *verifier) Write(p []byte) (int, error) {
	if at := mismatch(p, v.id, v.off); at >= 0 {
		return 0, fmt.Errorf("byte %d is wrong", at)
	}
	v.off += int64(len(p))
	return len(p), nil
}

// verifyReader reads r to its end and compares it with a body of the given size.
func verifyReader(r io.Reader, id uint64, off, size int64) error {
	v := &verifier{id: id, off: off}
	// hide any WriteTo of r, so that pieces are large
	if _, err := io.CopyBuffer(v, struct{ io.Reader }{r}, make([]byte, 1<<20)); err != nil {
		return err
	}
	if got := v.off - off; got != size {
		return fmt.Errorf("got %d bytes, want %d", got, size)
	}
	return nil
}

// verifyFile compares a file with a body of the given size.
func verifyFile(name string, id uint64, size int64) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := verifyReader(f, id, 0, size); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// writeFile creates a file that holds a body.
func writeFile(name string, id uint64, size int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	buf := make([]byte, noiseSize)
	fill(buf, id, 0)
	for off := int64(0); off < size && err == nil; off += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), size-off)]
		stamps(buf, id, off)
		_, err = f.Write(buf)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
