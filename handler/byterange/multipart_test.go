package byterange

import (
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
)

// body writes a multipart body the way the handler does.
func body(m Multipart, content string) string {
	var b []byte
	for i, r := range m.Ranges {
		b = m.AppendHeader(b, i)
		b = append(b, content[r.Start:r.Start+r.Length]...)
	}
	return string(m.AppendTrailer(b))
}

func TestMultipartBody(t *testing.T) {
	const content = "0123456789"
	for _, tc := range []struct {
		name        string
		ranges      []Range
		size        int64
		contentType string
		want        string
	}{
		{
			"two ranges, 14.6",
			[]Range{{0, 2}, {4, 3}},
			10, "text/plain",
			"--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01" +
				"\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 4-6/10\r\n\r\n456" +
				"\r\n--B--\r\n",
		},
		{
			"no content type",
			[]Range{{9, 1}},
			10, "",
			"--B\r\nContent-Range: bytes 9-9/10\r\n\r\n9\r\n--B--\r\n",
		},
		{
			"size not known",
			[]Range{{0, 1}},
			-1, "",
			"--B\r\nContent-Range: bytes 0-0/*\r\n\r\n0\r\n--B--\r\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := NewMultipart(tc.ranges, tc.size, tc.contentType, "B")
			got := body(m, content)
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if m.Length != int64(len(got)) {
				t.Errorf("got Length %d, want %d", m.Length, len(got))
			}
		})
	}
}

func TestMultipartIsReadable(t *testing.T) {
	content := strings.Repeat("0123456789", 20)
	ranges := []Range{{150, 50}, {0, 1}, {0, 200}, {99, 2}}
	for _, tc := range []struct{ name, boundary string }{
		{"token", "THIS_STRING_SEPARATES"},
		{"to be quoted", "a b:c"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := NewMultipart(ranges, 200, "video/mp4", tc.boundary)
			text := body(m, content)
			if m.Length != int64(len(text)) {
				t.Errorf("got Length %d, want %d", m.Length, len(text))
			}

			typ, params, err := mime.ParseMediaType(m.ContentType())
			if err != nil || typ != "multipart/byteranges" {
				t.Fatalf("got %q (%v), want multipart/byteranges", typ, err)
			}
			rd := multipart.NewReader(strings.NewReader(text), params["boundary"])
			for _, r := range ranges {
				part, err := rd.NextRawPart()
				if err != nil {
					t.Fatalf("reading part: %v", err)
				}
				want := fmt.Sprintf("bytes %d-%d/200", r.Start, r.End())
				if got := part.Header.Get("Content-Range"); got != want {
					t.Errorf("got Content-Range %q, want %q", got, want)
				}
				if got := part.Header.Get("Content-Type"); got != "video/mp4" {
					t.Errorf("got Content-Type %q, want video/mp4", got)
				}
				data, err := io.ReadAll(part)
				if err != nil {
					t.Fatalf("reading part: %v", err)
				}
				if got, want := string(data), content[r.Start:r.Start+r.Length]; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			if _, err := rd.NextRawPart(); err != io.EOF {
				t.Errorf("got error %v, want %v", err, io.EOF)
			}
		})
	}
}

func TestMultipartLengthDoesNotOverflow(t *testing.T) {
	m := NewMultipart([]Range{{0, math.MaxInt64}, {0, math.MaxInt64}}, math.MaxInt64, "", "B")
	if m.Length != math.MaxInt64 {
		t.Errorf("got Length %d, want %d", m.Length, int64(math.MaxInt64))
	}
}
