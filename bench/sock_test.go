//go:build linux

package main

import (
	"net"
	"net/netip"
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
