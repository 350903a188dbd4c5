//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// poller reads many HTTP/1.1 connections from one goroutine: a response costs
// two or three system calls and no wake-up of another thread, so that the load
// takes little of the CPU that it shares with the server.
type poller struct {
	epoll  int
	buf    []byte
	events []unix.EpollEvent
	conns  map[int32]*conn
}

// conn is one client connection.
type conn struct {
	fd   int
	resp response

	skip  bool                                    // drop bodies unread
	began int64                                   // when the request was sent
	body  func(c *conn, p []byte, at int64) error // gets the bytes of the body
	end   func(c *conn, at int64) error           // the response is complete
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating an epoll instance: %w", err)
	}
	return &poller{
		epoll:  fd,
		buf:    make([]byte, 4<<20), // mostly never touched: see receive
		events: make([]unix.EpollEvent, 256),
		conns:  map[int32]*conn{},
	}, nil
}

// open connects n times and lets each connection be prepared.
func (p *poller) open(addr netip.AddrPort, mss, n int, prepare func(i int, c *conn)) error {
	for i := range n {
		fd, err := dial(addr, mss)
		if err != nil {
			return err
		}
		c := &conn{fd: fd}
		p.conns[int32(fd)] = c
		prepare(i, c)
		err = errors.Join(
			unix.SetNonblock(fd, true),
			unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}),
		)
		if err != nil {
			return fmt.Errorf("preparing a connection: %w", err)
		}
	}
	return nil
}

func (p *poller) close() {
	for _, c := range p.conns {
		unix.Close(c.fd)
	}
	unix.Close(p.epoll)
}

// request sends the head of a request without a body.
func (c *conn) request(head []byte) error {
	c.began = now()
	return writeAll(c.fd, head)
}

// run reads whatever comes until busy returns false.
func (p *poller) run(ctx context.Context, busy func() bool) error {
	last := time.Now()
	for busy() {
		n, err := unix.EpollWait(p.epoll, p.events, 100)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("waiting for data: %w", err)
		}
		if n <= 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if time.Since(last) > ioTimeout {
				return errStalled
			}
			continue
		}
		last = time.Now()
		for _, ev := range p.events[:n] {
			if err := p.read(p.conns[ev.Fd]); err != nil {
				return err
			}
		}
	}
	return nil
}

// read makes one read of a connection that has something to read.
func (p *poller) read(c *conn) error {
	if left := c.resp.skippable(); c.skip && left > 0 {
		n, at, err := receive(c.fd, p.buf[:min(left, int64(len(p.buf)))], unix.MSG_TRUNC)
		if err != nil || n == 0 {
			return c.cut(err)
		}
		c.resp.took(int64(n))
		if c.resp.done {
			return c.end(c, at)
		}
		return nil
	}
	n, at, err := receive(c.fd, p.buf, 0)
	if err != nil || n == 0 {
		return c.cut(err)
	}
	for rest := p.buf[:n]; len(rest) > 0; {
		if c.resp.done {
			return fmt.Errorf("%d bytes after the end of the response", len(rest))
		}
		k, body, err := c.resp.next(rest)
		if err != nil {
			return err
		}
		if len(body) > 0 && c.body != nil {
			if err := c.body(c, body, at); err != nil {
				return err
			}
		}
		rest = rest[k:]
		if c.resp.done && len(rest) == 0 {
			return c.end(c, at)
		}
	}
	return nil
}

// cut turns the end of a connection into an error.
func (c *conn) cut(err error) error {
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil:
		return fmt.Errorf("reading a response: %w", err)
	case c.resp.stage == inHead && len(c.resp.partial) == 0:
		return errors.New("the server closed the connection instead of answering")
	default:
		return fmt.Errorf("after %d bytes of the body: %w", c.resp.size, io.ErrUnexpectedEOF)
	}
}
