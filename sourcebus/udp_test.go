package sourcebus

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/caddyserver/caddy/v2"
)

// listenUDP starts an input on a port of its own, and returns its address.
func listenUDP(t *testing.T, idle time.Duration, c Config) (*running, string) {
	t.Helper()
	in := start(t, &UDP{addr: caddy.NetworkAddress{Network: "udp", Host: "127.0.0.1"}, idle: idle}, c)
	return in, in.logs("listening", 1).fields["address"].(string)
}

func TestDatagramsAreOneStream(t *testing.T) {
	checkLeaks(t)
	in, addr := listenUDP(t, udpIdle, Config{})
	c := dial(t, "udp", addr)
	want := ""
	var s *opened
	for i := range 200 {
		text := fmt.Sprintf("%d%s\n", i, strings.Repeat("x", i%7*300))
		send(t, c, text)
		want += text
		if s == nil {
			s = in.open("/in")
		}
		if i%20 == 19 { // the system would drop what does not fit
			s.next(want)
			want = ""
		}
	}
	if s.MediaType != "" {
		t.Errorf("got type %q, want none", s.MediaType)
	}
	in.Suspend()
	s.complete("")
}

func TestOnlyTransportStreamIsTaken(t *testing.T) {
	checkLeaks(t)
	in, addr := listenUDP(t, udpIdle, Config{})
	c := dial(t, "udp", addr)
	const rtp = "\x80\x21\x00\x01\x00\x00\x00\x00\x01\x02\x03\x04"
	a, b, d := string(tsTestPackets(7, 1)), string(tsTestPackets(3, 2)), string(tsTestPackets(7, 3))
	send(t, c, rtp+a)
	s := in.open("/in")
	if s.MediaType != mpegTS {
		t.Errorf("got type %q, want %q", s.MediaType, mpegTS)
	}
	send(t, c, "no packets")
	send(t, c, "")
	send(t, c, b)
	send(t, c, d[1:])
	send(t, c, rtp+d)
	s.next(a + b + d)
	if got := in.logs("datagrams dropped that are not MPEG-TS", 2).fields["datagrams"]; got != int64(2) {
		t.Errorf("got %v dropped, want 2", got)
	}
	in.Suspend()
	s.complete("")
}

func TestTransportStreamCanBeDeclared(t *testing.T) {
	checkLeaks(t)
	in, addr := listenUDP(t, udpIdle, Config{Ext: "ts"})
	c := dial(t, "udp", addr)
	send(t, c, "no packets")
	in.logs("datagrams dropped that are not MPEG-TS", 1)
	packets := string(tsTestPackets(2, 1))
	send(t, c, packets)
	in.open("/in").next(packets)
}

func TestSilenceEndsStreamOfDatagrams(t *testing.T) {
	checkLeaks(t)
	in, addr := listenUDP(t, 50*time.Millisecond, Config{})
	c := dial(t, "udp", addr)
	for range 3 {
		send(t, c, "something")
		in.open("/in").complete("something")
	}
}

func TestStreamOfDatagramsThatIsAborted(t *testing.T) {
	checkLeaks(t)
	in, addr := listenUDP(t, udpIdle, Config{})
	c := dial(t, "udp", addr)
	send(t, c, "something")
	s := in.open("/in")
	s.Abort(nil)
	s.broken("aborted")
	send(t, c, "lost with it")
	in.logs("stream failed", 1)
	send(t, c, "next")
	in.open("/in").next("next")
}

// joined starts an input of a multicast group on the loopback interface.
func joined(t *testing.T, group string, port int) *running {
	t.Helper()
	u := &UDP{Address: fmt.Sprintf("%s:%d", group, port), Interface: multicastInterface(t).Name}
	if err := u.Provision(caddy.Context{Context: t.Context()}); err != nil {
		t.Fatal(err)
	}
	in := start(t, u, Config{})
	in.logs("listening", 1)
	return in
}

func TestDatagramsOfMulticastGroup(t *testing.T) {
	checkLeaks(t)
	port := freePort(t)
	groups := []string{"239.255.77.1", "239.255.77.2"}
	var inputs []*running // of two groups on the same port
	for _, group := range groups {
		inputs = append(inputs, joined(t, group, port))
	}
	for round := range 2 {
		for i, group := range groups {
			sendMulticast(t, fmt.Sprintf("%s:%d", group, port), fmt.Sprintf("for group %d, %d", i, round))
		}
	}
	for i, in := range inputs {
		s := in.open("/in")
		s.next(fmt.Sprintf("for group %d, 0for group %d, 1", i, i))
		in.Suspend()
		s.complete("")
	}
}

// The loopback interface has no route for groups of IPv6.
func TestMulticastGroupOfIPv6IsJoined(t *testing.T) {
	checkLeaks(t)
	joined(t, "[ff15::77:1]", freePort(t))
}

func TestPacketsThatFFmpegSends(t *testing.T) {
	checkLeaks(t)
	in, addr := listenUDP(t, udpIdle, Config{})
	file := filepath.Join(t.TempDir(), "sent.ts")
	tee := "[f=mpegts]udp\\://" + strings.Replace(addr, ":", "\\:", 1) + "?pkt_size=1316|[f=mpegts]" + file
	ffmpeg(t, "-re", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000",
		"-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "300k", "-c:a", "aac", "-map", "0", "-map", "1", "-f", "tee", tee)
	s := in.open("/in")
	sent := readFile(t, file)
	s.next(sent)
	in.Suspend()
	s.complete("")
	if info := s.Info(); info.MediaType != mpegTS || info.Played < 1500*time.Millisecond {
		t.Errorf("got %+v", info)
	}
}

// freePort returns a port on which nobody listens.
func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// multicastInterface returns the loopback interface.
func multicastInterface(t *testing.T) *net.Interface {
	t.Helper()
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, ifi := range list {
		if ifi.Flags&net.FlagLoopback != 0 && ifi.Flags&net.FlagUp != 0 {
			return &ifi
		}
	}
	t.Fatal("there is no loopback interface")
	return nil
}

// sendMulticast sends a datagram to a group on the loopback interface.
func sendMulticast(t *testing.T, group, text string) {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp4", group)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := ipv4.NewPacketConn(c)
	if err := p.SetMulticastInterface(multicastInterface(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.WriteTo([]byte(text), nil, to); err != nil {
		t.Fatal(err)
	}
}
