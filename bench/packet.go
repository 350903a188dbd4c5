//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// A fan-out stream is a run of packets of one size, each of which tells where it
// belongs and when it was sent, and proves that it is whole:
//
//	run 8 | number 8 | time 8 | checksum 4 | noise
//
// The time is that of the real-time clock in nanoseconds, the checksum is a CRC
// of everything else. The run's identity stands first, so that it also marks the
// beginning of a packet for those who join in the middle of one.
const (
	packetSize = 1316 // seven packets of an MPEG transport stream
	packetHead = 28
	packetSum  = 24 // where the checksum is
	markSize   = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// putPacket makes p a packet.
func putPacket(p []byte, run, number uint64, at int64) {
	binary.BigEndian.PutUint64(p, run)
	binary.BigEndian.PutUint64(p[8:], number)
	binary.BigEndian.PutUint64(p[16:], uint64(at))
	copy(p[packetHead:], noise[number%blockSize:])
	binary.BigEndian.PutUint32(p[packetSum:], checksum(p))
}

// parsePacket returns what a packet says; ok is false if it is none of this run,
// or is not as it was sent.
func parsePacket(p []byte, run uint64) (number uint64, at int64, ok bool) {
	if binary.BigEndian.Uint64(p) != run || binary.BigEndian.Uint32(p[packetSum:]) != checksum(p) {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(p[8:]), int64(binary.BigEndian.Uint64(p[16:])), true
}

func checksum(p []byte) uint32 {
	return crc32.Update(crc32.Checksum(p[:packetSum], castagnoli), castagnoli, p[packetHead:])
}

// follower takes packets out of a stream that arrives in pieces. It may join the
// stream anywhere, and goes on with the next whole packet after what is missing
// or wrong.
type follower struct {
	run uint64
	got func(number uint64, sent, at int64) // is called for each whole packet

	synced  bool   // there has been a packet
	next    uint64 // number of the packet that should follow
	part    []byte // of a packet whose rest is to come
	dropped int64  // bytes since the last packet that belong to none

	// How often something came that was not sent like this: changed or inserted
	// bytes, or packets again. Packets that do not come at all are not counted.
	corrupt int64
}

// feed takes the next bytes of the stream, which arrived at the given time.
func (f *follower) feed(p []byte, at int64) {
	for len(p) > 0 {
		if len(f.part) == 0 && len(p) >= packetSize && f.accept(p[:packetSize], at) {
			p = p[packetSize:]
			continue
		}
		n := min(packetSize-len(f.part), len(p))
		f.part = append(f.part, p[:n]...)
		p = p[n:]
		switch {
		case len(f.part) < packetSize:
		case f.accept(f.part, at):
			f.part = f.part[:0]
		default:
			n := 1 + f.mark(f.part[1:])
			f.dropped += int64(n)
			f.part = append(f.part[:0], f.part[n:]...)
		}
	}
}

// accept takes a packet and says whether it is one.
func (f *follower) accept(p []byte, at int64) bool {
	number, sent, ok := parsePacket(p, f.run)
	if !ok {
		return false
	}
	if f.synced {
		// in the place of so many bytes came those that were dropped: fewer
		// mean that bytes went missing, which is not corruption
		missing := int64(number-f.next) * packetSize
		if missing < 0 || f.dropped > 0 && f.dropped >= missing {
			f.corrupt++
		}
	}
	f.dropped = 0
	if f.synced && number < f.next {
		return true
	}
	f.synced, f.next = true, number+1
	f.got(number, sent, at)
	return true
}

// mark returns where in p a packet may begin, or len(p).
func (f *follower) mark(p []byte) int {
	var mark [markSize]byte
	binary.BigEndian.PutUint64(mark[:], f.run)
	if i := bytes.Index(p, mark[:]); i >= 0 {
		return i
	}
	for n := min(markSize-1, len(p)); n > 0; n-- {
		if bytes.HasPrefix(mark[:], p[len(p)-n:]) {
			return len(p) - n
		}
	}
	return len(p)
}
