package sourcebus

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// listenTCP starts an input on a port of its own, and returns its address.
func listenTCP(t *testing.T) (*running, string) {
	t.Helper()
	in := start(t, &TCP{addr: caddy.NetworkAddress{Network: "tcp", Host: "127.0.0.1"}}, Config{Ext: "mp3"})
	return in, in.logs("listening", 1).fields["address"].(string)
}

// dial connects to an address until the end of the test.
func dial(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionsAreStreams(t *testing.T) {
	checkLeaks(t)
	in, addr := listenTCP(t)

	c := dial(t, "tcp", addr)
	send(t, c, "hello ")
	s := in.open("/in")
	if s.MediaType != "audio/mpeg" || s.Length != -1 {
		t.Errorf("got type %q and length %d", s.MediaType, s.Length)
	}
	s.next("hello ")
	send(t, c, "world")
	c.Close()
	s.complete("world")

	c = dial(t, "tcp", addr)
	send(t, c, "again")
	s = in.open("/in")
	s.next("again")
	if err := c.(*net.TCPConn).SetLinger(0); err != nil { // close with a reset
		t.Fatal(err)
	}
	c.Close()
	s.broken("reset")
	in.logs("source failed", 1)

	send(t, dial(t, "tcp", addr), "once more")
	s = in.open("/in")
	s.next("once more")
	in.Suspend()
	s.complete("")

	in.Start()
	addr = in.logs("listening", 2).fields["address"].(string)
	send(t, dial(t, "tcp", addr), "and more")
	in.open("/in").next("and more")
}

func TestNewConnectionTakesOver(t *testing.T) {
	checkLeaks(t)
	in, addr := listenTCP(t)
	var before *opened
	var conn net.Conn
	for _, text := range []string{"first", "second", "third"} {
		c := dial(t, "tcp", addr)
		send(t, c, text)
		if before != nil {
			before.complete("")
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("the old connection is still open")
			}
		}
		before, conn = in.open("/in"), c
		before.next(text)
	}
}

func TestSilentConnectionTakesNothingOver(t *testing.T) {
	checkLeaks(t)
	in, addr := listenTCP(t)
	c := dial(t, "tcp", addr)
	send(t, c, "on")
	s := in.open("/in")
	s.next("on")

	// as a port scan, or a check that the port is open
	dial(t, "tcp", addr).Close()
	in.logs("connection sent nothing", 1)
	silent := dial(t, "tcp", addr)
	for range maxSilent {
		dial(t, "tcp", addr)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("the oldest silent connection is still open")
	}
	send(t, c, " air")
	s.next(" air")
	c.Close()
	s.complete("")
}

func TestTakeOverFromWriterThatWaits(t *testing.T) {
	checkLeaks(t)
	in, addr := listenTCP(t)
	c := dial(t, "tcp", addr)
	send(t, c, "x")
	s := in.open("/in")
	slow, err := s.NewWholeReader(t.Context(), 0, 1) // which does not read
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	s.next("x")
	send(t, c, strings.Repeat("x", 1000))

	send(t, dial(t, "tcp", addr), "new")
	s.rest()
	in.want(sinkbus.Completed, "/in")
	s = in.open("/in")
	s.next("new")
	if slow, err = s.NewWholeReader(t.Context(), 0, 1); err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	in.Suspend() // does not wait for the reader either
	s.complete("")
}

func TestConnectionsAreHeldBack(t *testing.T) {
	checkLeaks(t)
	in := prepare(t, &TCP{addr: caddy.NetworkAddress{Network: "unix", Host: filepath.Join(t.TempDir(), "s")}}, Config{})
	in.Hold()
	in.Start()
	addr := in.logs("listening", 1).fields["address"].(string)
	c := dial(t, "unix", addr)
	send(t, c, "held")
	c.Close()
	s := in.open("/in")
	if n := s.Size(); n != 0 {
		t.Errorf("got %d bytes, want none yet", n)
	}
	in.Release()
	s.complete("held")
}

func TestListeningIsTriedAgain(t *testing.T) {
	checkLeaks(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, err := caddy.ParseNetworkAddress(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	in := start(t, &TCP{addr: addr}, Config{})
	in.logs("cannot listen, trying again", 1)
	taken.Close()
	in.logs("listening", 1)
	if n := in.log.count("cannot listen, trying again", zap.ErrorLevel); n != 1 {
		t.Errorf("got %d errors, want 1", n)
	}
}
