package byterange

import "mime"

// Multipart is a multipart/byteranges body (RFC 9110 section 14.6) of ranges
// that the caller writes between its headers:
//
//	for i, r := range m.Ranges {
//		buf = m.AppendHeader(buf[:0], i) // write buf, then the bytes of r
//	}
//	buf = m.AppendTrailer(buf[:0])       // write buf
type Multipart struct {
	Ranges []Range

	// The exact length of the body in bytes, for Content-Length. It stops at
	// the largest int64.
	Length int64

	size                  int64
	contentType, boundary string
}

// NewMultipart lays out the body for ranges of a representation of size bytes
// (negative if not known) with the given content type, which may be empty. The
// boundary must not occur in the content: use a random one, such as the Text
// function of crypto/rand returns. Neither may contain line breaks.
func NewMultipart(ranges []Range, size int64, contentType, boundary string) Multipart {
	m := Multipart{Ranges: ranges, size: size, contentType: contentType, boundary: boundary}
	var buf []byte
	for i, r := range ranges {
		buf = m.AppendHeader(buf[:0], i)
		m.Length = addCapped(m.Length, addCapped(r.Length, int64(len(buf))))
	}
	buf = m.AppendTrailer(buf[:0])
	m.Length = addCapped(m.Length, int64(len(buf)))
	return m
}

// ContentType returns the Content-Type of the response.
func (m *Multipart) ContentType() string {
	return mime.FormatMediaType("multipart/byteranges", map[string]string{"boundary": m.boundary})
}

// AppendHeader appends what stands before the bytes of the range with the
// index i: the delimiter and the header fields of the part, to the empty line.
func (m *Multipart) AppendHeader(dst []byte, i int) []byte {
	if i > 0 {
		dst = append(dst, "\r\n"...) // belongs to the delimiter, not to the part before
	}
	dst = append(append(dst, "--"...), m.boundary...)
	if m.contentType != "" {
		dst = append(append(dst, "\r\nContent-Type: "...), m.contentType...)
	}
	dst = append(dst, "\r\nContent-Range: "+unit...)
	dst = m.Ranges[i].appendContentRange(dst, m.size)
	return append(dst, "\r\n\r\n"...)
}

// AppendTrailer appends what stands after the bytes of the last range: the
// closing delimiter.
func (m *Multipart) AppendTrailer(dst []byte) []byte {
	dst = append(append(dst, "\r\n--"...), m.boundary...)
	return append(dst, "--\r\n"...)
}
