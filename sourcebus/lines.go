package sourcebus

import (
	"bufio"
	"bytes"
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// maxLine is how much of a line is logged, in bytes.
	maxLine = 2 << 10

	// keptLines is how many of the last lines are told again when a program
	// fails.
	keptLines = 5
)

// lineLog logs what a program writes, line by line.
type lineLog struct {
	logger *zap.Logger
	level  zapcore.Level
	last   []string // at most keptLines
}

// run logs lines until r ends or fails. A line that is written over by the next
// one, as displays of progress are, is logged for debugging only.
func (l *lineLog) run(r io.Reader) {
	var split lineSplitter
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 2*maxLine), 2*maxLine)
	lines.Split(split.next)
	for lines.Scan() {
		line := string(bytes.TrimSpace(lines.Bytes()))
		if line == "" {
			continue
		}
		level := l.level
		if split.progress {
			level = zapcore.DebugLevel
		} else {
			if len(l.last) == keptLines {
				l.last = append(l.last[:0], l.last[1:]...)
			}
			l.last = append(l.last, line)
		}
		if c := l.logger.Check(level, "process output"); c != nil {
			c.Write(zap.String("line", line))
		}
	}
}

// lineSplitter finds lines of any length, of which it gives the first maxLine
// bytes.
type lineSplitter struct {
	progress bool // the last line ended in a carriage return alone
	long     bool // the rest of a line is to be dropped
}

// next is a bufio.SplitFunc. It gives an empty line for what it drops, since
// nothing is asked of it at the end any more once it gave none.
func (s *lineSplitter) next(data []byte, atEOF bool) (int, []byte, error) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case len(data) == 0:
		return 0, nil, nil
	case i < 0 && s.long:
		return len(data), data[:0], nil
	case i < 0 && len(data) >= maxLine, i > maxLine:
		s.long, s.progress = true, false
		return maxLine, data[:maxLine], nil
	case i < 0 && atEOF:
		s.progress = false
		return len(data), data, nil
	case i < 0:
		return 0, nil, nil
	case data[i] == '\r' && i+1 == len(data) && !atEOF:
		if s.long && i > 0 {
			return i, data[:0], nil
		}
		return 0, nil, nil // the next byte tells what it is
	}
	line, end := data[:i], i+1
	s.progress = data[i] == '\r'
	if s.progress && end < len(data) && data[end] == '\n' {
		s.progress = false
		end++
	}
	if s.long {
		s.long = false
		return end, data[:0], nil
	}
	return end, line, nil
}
