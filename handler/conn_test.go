package handler

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// from has a request made by another client.
func from(r *http.Request, addr string) *http.Request {
	r.RemoteAddr = addr
	return r
}

// limited returns a site with limits.
func limited(t testing.TB, maxc, maxp int) *site {
	t.Helper()
	o := readWrite
	o.MaxConns, o.MaxPeerConns = &maxc, &maxp
	return newSite(t, o, map[string]string{"www/a": "a"})
}

// seats returns what is counted.
func (s *site) seats() (total, peers int) {
	s.counter.mu.Lock()
	defer s.counter.mu.Unlock()
	return s.counter.total, len(s.counter.peers)
}

func TestConnectionLimits(t *testing.T) {
	const alice, bob, carol = "192.0.2.1:1", "192.0.2.2:1", "[2001:db8::3]:1"
	// A step is a request on a connection, or its end.
	type step struct {
		conn   string
		client string // "" ends the connection
		status int
	}
	for _, tc := range []struct {
		name       string
		maxc, maxp int
		steps      []step
	}{
		{"as many as allowed", 2, 0, []step{{"1", alice, 200}, {"2", bob, 200}, {"3", carol, 503}}},
		{"one connection, many requests", 1, 1, []step{{"1", alice, 200}, {"1", alice, 200}, {"1", alice, 200}}},
		{"one client's", 0, 2, []step{{"1", alice, 200}, {"2", alice, 200}, {"3", alice, 429}, {"4", bob, 200}}},
		{"one client's, by another port", 0, 1, []step{{"1", alice, 200}, {"2", "192.0.2.1:9", 429}}},
		{"IPv6", 0, 1, []step{{"1", carol, 200}, {"2", "[2001:db8::3]:9", 429}, {"3", "[2001:db8::4]:1", 200}}},
		{"both limits", 2, 1, []step{{"1", alice, 200}, {"2", alice, 429}, {"3", bob, 200}, {"4", carol, 503}}},
		{"no limits", 0, 0, []step{{"1", alice, 200}, {"2", alice, 200}, {"3", alice, 200}}},
		{"one that ends makes room", 1, 0, []step{{"1", alice, 200}, {"2", bob, 503}, {"1", "", 0}, {"2", bob, 200}}},
		{"one that ends makes room for the client", 0, 1, []step{{"1", alice, 200}, {"2", alice, 429}, {"1", "", 0}, {"2", alice, 200}}},
		{"one that was refused takes none", 1, 0, []step{{"1", alice, 200}, {"2", bob, 503}, {"2", "", 0}, {"3", bob, 503}}},
		{"a proxy's connection changes its client", 0, 1, []step{{"1", alice, 200}, {"1", bob, 200}, {"2", alice, 200}, {"3", bob, 429}}},
		{"a proxy's connection counts once", 2, 0, []step{{"1", alice, 200}, {"1", bob, 200}, {"1", carol, 200}, {"2", alice, 200}, {"3", alice, 503}}},
		{"a proxy's connection for a client who has enough", 0, 1, []step{{"1", alice, 200}, {"2", bob, 200}, {"2", alice, 429}, {"3", bob, 200}, {"2", bob, 429}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := limited(t, tc.maxc, tc.maxp)
			conns := make(map[string]net.Conn)
			contexts := make(map[string]context.Context)
			for i, st := range tc.steps {
				if conns[st.conn] == nil {
					here, there := net.Pipe()
					defer here.Close()
					defer there.Close()
					conns[st.conn] = here
					contexts[st.conn] = s.state.conns.begin(t.Context(), here)
				}
				if st.client == "" {
					s.state.conns.changed(conns[st.conn], http.StateClosed)
					continue
				}
				what := fmt.Sprintf("step %d, connection %s", i, st.conn)
				r := s.serve(from(newRequest(http.MethodGet, "/a", ""), st.client).WithContext(contexts[st.conn]))
				wantStatus(t, what, r, st.status)
				if st.status != http.StatusOK {
					wantHeader(t, what, r.header, "Retry-After: 5", "Connection: close")
				}
			}
			for _, c := range conns {
				s.state.conns.changed(c, http.StateClosed)
			}
			total, peers := s.seats()
			equal(t, "connections counted in the end", total, 0)
			equal(t, "clients counted in the end", peers, 0)
		})
	}
}

func TestClientIsWhomCaddyNames(t *testing.T) {
	for _, tc := range []struct {
		name, remote string
		caddy        any // what Caddy says
		want         string
	}{
		{"Caddy's", "192.0.2.1:1", "198.51.100.7", "198.51.100.7"},
		{"Caddy says nothing", "192.0.2.1:1", "", "192.0.2.1"},
		{"no Caddy", "192.0.2.1:1", nil, "192.0.2.1"},
		{"no Caddy, IPv6", "[2001:db8::1]:1", nil, "2001:db8::1"},
		{"no port", "@", nil, "@"},
	} {
		r := from(newRequest(http.MethodGet, "/", ""), tc.remote)
		if tc.caddy != nil {
			r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: tc.caddy}))
		}
		equal(t, tc.name, clientIP(r), tc.want)
	}
}

func TestDefaultConnectionLimits(t *testing.T) {
	s := newSite(t, readOnly, map[string]string{"www/a": "a"})
	get := func(client string) int {
		return s.serve(from(newRequest(http.MethodGet, "/a", ""), client).WithContext(s.connect(t))).status
	}
	for i := range DefaultMaxPeerConns {
		equal(t, fmt.Sprintf("connection %d of a client", i), get("192.0.2.1:1"), http.StatusOK)
	}
	equal(t, "one more of the client", get("192.0.2.1:1"), http.StatusTooManyRequests)
	for i := DefaultMaxPeerConns; i < DefaultMaxConns; i++ {
		equal(t, fmt.Sprintf("connection %d", i), get(fmt.Sprintf("198.51.100.%d:1", i)), http.StatusOK)
	}
	equal(t, "one more", get("203.0.113.1:1"), http.StatusServiceUnavailable)
}

func TestRefusedConnectionIsLoggedWithItsOption(t *testing.T) {
	for _, tc := range []struct {
		option     string
		maxc, maxp int
	}{{"maxc", 1, 0}, {"maxp", 0, 1}} {
		s := limited(t, tc.maxc, tc.maxp)
		for range 2 {
			s.serve(newRequest(http.MethodGet, "/a", "").WithContext(s.connect(t)))
		}
		logged := s.logs.FilterMessage("connection refused: limit reached").All()
		if len(logged) != 1 {
			t.Fatalf("%s: got %d lines in the log, want 1", tc.option, len(logged))
		}
		fields := logged[0].ContextMap()
		equal[any](t, "option", fields["option"], tc.option)
		equal[any](t, "client_ip", fields["client_ip"], "192.0.2.1")
	}
}

func TestRefusedRequestInHTTP2KeepsTheConnection(t *testing.T) {
	s := limited(t, 1, 0)
	s.serve(newRequest(http.MethodGet, "/a", "").WithContext(s.connect(t)))
	r := newRequest(http.MethodGet, "/a", "").WithContext(s.connect(t))
	r.ProtoMajor = 2
	got := s.serve(r)
	wantStatus(t, "GET", got, http.StatusServiceUnavailable)
	wantHeader(t, "GET", got.header, "Retry-After: 5", "Connection:")
}

func TestCountersSurviveAReload(t *testing.T) {
	one := 1
	o := readWrite
	o.MaxConns = &one
	root := t.TempDir()
	writeFiles(t, root, map[string]string{"www/a": "a"})
	state := NewState()
	old, err := newSiteIn(t, root, o, "key", state)
	if err != nil {
		t.Fatal(err)
	}
	held := old.connect(t)
	wantStatus(t, "before", old.serve(newRequest(http.MethodGet, "/a", "").WithContext(held)), http.StatusOK)

	same, err := newSiteIn(t, root, o, "key", state)
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "another connection", same.serve(newRequest(http.MethodGet, "/a", "").WithContext(same.connect(t))), http.StatusServiceUnavailable)
	wantStatus(t, "the connection from before", same.serve(newRequest(http.MethodGet, "/a", "").WithContext(held)), http.StatusOK)

	other, err := newSiteIn(t, root, o, "other key", state)
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "another server", other.serve(newRequest(http.MethodGet, "/a", "").WithContext(held)), http.StatusOK)
	total, _ := other.seats()
	equal(t, "counted there", total, 1)
}

// TestConnectionWithoutHooksIsItsAddress is about HTTP/3: a connection is an
// address that has requests in progress.
func TestConnectionWithoutHooksIsItsAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := limited(t, 0, 1)
		long, short := s.upload("long", "", "x"), s.upload("short", "", "x")
		begin := func(addr, path string) *exchange {
			r := from(newRequest(http.MethodGet, path, ""), addr)
			r.ProtoMajor = 3
			return s.start(r)
		}
		first, second := begin("192.0.2.1:1", "/short"), begin("192.0.2.1:1", "/long")
		first.has(t, "first stream", "x")
		second.has(t, "second stream", "x")
		wantStatus(t, "another connection of the client", begin("192.0.2.1:2", "/a").wait(), http.StatusTooManyRequests)
		other := begin("192.0.2.2:1", "/long")
		other.has(t, "another client", "x")
		total, peers := s.seats()
		equal(t, "connections", total, 2)
		equal(t, "clients", peers, 2)

		commit(t, short)
		wantReply(t, "first stream", first.wait(), http.StatusOK, "x")
		total, _ = s.seats()
		equal(t, "connections while there is another stream", total, 2)
		wantStatus(t, "another request of the connection", begin("192.0.2.1:1", "/a").wait(), http.StatusOK)
		wantStatus(t, "another connection of the client, still", begin("192.0.2.1:2", "/a").wait(), http.StatusTooManyRequests)

		commit(t, long)
		for _, x := range []*exchange{second, other} {
			wantReply(t, "stream", x.wait(), http.StatusOK, "x")
		}
		total, _ = s.seats()
		equal(t, "connections afterwards", total, 0)
		equal(t, "connections known afterwards", len(s.state.conns.other), 0)
		wantStatus(t, "another connection afterwards", begin("192.0.2.1:2", "/a").wait(), http.StatusOK)
	})
}

func TestRequestThatOutlivesItsConnectionIsNotCounted(t *testing.T) {
	s := limited(t, 1, 1)
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	ctx := s.state.conns.begin(t.Context(), here)
	s.state.conns.changed(here, http.StateClosed)
	wantStatus(t, "GET", s.serve(newRequest(http.MethodGet, "/a", "").WithContext(ctx)), http.StatusOK)
	total, _ := s.seats()
	equal(t, "connections", total, 0)
}

func TestIdleConnectionIsClosed(t *testing.T) {
	const second = time.Second
	type change struct {
		after time.Duration
		to    http.ConnState
	}
	for _, tc := range []struct {
		name    string
		timeout time.Duration
		changes []change
		closes  time.Duration // after the last change, 0 for never
	}{
		{"idle", 30 * second, []change{{0, http.StateActive}, {0, http.StateIdle}}, 30 * second},
		{"in use", 30 * second, []change{{0, http.StateActive}}, 0},
		{"used again", 30 * second, []change{{0, http.StateIdle}, {29 * second, http.StateActive}}, 0},
		{"idle again", 30 * second, []change{{0, http.StateIdle}, {29 * second, http.StateActive}, {29 * second, http.StateIdle}}, 30 * second},
		{"idle for ever", 0, []change{{0, http.StateIdle}}, 0},
		{"taken over", 30 * second, []change{{0, http.StateIdle}, {second, http.StateHijacked}}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := readOnly
				timeout := caddy.Duration(tc.timeout)
				o.Timeout = &timeout
				s := newSite(t, o, map[string]string{"www/a": "a"})
				here, there := net.Pipe()
				defer there.Close()
				ctx := s.state.conns.begin(t.Context(), here)
				s.state.conns.changed(here, http.StateNew)
				s.state.conns.changed(here, http.StateActive)
				wantStatus(t, "GET", s.serve(newRequest(http.MethodGet, "/a", "").WithContext(ctx)), http.StatusOK)

				var closed time.Time
				go func() {
					_, _ = there.Read(make([]byte, 1)) // there is nothing but the end
					closed = time.Now()
				}()
				for _, c := range tc.changes {
					time.Sleep(c.after)
					s.state.conns.changed(here, c.to)
				}
				last := time.Now()
				time.Sleep(time.Hour)
				synctest.Wait()
				var after time.Duration
				if !closed.IsZero() {
					after = closed.Sub(last)
				}
				equal(t, "closed after", after, tc.closes)
				s.state.conns.changed(here, http.StateClosed)
				here.Close()
			})
		})
	}
}

func TestTimeoutIsThatOfTheLastServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root, state := t.TempDir(), NewState()
		writeFiles(t, root, map[string]string{"www/a": "a"})
		here, there := net.Pipe()
		defer there.Close()
		ctx := state.conns.begin(t.Context(), here)
		for _, seconds := range []int{100, 10} {
			o := readOnly
			timeout := caddy.Duration(time.Duration(seconds) * time.Second)
			o.Timeout = &timeout
			s, err := newSiteIn(t, root, o, fmt.Sprint(seconds), state)
			if err != nil {
				t.Fatal(err)
			}
			state.conns.changed(here, http.StateActive)
			s.serve(newRequest(http.MethodGet, "/a", "").WithContext(ctx))
			state.conns.changed(here, http.StateIdle)
		}
		start := time.Now()
		_, _ = there.Read(make([]byte, 1))
		equal(t, "closed after", time.Since(start), 10*time.Second)
		state.conns.changed(here, http.StateClosed)
	})
}

// TestConnectionsAreCountedRightUnderLoad has many of them come and go at the
// same time.
func TestConnectionsAreCountedRightUnderLoad(t *testing.T) {
	const maxc, maxp = 5, 2
	conns := newConnections()
	c := conns.counter("key")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				cn := new(conn)
				for k := range 3 { // a proxy's connection changes its client
					cn.enter(c, fmt.Sprint((i+j+k)%4), maxc, maxp)
					c.mu.Lock()
					if c.total > maxc {
						t.Errorf("got %d connections, want at most %d", c.total, maxc)
					}
					for peer, n := range c.peers {
						if n > maxp {
							t.Errorf("got %d connections of %s, want at most %d", n, peer, maxp)
						}
					}
					c.mu.Unlock()
				}
				cn.end()
				cn.end() // once is enough
			}
		})
	}
	wg.Wait()
	equal(t, "connections in the end", c.total, 0)
	equal(t, "clients in the end", len(c.peers), 0)
}
