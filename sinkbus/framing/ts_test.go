package framing

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"
)

// tsStream makes packets.
type tsStream struct {
	bytes.Buffer
	pre, post int // bytes around each packet
}

// packet adds a packet of a PID with an adaptation field, if there is one, and
// as much of payload as fits, and returns the rest.
func (s *tsStream) packet(pid uint16, start bool, field, payload []byte) []byte {
	p := make([]byte, 4, tsPacket)
	p[0] = tsSync
	binary.BigEndian.PutUint16(p[1:], pid)
	if start {
		p[1] |= 0x40
	}
	p[3] = 0x10
	if field != nil {
		p[3] = 0x30
		p = append(append(p, byte(len(field))), field...)
	}
	n := min(len(payload), tsPacket-len(p))
	p = append(p, payload[:n]...)
	for len(p) < tsPacket {
		p = append(p, 0xFF)
	}
	s.Write(bytes.Repeat([]byte{9}, s.pre))
	s.Write(p)
	s.Write(bytes.Repeat([]byte{9}, s.post))
	return payload[n:]
}

// section adds a table in as many packets as it takes, each led by stuffing.
func (s *tsStream) section(pid uint16, table byte, version byte, body []byte) {
	p := []byte{table, 0xB0, 0, 0, 1, 0xC1 | version<<1, 0, 0}
	p = append(p, body...)
	binary.BigEndian.PutUint16(p[1:], 0xB000|uint16(len(p)-3+4))
	p = binary.BigEndian.AppendUint32(p, crcMPEG(p))
	p = append([]byte{0}, p...) // the pointer field
	for start := true; len(p) > 0; start = false {
		p = s.packet(pid, start, nil, p)
	}
}

func (s *tsStream) pat(version byte, pmts ...uint16) {
	body := []byte{0, 0, 0xE0, 0x10} // the network's
	for i, pid := range pmts {
		body = append(body, 0, byte(i+1), 0xE0|byte(pid>>8), byte(pid))
	}
	s.section(0, 0, version, body)
}

func (s *tsStream) pmt(pid uint16, version byte, info int, streams ...[]byte) {
	body := []byte{0xE1, 0x00, 0xF0 | byte(info>>8), byte(info)}
	body = append(body, make([]byte, info)...)
	s.section(pid, 2, version, slices.Concat(append([][]byte{body}, streams...)...))
}

// Streams of a PMT.
var (
	tsH264 = []byte{0x1B, 0xE1, 0x00, 0xF0, 0}
	tsAAC  = []byte{0x0F, 0xE1, 0x01, 0xF0, 0}
	tsAV1  = []byte{0x06, 0xE1, 0x00, 0xF0, 6, 5, 4, 'A', 'V', '0', '1'}
)

// pcr returns an adaptation field with a clock, in units of 1/90000 s.
func pcr(at int64, flags byte) []byte {
	at &= 1<<33 - 1
	return []byte{flags | 0x10, byte(at >> 25), byte(at >> 17), byte(at >> 9), byte(at >> 1), byte(at<<7) | 0x7E, 0}
}

const tsRandom = 0x40

func TestTSPacketSizes(t *testing.T) {
	for _, around := range [][2]int{{0, 0}, {4, 0}, {0, 16}} {
		s := tsStream{pre: around[0], post: around[1]}
		size := tsPacket + s.pre + s.post
		s.packet(0x1FFF, false, nil, nil)
		s.pat(0, 0x20)
		// In several packets.
		s.pmt(0x20, 0, 400, tsAAC, tsAV1)
		head := s.Bytes()[size:]
		head = slices.Clone(head)
		s.packet(0x101, true, []byte{tsRandom}, nil)
		s.packet(0x100, true, nil, nil)
		join := s.Len()
		s.packet(0x100, true, []byte{tsRandom}, nil)
		s.packet(0x100, false, nil, nil)
		s.packet(0x100, true, nil, nil)

		got := joinsOf(first(follow(t, s.Bytes(), whole)))
		if len(got) != 1 || got[0].off != int64(join) || got[0].head != string(head) {
			t.Errorf("packets of %d: got %+v, want a join at %d", size, got, join)
		}
		if len(head) != 4*size {
			t.Errorf("packets of %d: got a header of %d bytes", size, len(head))
		}
		compareCuts(t, s.Bytes())
		// Behind a cut.
		got = joinsOf(first(follow(t, s.Bytes()[100:], whole)))
		if len(got) != 1 || got[0].off != int64(join-100) {
			t.Errorf("packets of %d: got %+v, want a join at %d", size, got, join-100)
		}
	}
}

func first[A, B any](a A, _ B) A { return a }

func TestTSTablesChange(t *testing.T) {
	var s tsStream
	s.pat(0, 0x20, 0x30)
	s.pmt(0x20, 0, 0, tsH264, tsAAC)
	s.packet(0x100, true, []byte{tsRandom}, nil)
	s.pat(0, 0x20, 0x30)
	s.pmt(0x20, 0, 0, tsH264, tsAAC)
	s.packet(0x100, true, []byte{tsRandom}, nil) // the same
	s.pmt(0x30, 0, 0, tsAAC)
	s.packet(0x100, true, []byte{tsRandom}, nil) // one more programme
	s.pmt(0x20, 1, 0, tsAAC)
	s.packet(0x100, true, []byte{tsRandom}, nil) // no longer video
	s.packet(0x101, true, nil, nil)
	s.pat(1, 0x30)
	s.packet(0x101, true, nil, nil)

	var got []int
	f := newTSFramer(feed{})
	for p := range slices.Chunk(s.Bytes(), tsPacket) {
		old := f.Header()
		f.Scan(p, func(_ int64, join bool) {
			if !join {
				return
			}
			head := f.Header()
			n := len(head) / tsPacket
			if len(old) > 0 && &old[0] == &head[0] {
				n = -n // the same slice
			}
			got = append(got, n)
		})
	}
	if want := []int{2, -2, 3, 3, 2}; !slices.Equal(got, want) {
		t.Errorf("got headers of %d packets, want %d", got, want)
	}
}

// TestTSDamagedTable has a table with a wrong checksum between right ones.
func TestTSDamagedTable(t *testing.T) {
	var s tsStream
	s.pat(0, 0x20)
	s.pmt(0x20, 0, 0, tsAAC)
	at := s.Len()
	s.pmt(0x20, 1, 0, tsH264)
	s.Bytes()[at+15]++
	for range 5 {
		s.packet(0x101, true, nil, nil)
	}
	if got := joinsOf(first(follow(t, s.Bytes(), whole))); len(got) != 5 {
		t.Errorf("got %+v, want 5 joins", got)
	}
}

// TestTSWithoutRandomAccess has video that marks no random access points: after
// a while, any start of a picture is one.
func TestTSWithoutRandomAccess(t *testing.T) {
	var s tsStream
	s.pat(0, 0x20)
	s.pmt(0x20, 0, 0, tsH264)
	clock := int64(1)<<33 - 10*90000 // which wraps
	begin := clock
	var patient int64
	for range 200 {
		if clock-begin > 5*90000 && patient == 0 {
			patient = int64(s.Len())
		}
		s.packet(0x100, true, pcr(clock, 0), nil)
		clock += 9000
	}
	places, info := follow(t, s.Bytes(), whole)
	if got := joinsOf(places); len(got) != 149 || got[0].off != patient {
		t.Errorf("got %d joins, want 149 from %d on", len(got), patient)
	}
	if want := 19900 * time.Millisecond; info.Played != want {
		t.Errorf("got %v played, want %v", info.Played, want)
	}
}

// TestTSWithoutTables has none for so long that readers need not wait.
func TestTSWithoutTables(t *testing.T) {
	var s tsStream
	for s.Len() < 5<<20 {
		s.packet(0x100, true, nil, nil)
	}
	places, info := follow(t, s.Bytes(), whole)
	if !info.Unknown || len(joinsOf(places)) > 0 {
		t.Errorf("got %+v and %d joins, want no known place", info, len(joinsOf(places)))
	}
	s.pat(0, 0x20)
	s.pmt(0x20, 0, 0, tsAAC)
	s.packet(0x101, true, nil, nil)
	if places, info := follow(t, s.Bytes(), whole); info.Unknown || len(joinsOf(places)) != 1 {
		t.Errorf("got %+v and %d joins, want one", info, len(joinsOf(places)))
	}
}
