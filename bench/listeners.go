//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// audience is the listeners of one stream. They connect from a few goroutines
// and are read by one, with a system call or two for what has come: so they take
// little of the CPU that they share with the server.
type audience struct {
	addr    netip.AddrPort
	path    string
	mss     int
	secure  *tls.Config // nil: in the clear
	http2   bool
	request []byte
	stream  *window

	epoll int
	all   []atomic.Pointer[listener]

	answered atomic.Int64 // have the head of a response with status 200
	joined   atomic.Int64 // have had a packet
	finished atomic.Int64 // have had a packet from after the window
	gone     atomic.Int64 // have lost the connection
	bytes    atomic.Int64 // of the stream, over all
	last     atomic.Int64 // when the latest of the answers came
	age      atomic.Int64 // of the latest packet when it came, in ns

	// these belong to listen until it returns
	buf       []byte
	latencies []int64 // of the packets of the window, over all listeners
	reason    error   // why the first listener was lost
}

// window is a range of the packets of a stream; from when it opens, packets
// are measured. Both ends are set before the packets around them are sent.
type window struct{ from, to atomic.Uint64 }

func newWindow() *window {
	w := &window{}
	w.from.Store(1 << 63)
	w.to.Store(1 << 63)
	return w
}

// listener is one of them.
type listener struct {
	conn     *fdConn
	tls      *tls.Conn // nil: in the clear
	answer   answer
	follower follower

	answered, joined, finished, lost bool
}

// newAudience prepares n listeners of a path.
func newAudience(addr netip.AddrPort, path string, n, mss int, secure *tls.Config, http2 bool, stream *window) (*audience, error) {
	a := &audience{
		addr: addr, path: path, mss: mss, secure: secure, http2: http2, stream: stream,
		request: h1Request(addr, path),
		all:     make([]atomic.Pointer[listener], n),
		buf:     make([]byte, 256<<10),
	}
	var err error
	if http2 {
		if a.request, err = h2Request(addr, path); err != nil {
			return nil, fmt.Errorf("preparing a request: %w", err)
		}
	}
	if a.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("creating an epoll instance: %w", err)
	}
	return a, nil
}

// close closes all connections. listen must have returned.
func (a *audience) close() {
	for i := range a.all {
		if l := a.all[i].Load(); l != nil {
			_ = l.conn.Close() // of a socket that only read
		}
	}
	unix.Close(a.epoll)
}

// connect connects all listeners and returns how long it took until each had the
// head of its response. With a pace they come one after another with at least
// that time between them, else several at once.
func (a *audience) connect(ctx context.Context, run uint64, pace time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dialers := 64 // a handshake waits for a busy server
	if pace > 0 {
		dialers = 1
	}
	began := now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range dialers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(a.all) {
					return
				}
				if err := a.dial(i, run); err != nil {
					cancel(fmt.Errorf("listener %d: %w", i+1, err))
					return
				}
				time.Sleep(pace)
			}
		})
	}
	wg.Wait()
	if err := a.await(ctx, "were answered", &a.answered); err != nil {
		return 0, err
	}
	return time.Duration(a.last.Load() - began), nil
}

// dial connects one listener and sends its request.
func (a *audience) dial(i int, run uint64) error {
	fd, err := dial(a.addr, a.mss)
	if err != nil {
		return err
	}
	l := &listener{conn: &fdConn{fd: fd, peer: a.addr, blocking: true}, answer: newH1Answer()}
	l.follower = follower{run: run, got: func(number uint64, sent, at int64) { a.packet(l, number, sent, at) }}
	var w io.Writer = l.conn
	if a.secure != nil {
		l.tls = tls.Client(l.conn, a.secure)
		w = l.tls
		if err = l.tls.Handshake(); err == nil && a.http2 && l.tls.ConnectionState().NegotiatedProtocol != "h2" {
			err = errors.New("the server does not speak HTTP/2")
		}
		if a.http2 {
			l.answer = newH2Answer(l.tls)
		}
	}
	if err == nil {
		_, err = w.Write(a.request)
	}
	if err == nil {
		err = l.conn.unblock()
	}
	if err == nil {
		a.all[i].Store(l)
		err = unix.EpollCtl(a.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)})
	}
	if err != nil {
		_ = l.conn.Close() // the first error is the one that matters
		a.all[i].Store(nil)
	}
	return err
}

// await waits until a count reaches all listeners. It fails if any is lost.
func (a *audience) await(ctx context.Context, what string, count *atomic.Int64) error {
	limit := time.Now().Add(ioTimeout)
	for count.Load() < int64(len(a.all)) {
		err := context.Cause(ctx)
		switch {
		case err != nil:
		case a.gone.Load() > 0:
			err = errors.New("one was lost")
		case time.Now().After(limit):
			err = fmt.Errorf("waited for %v", ioTimeout)
		}
		if err != nil {
			return fmt.Errorf("%d of %d listeners %s: %w", count.Load(), len(a.all), what, err)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// settle waits until the stream flows: see fanoutWarm.
func (a *audience) settle(ctx context.Context) {
	limit := time.Now().Add(ioTimeout)
	for calm := time.Now(); time.Since(calm) < fanoutWarm && time.Now().Before(limit) && ctx.Err() == nil; {
		if time.Duration(a.age.Load()) > fanoutAge {
			calm = time.Now()
		}
		time.Sleep(time.Millisecond)
	}
}

// drain waits until all listeners that are left have had a packet from after the
// window, or for ioTimeout: what is later than that is lost.
func (a *audience) drain(ctx context.Context) {
	limit := time.Now().Add(ioTimeout)
	for a.finished.Load()+a.gone.Load() < int64(len(a.all)) && ctx.Err() == nil && time.Now().Before(limit) {
		time.Sleep(time.Millisecond)
	}
}

// corrupt returns how often listeners got what was not sent. listen must have
// returned.
func (a *audience) corrupt() (n int64) {
	for i := range a.all {
		if l := a.all[i].Load(); l != nil {
			n += l.follower.corrupt
		}
	}
	return n
}

// listen reads what comes to all listeners, until ctx ends.
func (a *audience) listen(ctx context.Context) error {
	events := make([]unix.EpollEvent, 1024)
	for ctx.Err() == nil {
		n, err := unix.EpollWait(a.epoll, events, 20)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("waiting for data: %w", err)
		}
		for _, ev := range events[:max(n, 0)] {
			l := a.all[ev.Fd].Load()
			if l == nil {
				continue // it is being given up
			}
			if err := a.read(l); err != nil {
				a.lose(l, err)
			}
		}
	}
	return nil
}

// read takes what has come to a listener.
func (a *audience) read(l *listener) error {
	l.conn.drained = false
	for {
		var n int
		var err error
		if l.tls != nil {
			n, err = l.tls.Read(a.buf)
		} else {
			n, err = l.conn.Read(a.buf)
		}
		if n > 0 {
			if err := l.answer.take(a.buf[:n], func(p []byte) {
				a.bytes.Add(int64(len(p)))
				l.follower.feed(p, l.conn.at)
			}); err != nil {
				return err
			}
			if err := a.head(l); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, errNothing):
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("the server closed the connection")
		case err != nil:
			return fmt.Errorf("reading the response: %w", err)
		}
	}
}

// head looks at the status when it has come, and at the end.
func (a *audience) head(l *listener) error {
	switch status := l.answer.status(); {
	case status == 0:
		return nil
	case status != 200:
		return fmt.Errorf("the server answered with status %d", status)
	case !l.answered:
		l.answered = true
		a.last.Store(l.conn.at)
		a.answered.Add(1)
	}
	if l.answer.over() {
		return errors.New("the server ended the response")
	}
	return nil
}

// packet counts a packet that a listener has got whole.
func (a *audience) packet(l *listener, number uint64, sent, at int64) {
	if !l.joined {
		l.joined = true
		a.joined.Add(1)
	}
	a.age.Store(at - sent)
	switch {
	case number < a.stream.from.Load():
	case number < a.stream.to.Load():
		a.latencies = append(a.latencies, at-sent)
	case !l.finished:
		l.finished = true
		a.finished.Add(1)
	}
}

// lose gives up a listener.
func (a *audience) lose(l *listener, err error) {
	if l.lost {
		return
	}
	l.lost = true
	if a.reason == nil {
		a.reason = err
	}
	a.gone.Add(1)
	// the connection stays until close, but nobody asks for it any more
	if err := unix.EpollCtl(a.epoll, unix.EPOLL_CTL_DEL, l.conn.fd, nil); err != nil {
		a.reason = errors.Join(a.reason, err)
	}
}
