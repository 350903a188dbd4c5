//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioTimeout bounds every wait for a server.
const ioTimeout = 10 * time.Second

var errStalled = fmt.Errorf("no progress for %v", ioTimeout)

// dial opens a blocking TCP connection whose every wait is bounded, and which
// is told the arrival time of what it receives.
//
// The segment size is capped (0: not) because loopback's own, 64 KiB, makes
// stalls that no network has: a sender whose last piece is shorter than a
// segment, or whose peer's window is, waits 40 ms for a delayed acknowledgement.
func dial(addr netip.AddrPort, mss int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening a socket: %w", err)
	}
	limit := unix.NsecToTimeval(int64(ioTimeout))
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
	)
	if mss > 0 {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, mss))
	}
	if err == nil {
		err = connect(fd, addr)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("connecting to %s: %w", addr, err)
	}
	return fd, nil
}

// connect connects a blocking socket. A signal, of which Go's runtime sends many,
// interrupts the call, but not the connecting.
func connect(fd int, addr netip.AddrPort) error {
	err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	limit := time.Now().Add(ioTimeout)
	for err == unix.EINTR {
		left := time.Until(limit)
		if left <= 0 {
			return errStalled
		}
		var n int
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(left.Milliseconds())+1)
		if n > 0 && err == nil {
			code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if err == nil && code != 0 {
				err = unix.Errno(code)
			}
			return err
		}
		if n == 0 && err == nil {
			return errStalled
		}
	}
	return err
}

// writeAll writes all of p. On a non-blocking socket p must be small enough for
// an empty send buffer.
func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		switch err {
		case nil:
			p = p[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			return errStalled
		default:
			return err
		}
	}
	return nil
}

// receive reads once. at is when the kernel queued the last byte that it
// returns, in nanoseconds of the real-time clock: that is the server's doing,
// however late this process gets round to reading. With MSG_TRUNC in flags the
// bytes are dropped in the kernel and p is not touched.
func receive(fd int, p []byte, flags int) (n int, at int64, err error) {
	var oob [64]byte
	n, oobn, _, _, err := unix.Recvmsg(fd, p, oob[:], flags)
	if err != nil {
		return 0, 0, err
	}
	if at = stampOf(oob[:oobn]); at == 0 {
		at = now() // the kernel starts to stamp a moment after it is asked
	}
	return n, at, nil
}

// stampOf returns the time stamp among control messages, or 0.
func stampOf(oob []byte) int64 {
	for len(oob) >= unix.CmsgLen(0) {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			return (*unix.Timespec)(unsafe.Pointer(&data[0])).Nano()
		}
		oob = rest
	}
	return 0
}

// now is the clock that the kernel stamps packets with.
func now() int64 { return time.Now().UnixNano() }
