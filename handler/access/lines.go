package access

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLine is the longest line accepted, in bytes. A group of ten thousand
// users still fits.
const maxLine = 1 << 20

// lineReader returns the significant lines of a text file: without the space
// around them, the blank ones and those that start with "#".
type lineReader struct {
	filename string
	scanner  *bufio.Scanner
	line     int    // number of the current line, from 1
	text     string // the current line
	bad      error
}

func newLineReader(r io.Reader, filename string) *lineReader {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	return &lineReader{filename: filename, scanner: s}
}

// next goes to the next significant line and reports whether there is one.
// When there is none, err says whether that is because of an error.
func (l *lineReader) next() bool {
	for l.bad == nil && l.scanner.Scan() {
		l.line++
		text := l.scanner.Text()
		if l.line == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // left by some editors
		}
		if !utf8.ValidString(text) {
			l.bad = l.errorf("not UTF-8 text")
			break
		}
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		if strings.ContainsFunc(text, func(c rune) bool { return c != '\t' && unicode.IsControl(c) }) {
			l.bad = l.errorf("control character in the line")
			break
		}
		l.text = text
		return true
	}
	return false
}

// err returns the error that ended the lines, or nil at the end of the file.
func (l *lineReader) err() error {
	if l.bad != nil {
		return l.bad
	}
	switch err := l.scanner.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, bufio.ErrTooLong):
		return errorAt(l.filename, l.line+1, "line longer than %d bytes", maxLine)
	default:
		return fmt.Errorf("reading %s: %w", l.filename, err)
	}
}

func (l *lineReader) errorf(format string, args ...any) error {
	return errorAt(l.filename, l.line, format, args...)
}

// header returns the text between the brackets of a section's first line, and
// whether the line is one.
func (l *lineReader) header() (name string, ok bool, err error) {
	if l.text[0] != '[' {
		return "", false, nil
	}
	name, closed := strings.CutSuffix(l.text[1:], "]")
	if !closed {
		return "", true, l.errorf(`section without a closing "]" at the end of the line`)
	}
	name = strings.TrimSpace(name)
	if name == "" {
		return "", true, l.errorf("section without a name")
	}
	return name, true, nil
}

// errorAt returns an error that starts with the file and line it is about.
func errorAt(filename string, line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", filename, line, fmt.Sprintf(format, args...))
}
