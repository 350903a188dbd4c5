package sourcebus

import "encoding/binary"

const (
	// mpegTS is the media type of MPEG transport streams.
	mpegTS = "video/mp2t"

	tsPacketSize = 188
	tsSyncByte   = 0x47

	// rtpMP2T is the payload type of MPEG-TS (RFC 3551 section 6).
	rtpMP2T = 33
)

// tsPackets returns the transport stream packets of a datagram, which holds them
// bare or as the payload of RTP. It returns nil for anything else.
func tsPackets(p []byte) []byte {
	if isTS(p) {
		return p
	}
	if payload := rtpPayload(p, rtpMP2T); isTS(payload) {
		return payload
	}
	return nil
}

// isTS tells whether p is a row of whole packets.
func isTS(p []byte) bool {
	if len(p) == 0 || len(p)%tsPacketSize != 0 {
		return false
	}
	for at := 0; at < len(p); at += tsPacketSize {
		if p[at] != tsSyncByte {
			return false
		}
	}
	return true
}

// rtpPayload returns the payload of an RTP packet of the given type (RFC 3550
// section 5.1), nil if p is none.
func rtpPayload(p []byte, payloadType byte) []byte {
	const fixed = 12
	if len(p) < fixed || p[0]>>6 != 2 || p[1]&0x7F != payloadType {
		return nil
	}
	head := fixed + 4*int(p[0]&0x0F) // the contributing sources
	if p[0]&0x10 != 0 {              // an extension of as many words as it says
		if len(p) < head+4 {
			return nil
		}
		head += 4 + 4*int(binary.BigEndian.Uint16(p[head+2:]))
	}
	end := len(p)
	if p[0]&0x20 != 0 { // padding, whose last byte counts it
		end -= int(p[end-1])
	}
	if head >= end {
		return nil
	}
	return p[head:end]
}
