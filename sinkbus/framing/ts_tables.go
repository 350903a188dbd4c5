package framing

import (
	"bytes"
	"slices"
)

const (
	// maxPrograms is how many programmes of a stream are followed.
	maxPrograms = 32

	// maxSection is the longest section of these tables (ISO 13818-1, 2.4.4).
	maxSection = 1024
)

// tsSection is the table in the packets of one PID.
type tsSection struct {
	pid     uint16
	data    []byte // the last one that was whole
	packets []byte // the packets that it came in

	open           bool   // one is coming
	partial        []byte // what there is of it
	partialPackets []byte
}

// tsTables are the programme tables of a transport stream.
type tsTables struct {
	pat  tsSection
	pmts []*tsSection // by the order in the PAT

	// What the first programme consists of: PIDs, 0 where it has none.
	clock, video, audio uint16

	// complete is set while the first programme is known.
	complete bool

	// serial counts the changes.
	serial int

	head []byte // the packets of all tables, nil after a change
}

// wants reports whether packets of a PID are those of a table.
func (t *tsTables) wants(pid uint16) bool {
	if pid == 0 {
		return true
	}
	for _, s := range t.pmts {
		if s.pid == pid {
			return true
		}
	}
	return false
}

// header returns the packets of the tables. It is the same slice while they do
// not change.
func (t *tsTables) header() []byte {
	if t.head == nil {
		t.head = slices.Clone(t.pat.packets)
		for _, s := range t.pmts {
			t.head = append(t.head, s.packets...)
		}
	}
	return t.head
}

// packet takes a packet of a table: raw as it is in the stream, p from its sync
// byte on.
func (t *tsTables) packet(pid uint16, start bool, raw, p []byte) {
	payload := tsPayload(p)
	if payload == nil {
		return
	}
	if pid == 0 {
		if t.pat.take(start, raw, payload, 0x00) {
			t.programs()
		}
		return
	}
	for _, s := range t.pmts {
		if s.pid == pid && s.take(start, raw, payload, 0x02) {
			t.streams()
			return
		}
	}
}

// tsPayload returns the payload of a packet, nil if there is none.
func tsPayload(p []byte) []byte {
	at := 4
	if p[3]&0x20 != 0 {
		at += 1 + int(p[4])
	}
	if p[3]&0x10 == 0 || at >= len(p) || p[1]&0x80 != 0 {
		return nil
	}
	return p[at:]
}

// take adds a packet's payload to the section and reports whether there is a
// new table, that is, another one than before.
func (s *tsSection) take(start bool, raw, payload []byte, table byte) bool {
	if !start {
		return s.open && s.add(raw, payload, table)
	}
	// Before a section begins, the one before may end.
	at := 1 + int(payload[0])
	if at >= len(payload) {
		s.open = false
		return false
	}
	changed := at > 1 && s.open && s.add(raw, payload[1:at], table)
	s.partial, s.partialPackets, s.open = s.partial[:0], s.partialPackets[:0], true
	return s.add(raw, payload[at:], table) || changed
}

// add adds bytes to the section that is coming.
func (s *tsSection) add(raw, p []byte, table byte) bool {
	s.partial = append(s.partial, p...)
	s.partialPackets = append(s.partialPackets, raw...)
	if len(s.partial) < 3 {
		return false
	}
	size := 3 + int(s.partial[1]&0x0F)<<8 + int(s.partial[2])
	if s.partial[0] != table || size < 12 || size > maxSection {
		s.open = false
		return false
	}
	if len(s.partial) < size {
		return false
	}
	s.open = false
	data := s.partial[:size]
	// Only what is in force now, and only the first section of a table.
	if data[5]&1 == 0 || data[6] != 0 || bytes.Equal(data, s.data) || crcMPEG(data) != 0 {
		return false
	}
	s.data = slices.Clone(data)
	s.packets = slices.Clone(s.partialPackets)
	return true
}

// programs takes the programmes from a new PAT (2.4.4.3).
func (t *tsTables) programs() {
	old := t.pmts
	t.pmts = nil
	entries := t.pat.data[8 : len(t.pat.data)-4]
	for ; len(entries) >= 4 && len(t.pmts) < maxPrograms; entries = entries[4:] {
		number := uint16(entries[0])<<8 | uint16(entries[1])
		pid := uint16(entries[2]&0x1F)<<8 | uint16(entries[3])
		if number == 0 || pid == 0 || t.wants(pid) { // the network's table, or one twice
			continue
		}
		i := slices.IndexFunc(old, func(s *tsSection) bool { return s.pid == pid })
		if i >= 0 {
			t.pmts = append(t.pmts, old[i])
		} else {
			t.pmts = append(t.pmts, &tsSection{pid: pid})
		}
	}
	t.streams()
}

// streams takes the streams of the first programme that is known from its PMT
// (2.4.4.8).
func (t *tsTables) streams() {
	t.serial++
	t.head = nil
	t.complete = false
	t.clock, t.video, t.audio = 0, 0, 0
	i := slices.IndexFunc(t.pmts, func(s *tsSection) bool { return s.data != nil })
	if i < 0 {
		return
	}
	data := t.pmts[i].data
	t.complete = true
	t.clock = uint16(data[8]&0x1F)<<8 | uint16(data[9])
	at := 12 + int(data[10]&0x0F)<<8 + int(data[11])
	for end := len(data) - 4; at+5 <= end; {
		kind := data[at]
		pid := uint16(data[at+1]&0x1F)<<8 | uint16(data[at+2])
		size := int(data[at+3]&0x0F)<<8 + int(data[at+4])
		info := data[at+5 : min(at+5+size, end)]
		switch {
		case tsVideo(kind, info):
			if t.video == 0 {
				t.video = pid
			}
		case t.audio == 0:
			t.audio = pid
		}
		at += 5 + size
	}
}

// tsVideo reports whether a type of stream is video, by its number (ISO
// 13818-1, table 2-34) or else its registration.
func tsVideo(kind byte, info []byte) bool {
	switch kind {
	case 0x01, 0x02, 0x10, 0x1B, 0x20, 0x24, 0x33, 0x42, 0xD1, 0xEA:
		return true
	case 0x06:
		for len(info) >= 2 && len(info) >= 2+int(info[1]) {
			d := info[2 : 2+int(info[1])]
			if info[0] == 0x05 && len(d) >= 4 {
				switch string(d[:4]) {
				case "AV01", "VP09", "HEVC", "drac":
					return true
				}
			}
			info = info[2+len(d):]
		}
	}
	return false
}

// crcTable is for the polynomial 0x04C11DB7, most significant bit first.
var crcTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ 0x04C11DB7
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

// crcMPEG returns the checksum of a section (ISO 13818-1, annex A): 0 for one
// that ends with its right checksum.
func crcMPEG(p []byte) uint32 {
	c := ^uint32(0)
	for _, b := range p {
		c = c<<8 ^ crcTable[byte(c>>24)^b]
	}
	return c
}
