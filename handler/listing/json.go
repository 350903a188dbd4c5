package listing

import (
	"encoding/json"
	"slices"
	"strconv"
)

// AppendJSON appends the entries to buf as a JSON array of objects with the
// members name, size (bytes; so far, when live; 0 for a directory), modified
// (RFC 3339, UTC; null when not known), type ("file" or "directory") and live.
// Bytes of a name that are not UTF-8 become U+FFFD.
func AppendJSON(buf []byte, entries []Entry) []byte {
	size := 4
	for i := range entries {
		size += rowSize + len(entries[i].Name)
	}
	buf = slices.Grow(buf, size)

	buf = append(buf, '[')
	for i := range entries {
		e := &entries[i]
		if i > 0 {
			buf = append(buf, ",\n"...)
		}
		buf = append(buf, `{"name":`...)
		buf = appendString(buf, e.Name)
		buf = append(buf, `,"size":`...)
		if e.Dir {
			buf = append(buf, '0')
		} else {
			buf = appendInt(buf, e.Size)
		}
		buf = append(buf, `,"modified":`...)
		if hasTime(e.ModTime) {
			buf = append(buf, '"')
			buf = appendTime(buf, e.ModTime)
			buf = append(buf, '"')
		} else {
			buf = append(buf, "null"...)
		}
		if e.Dir {
			buf = append(buf, `,"type":"directory"`...)
		} else {
			buf = append(buf, `,"type":"file"`...)
		}
		if e.Live {
			buf = append(buf, `,"live":true}`...)
		} else {
			buf = append(buf, `,"live":false}`...)
		}
	}
	return append(buf, "]\n"...)
}

// appendString appends s as a JSON string. Plain names stand for themselves,
// the others are left to encoding/json.
func appendString(buf []byte, s string) []byte {
	if isPlain(s) {
		buf = append(buf, '"')
		buf = append(buf, s...)
		return append(buf, '"')
	}
	quoted, _ := json.Marshal(s) // a string cannot fail
	return append(buf, quoted...)
}

func appendInt(buf []byte, n int64) []byte { return strconv.AppendInt(buf, n, 10) }
