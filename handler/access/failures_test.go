package access

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestClientKey(t *testing.T) {
	for _, tc := range []struct{ client, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"2001:db8:1:2:ffff::", "2001:db8:1:2::"},
		{"2001:db8:1:3::1", "2001:db8:1:3::"},
		{"fe80::1%eth0", "fe80::"},
	} {
		if got := clientKey(netip.MustParseAddr(tc.client)); got != netip.MustParseAddr(tc.want) {
			t.Errorf("%s: got %s, want %s", tc.client, got, tc.want)
		}
	}
	if got := clientKey(netip.Addr{}); got != (netip.Addr{}) {
		t.Errorf("no address: got %s, want none", got)
	}
}

func addr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

func TestClientsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailures()
		for i := range maxClients + 10 {
			b, _, _ := f.reserve(addr(i))
			f.settle(b, true)
		}
		if got := f.clients.Len(); got != maxClients {
			t.Errorf("got %d clients, want %d", got, maxClients)
		}

		time.Sleep(failureInterval)
		for i := range maxClients {
			b, _, _ := f.reserve(addr(1<<20 + i))
			f.settle(b, false)
		}
		if got := f.clients.Len(); got != 0 {
			t.Errorf("got %d clients after their failures have expired, want 0", got)
		}
	})
}

func TestForgottenClientSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailures()
		var mine []*bucket
		for range failureBurst {
			b, _, _ := f.reserve(client1)
			mine = append(mine, b)
		}
		_, settled, _ := f.reserve(client1)
		for i := range maxClients {
			b, _, _ := f.reserve(addr(i))
			f.settle(b, true)
		}
		if f.clients.Contains(client1) {
			t.Fatal("got the client kept, want it forgotten")
		}
		other, _, _ := f.reserve(client1)
		for _, b := range mine {
			f.settle(b, false)
		}
		select {
		case <-settled:
		default:
			t.Error("got nobody woken, want who waits for a token")
		}
		if b, _ := f.clients.Peek(client1); b != other || b.reserved != 1 {
			t.Errorf("got bucket %+v, want the new one untouched", b)
		}
		f.settle(other, false)
	})
}

func BenchmarkFailuresCheck(b *testing.B) {
	f := newFailures()
	for i := range maxClients {
		bucket, _, _ := f.reserve(addr(i))
		f.settle(bucket, true)
	}
	b.ReportAllocs()
	for b.Loop() {
		f.check(addr(1))
	}
}
