//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// mediaType is what the stream is said to be. The servers take it for MP3, but it
// is not, so that nobody finds frames in it.
const mediaType = "audio/mpeg"

// The name and password of the source at servers that want one.
const sourceLogin = "source:hackme"

// feed is the source of a stream: it sends a packet at each tick of its rate.
type feed struct {
	fd      int
	chunked bool
	run     uint64
	gap     time.Duration

	mu   sync.Mutex // guards next
	next uint64     // number of the packet that will be sent next

	late atomic.Int64 // how far behind its time the worst packet was, in ns
}

// openFeed starts an upload to a mount. It is sent in chunks, or, as Icecast's
// sources do, without any framing, once the server has said that it may.
func openFeed(m *mount, mss int, run uint64, gap time.Duration) (f *feed, err error) {
	f = &feed{chunked: m.chunked, run: run, gap: gap}
	if f.fd, err = dial(m.source, mss); err != nil {
		return nil, err
	}
	framing := "Expect: 100-continue"
	if f.chunked {
		framing = "Transfer-Encoding: chunked"
	}
	framing += "\r\nContent-Type: " + mediaType + "\r\nAuthorization: Basic " + base64.StdEncoding.EncodeToString([]byte(sourceLogin))
	if err = writeAll(f.fd, putHead(m.source, m.path, framing)); err == nil && !f.chunked {
		err = f.welcome()
	}
	if err != nil {
		f.close()
		return nil, fmt.Errorf("starting the source: %w", err)
	}
	return f, nil
}

// welcome reads the answer that lets the source go on.
func (f *feed) welcome() error {
	var head []byte
	buf := make([]byte, 1<<10)
	for !bytes.Contains(head, blankLine) {
		n, _, err := receive(f.fd, buf, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return errStalled
		case err != nil:
			return err
		case n == 0 || len(head) > maxHead:
			return errors.New("the server closed the connection instead of answering")
		}
		head = append(head, buf[:n]...)
	}
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	_, code, _ := bytes.Cut(line, []byte(" "))
	if status, err := strconv.Atoi(string(code[:min(3, len(code))])); err != nil || status != 100 && status != 200 {
		return fmt.Errorf("the server answered %q", line)
	}
	return nil
}

// send sends packets until ctx ends.
func (f *feed) send(ctx context.Context) error {
	p := make([]byte, packetSize)
	wire := make([]byte, 0, packetSize+16)
	due := time.Now()
	for ctx.Err() == nil {
		f.mu.Lock()
		number := f.next
		f.next++
		f.mu.Unlock()
		putPacket(p, f.run, number, now())
		wire = wire[:0]
		if f.chunked {
			wire = fmt.Appendf(wire, "%x\r\n", len(p))
		}
		wire = append(wire, p...)
		if f.chunked {
			wire = append(wire, "\r\n"...)
		}
		f.late.Store(max(f.late.Load(), int64(time.Since(due))))
		if err := writeAll(f.fd, wire); err != nil {
			return fmt.Errorf("sending packet %d: %w", number, err)
		}
		due = due.Add(f.gap)
		time.Sleep(time.Until(due))
	}
	return nil
}

// mark sets an end of a window to the packet that will be sent next.
func (f *feed) mark(end *atomic.Uint64) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	end.Store(f.next)
	return f.next
}

func (f *feed) close() { unix.Close(f.fd) }
