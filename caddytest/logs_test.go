package caddytest_test

import (
	"bytes"
	"sync"
	"time"
)

// logs collects what a process writes, and lets tests wait for it.
type logs struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed, and replaced, when there is more
	closed  bool
}

func newLogs() *logs { return &logs{changed: make(chan struct{})} }

// Write implements io.Writer.
func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

func (l *logs) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	close(l.changed)
	l.changed = make(chan struct{})
}

// String returns all of the log, or its end.
func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	const most = 50_000
	text := l.text.String()
	if len(text) > most {
		text = "...\n" + text[len(text)-most:]
	}
	return text
}

// size is a position in the log, to wait from.
func (l *logs) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Len()
}

// since returns the log from a position.
func (l *logs) since(from int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()[from:]
}

// has tells whether the log contains a text.
func (l *logs) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.text.Bytes(), []byte(text))
}

// wait waits until the log has, after the given position, a line that contains
// all of the texts. It returns false when it takes too long or the process
// ends without.
func (l *logs) wait(limit time.Duration, from int, texts ...string) bool {
	return l.find(limit, from, texts...) != ""
}

// find is wait that returns the line.
func (l *logs) find(limit time.Duration, from int, texts ...string) string {
	timeout := time.After(limit)
	for {
		l.mu.Lock()
		rest := l.text.Bytes()[from:]
		for line := range bytes.Lines(rest) {
			all := true
			for _, text := range texts {
				all = all && bytes.Contains(line, []byte(text))
			}
			if all && bytes.HasSuffix(line, []byte("\n")) {
				found := string(line)
				l.mu.Unlock()
				return found
			}
		}
		changed, closed := l.changed, l.closed
		l.mu.Unlock()
		if closed {
			return ""
		}
		select {
		case <-changed:
		case <-timeout:
			return ""
		}
	}
}
