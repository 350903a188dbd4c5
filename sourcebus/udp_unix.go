//go:build unix

package sourcebus

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// datagramConn is a socket from which all datagrams that there are can be taken
// at once.
type datagramConn struct {
	net.PacketConn
	raw syscall.RawConn
}

func newDatagramConn(conn net.PacketConn) (datagramConn, error) {
	udp, err := udpConn(conn)
	if err != nil {
		return datagramConn{}, errors.Join(err, conn.Close())
	}
	raw, err := udp.SyscallConn()
	if err != nil {
		return datagramConn{}, errors.Join(err, conn.Close())
	}
	return datagramConn{conn, raw}, nil
}

// udpConn returns the socket within what Caddy wraps it into.
func udpConn(conn net.PacketConn) (*net.UDPConn, error) {
	for {
		switch c := conn.(type) {
		case *net.UDPConn:
			// the system gives less where its own limit is lower
			return c, c.SetReadBuffer(udpBuffer)
		case interface{ Unwrap() net.PacketConn }:
			conn = c.Unwrap()
		default:
			return nil, fmt.Errorf("got %T, which is no socket", conn)
		}
	}
}

// read waits for a datagram, and puts it and those that wait after it into buf,
// one behind the other, as long as there is room for any. It appends their
// sizes to sizes.
func (c datagramConn) read(buf []byte, sizes []int) ([]int, error) {
	var failed error
	at := 0
	err := c.raw.Read(func(fd uintptr) bool {
		for len(buf)-at >= maxDatagram {
			n, err := unix.Read(int(fd), buf[at:])
			switch {
			case err == unix.EINTR:
				continue
			case err == unix.EAGAIN:
				return len(sizes) > 0
			case err != nil:
				failed = err
				return true
			}
			at += n
			sizes = append(sizes, n)
		}
		return true
	})
	if err == nil && len(sizes) == 0 {
		err = failed
	}
	return sizes, err
}
