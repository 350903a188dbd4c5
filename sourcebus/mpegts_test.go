package sourcebus

import (
	"bytes"
	"strings"
	"testing"
)

// tsTestPackets are n transport stream packets.
func tsTestPackets(n int, fill byte) []byte {
	var p []byte
	for range n {
		p = append(p, tsSyncByte)
		p = append(p, bytes.Repeat([]byte{fill}, tsPacketSize-1)...)
	}
	return p
}

func TestTransportStreamPacketsOfDatagrams(t *testing.T) {
	ts := string(tsTestPackets(7, 1))
	const rtp = "\x80\x21\x00\x01\x00\x00\x00\x00\x01\x02\x03\x04"
	for _, tc := range []struct {
		name, datagram string
		want           string
	}{
		{"nothing", "", ""},
		{"packets", ts, ts},
		{"one packet", ts[:188], ts[:188]},
		{"half a packet more", ts + ts[:94], ""},
		{"second is none", ts[:188] + "X" + ts[1:188], ""},
		{"text", "hello", ""},
		{"RTP", rtp + ts, ts},
		{"RTP with marker", "\x80\xA1" + rtp[2:] + ts, ts},
		{"RTP of another type", "\x80\x60" + rtp[2:] + ts, ""},
		{"RTP version 1", "\x40\x21" + rtp[2:] + ts, ""},
		{"RTP of no packets", rtp + "hello", ""},
		{"RTP with nothing", rtp, ""},
		{"RTP cut short", rtp[:11], ""},
		{"contributing sources", "\x82" + rtp[1:] + "aaaabbbb" + ts, ts},
		{"too few sources", "\x8F" + rtp[1:] + "aaaabbbb", ""},
		{"extension", "\x90" + rtp[1:] + "\xBE\xDE\x00\x02aaaabbbb" + ts, ts},
		{"empty extension", "\x90" + rtp[1:] + "\xBE\xDE\x00\x00" + ts, ts},
		{"extension cut short", "\x90" + rtp[1:] + "\xBE\xDE", ""},
		{"extension too long", "\x90" + rtp[1:] + "\xBE\xDE\xFF\xFFaaaabbbb" + ts, ""},
		{"padding", "\xA0" + rtp[1:] + ts + "\x00\x00\x00\x04", ts},
		{"padding too long", "\xA0" + rtp[1:] + "aaaa\xFF", ""},
		{"all of it", "\xB1" + rtp[1:] + "aaaa\xBE\xDE\x00\x01bbbb" + ts + "\x01", ts},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tsPackets([]byte(tc.datagram)); string(got) != tc.want {
				t.Errorf("got %d bytes, want %d", len(got), len(tc.want))
			}
		})
	}
}

func FuzzTransportStreamPackets(f *testing.F) {
	f.Add([]byte("\xB1\x21\x00\x01\x00\x00\x00\x00\x01\x02\x03\x04aaaa\xBE\xDE\x00\x01bbbb" + string(tsTestPackets(1, 2)) + "\x01"))
	f.Add(tsTestPackets(2, 3))
	f.Add([]byte(strings.Repeat("\x80\x21", 6)))
	f.Fuzz(func(t *testing.T, p []byte) {
		got := tsPackets(p)
		if got != nil && (len(got) == 0 || len(got)%tsPacketSize != 0 || !bytes.Contains(p, got)) {
			t.Errorf("got %d bytes of %d", len(got), len(p))
		}
	})
}
