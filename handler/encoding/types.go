package encoding

import (
	"bytes"
	"strings"
)

// Compressible reports whether content of a type is worth compressing, from the
// value of its Content-Type. needsUTF8Check means that the type does not tell:
// it is if the content is valid UTF-8.
//
// Textual types are; images (but SVG), sound, video, archives and fonts are
// not, since they are compressed already. WebAssembly counts as textual.
func Compressible(contentType string) (yes, needsUTF8Check bool) {
	if i := strings.IndexByte(contentType, ';'); i >= 0 {
		contentType = contentType[:i]
	}
	contentType = trim(contentType)
	var stack [64]byte
	if len(contentType) > len(stack) {
		return true, true
	}
	lowered := stack[:len(contentType)]
	for i := range lowered {
		c := contentType[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		lowered[i] = c
	}

	if known, ok := compressible[string(lowered)]; ok {
		return known, false
	}
	for i, c := range lowered {
		if c != '/' {
			continue
		}
		// structured syntax suffixes (RFC 6838 section 4.2.8)
		if j := bytes.LastIndexByte(lowered, '+'); j > i {
			switch string(lowered[j+1:]) {
			case "json", "xml", "yaml", "json-seq":
				return true, false
			case "zip", "gzip", "zstd":
				return false, false
			}
		}
		switch string(lowered[:i]) {
		case "text":
			return true, false
		case "image", "audio", "video", "multipart":
			return false, false
		}
		break
	}
	return true, true
}

// compressible holds the types that their first half or their suffix does not
// decide.
var compressible = map[string]bool{
	"application/ecmascript":                  true,
	"application/javascript":                  true,
	"application/json":                        true,
	"application/json5":                       true,
	"application/jsonl":                       true,
	"application/mpegurl":                     true,
	"application/ndjson":                      true,
	"application/rtf":                         true,
	"application/sdp":                         true,
	"application/sql":                         true,
	"application/toml":                        true,
	"application/vnd.apple.mpegurl":           true,
	"application/wasm":                        true,
	"application/x-httpd-php":                 true,
	"application/x-javascript":                true,
	"application/x-mpegurl":                   true,
	"application/x-ndjson":                    true,
	"application/x-perl":                      true,
	"application/x-sh":                        true,
	"application/x-subrip":                    true,
	"application/x-www-form-urlencoded":       true,
	"application/x-yaml":                      true,
	"application/xml":                         true,
	"application/xml-dtd":                     true,
	"application/yaml":                        true,
	"audio/mpegurl":                           true, // HLS playlists (RFC 8216 section 4)
	"audio/x-mpegurl":                         true,
	"audio/x-scpls":                           true,
	"application/gzip":                        false,
	"application/java-archive":                false,
	"application/mp4":                         false,
	"application/mxf":                         false,
	"application/ogg":                         false,
	"application/pdf":                         false,
	"application/vnd.android.package-archive": false,
	"application/vnd.rar":                     false,
	"application/x-7z-compressed":             false,
	"application/x-bzip2":                     false,
	"application/x-gzip":                      false,
	"application/x-rar-compressed":            false,
	"application/x-xz":                        false,
	"application/zip":                         false,
	"application/zlib":                        false,
	"application/zstd":                        false,
	"font/collection":                         false,
	"font/otf":                                false,
	"font/ttf":                                false,
	"font/woff":                               false,
	"font/woff2":                              false,
	"application/font-woff":                   false,
}
