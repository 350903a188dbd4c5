package mediatype

import "strings"

// octetStream is the type of anything (RFC 2046 section 4.5.1).
const octetStream = "application/octet-stream"

// ByName returns the media type for the extension of a file name or path, as a
// value of Content-Type, or "" if it is not in the table. Case does not matter.
func ByName(name string) string {
	var buf [longestExtension]byte
	return byExtension[string(extension(&buf, name))]
}

// extension returns the extension of a name in lower case, without its dot, in
// buf. It is empty if there is none, or none of ours.
func extension(buf *[longestExtension]byte, name string) []byte {
	for n := 0; n <= len(buf) && n < len(name); n++ {
		switch name[len(name)-1-n] {
		case '.':
			ext := buf[:n]
			for i := range ext {
				ext[i] = lower(name[len(name)-n+i])
			}
			return ext
		case '/':
			return nil
		}
	}
	return nil
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

// essence returns the media type in a value of Content-Type, without parameters
// and white space. Its case is as it was.
func essence(ct string) string {
	if i := strings.IndexByte(ct, ';'); i >= 0 {
		ct = ct[:i]
	}
	return strings.Trim(ct, " \t")
}

// Specific reports whether a value of Content-Type says what the content is. It
// does not if it is empty, a range such as "*" or "*/*", not of the form
// type/subtype, or application/octet-stream.
func Specific(ct string) bool {
	ct = essence(ct)
	slash := strings.IndexByte(ct, '/')
	return slash > 0 && slash < len(ct)-1 && strings.IndexByte(ct, '*') < 0 && !strings.EqualFold(ct, octetStream)
}

// manifestTypes are the media types of manifests and playlists, which are those
// of RFC 8216 section 4 and older names, and of ISO/IEC 23009-1.
var manifestTypes = [...]string{
	"application/dash+xml",
	"application/vnd.apple.mpegurl",
	"application/x-mpegurl",
	"audio/mpegurl",
	"audio/x-mpegurl",
}

// IsManifest reports whether a file or stream is a DASH manifest or an HLS
// playlist, by the extension of its name (mpd, m3u8, m3u) or by its type. Such
// a thing is small and of use only as a whole.
func IsManifest(name, ct string) bool {
	var buf [longestExtension]byte
	switch string(extension(&buf, name)) {
	case "mpd", "m3u8", "m3u":
		return true
	}
	ct = essence(ct)
	for _, t := range manifestTypes {
		if strings.EqualFold(ct, t) {
			return true
		}
	}
	return false
}
