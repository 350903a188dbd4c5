//go:build linux

package main

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestReceiveTellsTimeOfArrival(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fd, err := dial(netip.MustParseAddrPort(l.Addr().String()), 1448)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	srv, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()

	const late = 50 * time.Millisecond
	buf := make([]byte, 100)
	for _, flags := range []int{0, unix.MSG_TRUNC} {
		var sent, at int64
		for try := range 20 { // the kernel begins to stamp some time after it is asked
			sent = now()
			if _, err := srv.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(late)
			var n int
			n, at, err = receive(fd, buf, flags)
			if err != nil || n != 5 {
				t.Fatalf("got %d bytes, %v", n, err)
			}
			if try > 0 && at-sent < int64(late) {
				break
			}
		}
		if d := time.Duration(at - sent); d < 0 || d >= late {
			t.Errorf("flags %#x: arrival is %v after sending, but it was read %v later", flags, d, late)
		}
	}
}

// A server that is slow to accept makes connecting take a second; the signals by
// which Go's runtime preempts goroutines come meanwhile.
func TestDialOutlastsSignals(t *testing.T) {
	server, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(server)
	if err := errors.Join(unix.Bind(server, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(server, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(server)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*unix.SockaddrInet4).Port))

	waiting, err := dial(addr, 0) // there is room for one
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(waiting)
	thread, dialled := make(chan int, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		fd, err := dial(addr, 0)
		if err == nil {
			err = unix.Close(fd)
		}
		dialled <- err
	}()
	tid := <-thread
	for accepted, signals := false, 0; ; signals++ {
		select {
		case err := <-dialled:
			if err != nil {
				t.Errorf("after %d signals: %v", signals, err)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
		if err := unix.Tgkill(os.Getpid(), tid, unix.SIGURG); err != nil {
			t.Fatal(err)
		}
		if signals > 2 && !accepted {
			fd, _, err := unix.Accept(server)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			accepted = true
		}
	}
}
