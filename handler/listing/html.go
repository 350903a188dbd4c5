package listing

import (
	_ "embed"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// style is the style sheet of the page. It is part of it, so that a listing
// needs nothing from elsewhere.
//
//go:embed listing.css
var style string

// Page is a directory to show.
type Page struct {
	// Path is the directory's URL path as the client knows it, not escaped. The
	// URL itself must end with a slash, or relative links would not work.
	Path string

	// Top leaves out the link to the parent directory. It is also left out
	// when Path is "/".
	Top bool

	// Order is how Entries are sorted; the page marks it and does not sort.
	Order Order

	// Entries are the lines of the listing.
	Entries []Entry

	// Footer is a line of plain text below the listing, such as the server's
	// name. Empty means none.
	Footer string
}

// rowSize is about how many bytes a row takes besides twice its name.
const rowSize = 112

// AppendHTML appends the page, an HTML document in UTF-8, to buf. All its links
// are relative: they work under any prefix. It has no script and no other
// resources.
func AppendHTML(buf []byte, p Page) []byte {
	size := 1024 + len(style)
	for i := range p.Entries {
		size += rowSize + 2*len(p.Entries[i].Name)
	}
	buf = slices.Grow(buf, size)

	buf = append(buf, `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Index of `...)
	buf = appendText(buf, p.Path)
	buf = append(buf, "</title>\n<style>\n"...)
	buf = append(buf, style...)
	buf = append(buf, "</style>\n</head>\n<body>\n<h1>Index of "...)
	buf = appendText(buf, p.Path)
	buf = append(buf, "</h1>\n<table>\n<thead>\n<tr>"...)
	buf = p.Order.appendColumn(buf, ByName, "Name")
	buf = p.Order.appendColumn(buf, BySize, "Size")
	buf = p.Order.appendColumn(buf, ByTime, "Modified (UTC)")
	buf = append(buf, "</tr>\n</thead>\n<tbody>\n"...)
	if !p.Top && p.Path != "/" {
		buf = append(buf, "<tr><td><a href=\"../\">Parent directory</a><td>-<td>-\n"...)
	}
	for i := range p.Entries {
		buf = appendRow(buf, &p.Entries[i])
	}
	buf = append(buf, "</tbody>\n</table>\n"...)
	if p.Footer != "" {
		buf = append(buf, "<footer>"...)
		buf = appendText(buf, p.Footer)
		buf = append(buf, "</footer>\n"...)
	}
	return append(buf, "</body>\n</html>\n"...)
}

// appendColumn appends the head of a column, which sorts by it, or the other
// way round if that is how the listing is sorted already.
func (o Order) appendColumn(buf []byte, k Key, title string) []byte {
	next := "asc"
	switch {
	case o.Key != k:
		buf = append(buf, "<th>"...)
	case o.Desc:
		buf = append(buf, `<th aria-sort="descending">`...)
	default:
		buf = append(buf, `<th aria-sort="ascending">`...)
		next = "desc"
	}
	buf = append(buf, `<a href="?sort=`...)
	buf = append(buf, keyNames[k]...)
	buf = append(buf, `&amp;order=`...)
	buf = append(buf, next...)
	buf = append(buf, `">`...)
	buf = append(buf, title...)
	return append(buf, `</a></th>`...)
}

// appendRow appends the line of an entry. The end tags of cells and rows may be
// omitted in HTML, and are: they would be a tenth of the page.
func appendRow(buf []byte, e *Entry) []byte {
	buf = append(buf, `<tr><td><a href="`...)
	if isPlain(e.Name) {
		buf = append(buf, e.Name...)
		if e.Dir {
			buf = append(buf, '/')
		}
		buf = append(buf, `">`...)
		buf = append(buf, e.Name...)
	} else {
		buf = appendLink(buf, e.Name)
		if e.Dir {
			buf = append(buf, '/')
		}
		buf = append(buf, `">`...)
		buf = appendText(buf, e.Name)
	}
	if e.Dir {
		buf = append(buf, '/')
	}
	buf = append(buf, `</a>`...)
	if e.Live {
		buf = append(buf, ` <b>live</b>`...)
	}
	buf = append(buf, `<td>`...)
	if e.Dir {
		buf = append(buf, '-')
	} else {
		buf = appendSize(buf, e.Size)
	}
	if !hasTime(e.ModTime) {
		return append(buf, "<td>-\n"...)
	}
	buf = append(buf, `<td><time datetime="`...)
	start := len(buf)
	buf = appendTime(buf, e.ModTime)
	stamp := buf[start:len(buf):len(buf)]
	buf = append(buf, `">`...)
	buf = append(buf, stamp[:len("2006-01-02")]...)
	buf = append(buf, ' ')
	buf = append(buf, stamp[len("2006-01-02T"):len("2006-01-02T15:04:05")]...)
	return append(buf, "</time>\n"...)
}

// The classes of bytes in names.
const (
	// inLink bytes stand for themselves in a path segment (RFC 3986 section
	// 3.3) that is in a quoted attribute: "&" and "'" would have to be
	// escaped there and are percent-encoded instead.
	inLink = 1 << iota

	// inText bytes stand for themselves in HTML text.
	inText

	// plain bytes are both, and not a colon.
	plain
)

var class = func() (t [256]uint8) {
	for c := range t {
		b := byte(c)
		isLetter := 'a' <= lower(b) && lower(b) <= 'z'
		if isLetter || isDigit(b) || strings.IndexByte("-._~!$()*+,;=:@", b) >= 0 {
			t[c] |= inLink
		}
		if b >= ' ' && b < 0x7f && strings.IndexByte(`&<>"'`, b) < 0 {
			t[c] |= inText
		}
		if t[c] == inLink|inText && b != ':' {
			t[c] |= plain
		}
	}
	return t
}()

// isPlain reports whether the name is its own link and its own text, as that of
// nearly every media file.
func isPlain(name string) bool {
	for i := range len(name) {
		if class[name[i]]&plain == 0 {
			return false
		}
	}
	return true
}

const hexDigits = "0123456789ABCDEF"

// appendLink appends the relative reference to a name in the same directory. A
// colon in its first segment would end a scheme (RFC 3986 section 4.2), hence
// the "./".
func appendLink(buf []byte, name string) []byte {
	if strings.IndexByte(name, ':') >= 0 {
		buf = append(buf, "./"...)
	}
	for i := range len(name) {
		if c := name[i]; class[c]&inLink != 0 {
			buf = append(buf, c)
		} else {
			buf = append(buf, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return buf
}

// appendText appends s as HTML text. Control characters and bytes that are not
// UTF-8 are not allowed there and become U+FFFD.
func appendText(buf []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if class[c]&inText != 0 {
			buf = append(buf, c)
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if 0x80 <= r && r < 0xa0 { // C1 controls
				r = utf8.RuneError
			}
			buf = utf8.AppendRune(buf, r)
			i += n
			continue
		}
		switch c {
		case '&':
			buf = append(buf, "&amp;"...)
		case '<':
			buf = append(buf, "&lt;"...)
		case '>':
			buf = append(buf, "&gt;"...)
		case '"':
			buf = append(buf, "&#34;"...)
		case '\'':
			buf = append(buf, "&#39;"...)
		default:
			buf = utf8.AppendRune(buf, utf8.RuneError)
		}
		i++
	}
	return buf
}

// appendSize appends a number of bytes for people, in decimal units.
func appendSize(buf []byte, n int64) []byte {
	const units = "kMGTPE"
	if n < 1000 {
		return append(appendInt(buf, n), " B"...)
	}
	unit, scale := 0, int64(100) // of a tenth of the unit, in bytes
	tenths := roundDiv(n, scale)
	for tenths >= 10_000 {
		unit++
		scale *= 1000
		tenths = roundDiv(n, scale)
	}
	buf = appendInt(buf, tenths/10)
	return append(buf, '.', byte('0'+tenths%10), ' ', units[unit], 'B')
}

// roundDiv returns n / d, rounded half up, for positive numbers.
func roundDiv(n, d int64) int64 {
	q := n / d
	if n%d >= d/2 {
		q++
	}
	return q
}

// hasTime reports whether a time can be written with a year of four digits,
// and is not zero.
func hasTime(t time.Time) bool {
	const zero, last = -62135596800, 253402300799 // the first second of year 1, the last of 9999
	sec := t.Unix()
	return zero < sec && sec <= last
}

// appendTime appends t in UTC as RFC 3339, to the second.
func appendTime(buf []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	return append(buf,
		byte('0'+year/1000), byte('0'+year/100%10), byte('0'+year/10%10), byte('0'+year%10), '-',
		byte('0'+month/10), byte('0'+month%10), '-',
		byte('0'+day/10), byte('0'+day%10), 'T',
		byte('0'+hour/10), byte('0'+hour%10), ':',
		byte('0'+minute/10), byte('0'+minute%10), ':',
		byte('0'+second/10), byte('0'+second%10), 'Z')
}
