package handler

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// connections are the client connections that handlers have served, and the
// counters they are in.
type connections struct {
	// tcp holds every connection of the servers that have handlers, by its
	// net.Conn: those of HTTP/1 and HTTP/2.
	tcp sync.Map

	// mu guards what follows.
	mu sync.Mutex

	// other holds the connections that have requests in progress and no
	// net.Conn, those of HTTP/3, by the client's address.
	other map[string]*conn

	counters map[string]*counter
}

func newConnections() *connections {
	return &connections{other: make(map[string]*conn), counters: make(map[string]*counter)}
}

// counter counts the connections of one server. It is found by a key that stays
// the same over reloads, so that connections which do are still counted.
type counter struct {
	mu    sync.Mutex
	total int
	peers map[string]int
}

func (c *connections) counter(key string) *counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.counters[key]
	if n == nil {
		n = &counter{peers: make(map[string]int)}
		c.counters[key] = n
	}
	return n
}

// seat is a connection's place in a counter.
type seat struct {
	counter *counter
	peer    string
}

// conn is one client connection.
type conn struct {
	netConn  net.Conn // nil for HTTP/3
	requests int      // in progress, where netConn is nil; guarded by connections.mu

	// failures is how many error responses came in a row.
	failures atomic.Int32

	// mu guards what follows.
	mu      sync.Mutex
	seats   []seat
	closed  bool
	taken   bool          // a request has taken it over, and ends it
	timeout time.Duration // how long it may be idle, 0 for ever
	idle    *time.Timer
}

type connKey struct{}

// Track makes the connections of a Caddy server known. It must be called while
// the server is provisioned, once for each.
func (s *State) Track(srv *caddyhttp.Server) {
	srv.RegisterConnContext(s.conns.begin)
	srv.RegisterConnState(s.conns.changed)
}

func (c *connections) begin(ctx context.Context, nc net.Conn) context.Context {
	cn := &conn{netConn: nc}
	c.tcp.Store(nc, cn)
	return context.WithValue(ctx, connKey{}, cn)
}

func (c *connections) changed(nc net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		return
	case http.StateClosed, http.StateHijacked:
		if cn, ok := c.tcp.LoadAndDelete(nc); ok && !cn.(*conn).wasTaken() {
			cn.(*conn).end()
		}
	default:
		if cn, ok := c.tcp.Load(nc); ok {
			cn.(*conn).setIdle(state == http.StateIdle)
		}
	}
}

// of returns the connection of a request, and what must be called when the
// request is over.
func (c *connections) of(r *http.Request) (*conn, func()) {
	if cn, ok := r.Context().Value(connKey{}).(*conn); ok {
		return cn, func() {}
	}
	key := r.RemoteAddr
	c.mu.Lock()
	cn := c.other[key]
	if cn == nil {
		cn = new(conn)
		c.other[key] = cn
	}
	cn.requests++
	c.mu.Unlock()
	return cn, func() {
		c.mu.Lock()
		cn.requests--
		last := cn.requests == 0
		if last {
			delete(c.other, key)
		}
		c.mu.Unlock()
		if last {
			cn.end()
		}
	}
}

// setIdle begins or ends the time in which an idle connection is closed.
func (cn *conn) setIdle(idle bool) {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	switch {
	case cn.idle != nil && !idle:
		cn.idle.Stop()
	case cn.timeout <= 0 || !idle || cn.closed:
	case cn.idle == nil:
		cn.idle = time.AfterFunc(cn.timeout, func() { cn.netConn.Close() })
	default:
		cn.idle.Reset(cn.timeout)
	}
}

// take says that a request takes the connection over, which is counted until end
// is called.
func (cn *conn) take() {
	cn.mu.Lock()
	cn.taken = true
	cn.mu.Unlock()
}

func (cn *conn) wasTaken() bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	return cn.taken
}

// end gives up the connection's seats.
func (cn *conn) end() {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	cn.closed = true
	if cn.idle != nil {
		cn.idle.Stop()
	}
	for _, s := range cn.seats {
		s.counter.leave(s.peer)
	}
	cn.seats = nil
}

// admission says whether a connection may be used.
type admission uint8

const (
	admitted admission = iota
	tooMany
	tooManyOfPeer
)

// enter gives the connection a seat in the server's counter, unless it has one
// or its limits are reached: maxc seats, and maxp of one peer; 0 for no limit.
func (cn *conn) enter(c *counter, peer string, maxc, maxp int) admission {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	i := slices.IndexFunc(cn.seats, func(s seat) bool { return s.counter == c })
	switch {
	case i >= 0 && cn.seats[i].peer == peer:
		return admitted
	case cn.closed:
		return admitted // a request that outlived its connection
	case i >= 0:
		// a proxy's connection, now used for another client
		c.leave(cn.seats[i].peer)
		cn.seats = slices.Delete(cn.seats, i, i+1)
	}
	a := c.join(peer, maxc, maxp)
	if a == admitted {
		cn.seats = append(cn.seats, seat{c, peer})
	}
	return a
}

func (c *counter) join(peer string, maxc, maxp int) admission {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case maxc > 0 && c.total >= maxc:
		return tooMany
	case maxp > 0 && c.peers[peer] >= maxp:
		return tooManyOfPeer
	}
	c.total++
	c.peers[peer]++
	return admitted
}

func (c *counter) leave(peer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.peers[peer]--; c.peers[peer] <= 0 {
		delete(c.peers, peer)
	}
}

// setTimeout sets how long the connection may be idle.
func (cn *conn) setTimeout(d time.Duration) {
	cn.mu.Lock()
	cn.timeout = d
	cn.mu.Unlock()
}
