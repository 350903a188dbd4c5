//go:build linux

package main

import (
	"bytes"
	"slices"
	"testing"
)

func TestFollower(t *testing.T) {
	const run = 0x1234_5678_9abc_def0
	var stream []byte
	for i := range uint64(10) {
		p := make([]byte, packetSize)
		putPacket(p, run, i, 1000+int64(i))
		stream = append(stream, p...)
	}
	// from and to are places in the stream, in packets and bytes
	at := func(packet, byte int) int { return packet*packetSize + byte }
	cut := func(s []byte, from, to int) []byte { return slices.Delete(slices.Clone(s), from, to) }
	flip := func(s []byte, at int) []byte {
		s = slices.Clone(s)
		s[at] ^= 1
		return s
	}
	for _, tc := range []struct {
		name    string
		stream  []byte
		want    []uint64
		corrupt int64
	}{
		{"whole", stream, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 0},
		{"joined in a packet", stream[at(2, 700):], []uint64{3, 4, 5, 6, 7, 8, 9}, 0},
		{"joined in a mark", stream[at(2, 3):], []uint64{3, 4, 5, 6, 7, 8, 9}, 0},
		{"a packet is missing", cut(stream, at(4, 0), at(5, 0)), []uint64{0, 1, 2, 3, 5, 6, 7, 8, 9}, 0},
		{"a byte is missing", cut(stream, at(4, 600), at(4, 601)), []uint64{0, 1, 2, 3, 5, 6, 7, 8, 9}, 0},
		{"a byte of a mark is missing", cut(stream, at(4, 1), at(4, 2)), []uint64{0, 1, 2, 3, 5, 6, 7, 8, 9}, 0},
		{"from the middle of a packet to that of another", cut(stream, at(3, 100), at(6, 1000)), []uint64{0, 1, 2, 7, 8, 9}, 0},
		{"exactly as much as a packet, across two", cut(stream, at(3, 100), at(4, 100)), []uint64{0, 1, 2, 5, 6, 7, 8, 9}, 0},
		{"noise is changed", flip(stream, at(4, 600)), []uint64{0, 1, 2, 3, 5, 6, 7, 8, 9}, 1},
		{"a mark is changed", flip(stream, at(4, 0)), []uint64{0, 1, 2, 3, 5, 6, 7, 8, 9}, 1},
		{"a number is changed", flip(stream, at(4, 15)), []uint64{0, 1, 2, 3, 5, 6, 7, 8, 9}, 1},
		{"a time is changed", flip(stream, at(4, 20)), []uint64{0, 1, 2, 3, 5, 6, 7, 8, 9}, 1},
		{"a checksum is changed", flip(stream, at(4, 27)), []uint64{0, 1, 2, 3, 5, 6, 7, 8, 9}, 1},
		{"two are changed", flip(flip(stream, at(4, 600)), at(8, 0)), []uint64{0, 1, 2, 3, 5, 6, 7, 9}, 2},
		{"bytes are inserted", slices.Insert(slices.Clone(stream), at(4, 0), []byte("HTTP/1.1")...), []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 1},
		{"bytes are inserted in a packet", slices.Insert(slices.Clone(stream), at(4, 9), 'x'), []uint64{0, 1, 2, 3, 5, 6, 7, 8, 9}, 1},
		{"a packet comes twice", slices.Insert(slices.Clone(stream), at(4, 0), stream[at(3, 0):at(4, 0)]...), []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 1},
		{"another run's", bytes.ReplaceAll(stream, stream[:markSize], []byte("12345678")), nil, 0},
		{"nothing", nil, nil, 0},
	} {
		for _, piece := range []int{1, 7, packetSize - 1, packetSize, packetSize + 1, 4096, 1 << 20} {
			var got []uint64
			f := follower{run: run, got: func(number uint64, sent, arrived int64) {
				got = append(got, number)
				if sent != 1000+int64(number) || arrived != 99 {
					t.Errorf("%s: packet %d was sent at %d and arrived at %d", tc.name, number, sent, arrived)
				}
			}}
			for p := range slices.Chunk(tc.stream, piece) {
				f.feed(p, 99)
			}
			if !slices.Equal(got, tc.want) || f.corrupt != tc.corrupt {
				t.Errorf("%s, in pieces of %d: got packets %v and %d corrupt, want %v and %d", tc.name, piece, got, f.corrupt, tc.want, tc.corrupt)
			}
		}
	}
}

func BenchmarkFollower(b *testing.B) {
	p := make([]byte, packetSize)
	f := follower{run: 7, got: func(uint64, int64, int64) {}}
	b.SetBytes(packetSize)
	for i := uint64(0); b.Loop(); i++ {
		putPacket(p, 7, i, 0)
		f.feed(p, 0)
	}
	if f.corrupt > 0 {
		b.Error("corrupt")
	}
}
