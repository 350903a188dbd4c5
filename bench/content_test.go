//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestMismatch(t *testing.T) {
	whole := make([]byte, noiseSize+3*blockSize+100)
	fill(whole, 7, 0)
	for _, off := range []int64{0, 1, 15, 16, 17, blockSize - 1, blockSize, blockSize + 5, noiseSize - 3, noiseSize + 8} {
		for _, n := range []int64{1, 10, 16, 100, blockSize, 2*blockSize + 50} {
			n = min(n, int64(len(whole))-off)
			part := bytes.Clone(whole[off : off+n])
			if at := mismatch(part, 7, off); at >= 0 {
				t.Fatalf("right bytes at %d, length %d: mismatch at %d", off, n, at)
			}
			piece := make([]byte, n)
			if fill(piece, 7, off); !bytes.Equal(piece, part) {
				t.Fatalf("fill at %d, length %d differs from the whole", off, n)
			}
			for _, i := range []int64{0, n / 2, n - 1} {
				part[i] ^= 1
				if at := mismatch(part, 7, off); at != off+i {
					t.Fatalf("wrong byte %d: mismatch at %d", off+i, at)
				}
				part[i] ^= 1
			}
		}
	}
	block := whole[:blockSize]
	for name, at := range map[string]int64{
		"another body":             mismatch(block, 8, 0),
		"another block":            mismatch(block, 7, blockSize),
		"same noise, later period": mismatch(block, 7, noiseSize),
		"shifted":                  mismatch(block[1:], 7, 0),
	} {
		if at < 0 {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func TestStampsRenewBuffer(t *testing.T) {
	buf, want := make([]byte, noiseSize), make([]byte, noiseSize)
	fill(buf, 1, 0)
	stamps(buf, 2, 5*noiseSize)
	if fill(want, 2, 5*noiseSize); !bytes.Equal(buf, want) {
		t.Error("a buffer with new stamps differs from a new one")
	}
}

func TestVerifyFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	const size = 3*noiseSize + 12345
	if err := writeFile(name, 9, size); err != nil {
		t.Fatal(err)
	}
	if err := verifyFile(name, 9, size); err != nil {
		t.Errorf("sound file: %v", err)
	}
	if verifyFile(name, 9, size+1) == nil || verifyFile(name, 9, size-1) == nil {
		t.Error("a wrong length was not noticed")
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), 2*noiseSize+777); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if verifyFile(name, 9, size) == nil {
		t.Error("a wrong byte was not noticed")
	}
}
