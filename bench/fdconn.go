//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// fdConn lets TLS run over a socket that is polled. While the socket blocks, it
// is an ordinary connection. When it does not, a read finds what has come, or
// fails with errNothing, after which TLS goes on where it was.
type fdConn struct {
	fd       int
	peer     netip.AddrPort
	blocking bool

	at      int64 // when the kernel queued the last byte that was read
	drained bool  // nothing is left to read, until the poller says so again
}

// errNothing says that nothing has come yet. TLS takes it for a passing trouble.
var errNothing net.Error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "nothing has come yet" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// Read implements net.Conn.
func (c *fdConn) Read(p []byte) (int, error) {
	if c.drained && !c.blocking {
		return 0, errNothing
	}
	for {
		n, at, err := receive(c.fd, p, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN && c.blocking:
			return 0, errStalled
		case err == unix.EAGAIN:
			c.drained = true
			return 0, errNothing
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		c.at, c.drained = at, n < len(p)
		return n, nil
	}
}

// Write implements net.Conn.
func (c *fdConn) Write(p []byte) (int, error) {
	if err := writeAll(c.fd, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// unblock leaves waiting to the poller.
func (c *fdConn) unblock() error {
	c.blocking = false
	if err := unix.SetNonblock(c.fd, true); err != nil {
		return fmt.Errorf("preparing a connection: %w", err)
	}
	return nil
}

// Close implements net.Conn.
func (c *fdConn) Close() error { return unix.Close(c.fd) }

// LocalAddr implements net.Conn.
func (c *fdConn) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements net.Conn.
func (c *fdConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.peer) }

// The waits of the socket are bounded from the beginning: see dial.

// SetDeadline implements net.Conn.
func (c *fdConn) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// SetReadDeadline implements net.Conn.
func (c *fdConn) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

// SetWriteDeadline implements net.Conn.
func (c *fdConn) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// Interface guard
var _ net.Conn = (*fdConn)(nil)
