package sourcebus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-httpout/httpout/sinkbus"
)

func init() {
	caddy.RegisterModule(TCP{})
}

// TCP is an input that listens for connections. Each connection that sends
// something is a stream, one at a time: the newest takes over, so that a source
// that connects again is not kept out by its own old connection. A stream is
// complete when its connection is closed, and aborted when that is reset.
type TCP struct {
	// The address to listen on: `host:port`, `:port`, or `unix/` and a path, as
	// Caddy has them. Placeholders are replaced when the configuration is loaded.
	Address string `json:"address,omitempty"`

	addr caddy.NetworkAddress
}

// tcpKeepAlive ends connections to hosts that are gone after 45 seconds.
var tcpKeepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6}

// maxSilent is how many connections may be open that have sent nothing. Beyond
// it the oldest of them is closed.
const maxSilent = 16

// CaddyModule returns the Caddy module information.
func (TCP) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "httpout.inputs.tcp",
		New: func() caddy.Module { return new(TCP) },
	}
}

// UnmarshalCaddyfile sets up the input from Caddyfile tokens. Syntax:
//
//	tcp <address>
func (t *TCP) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the kind
	if !d.AllArgs(&t.Address) {
		return d.ArgErr()
	}
	return nil
}

// Provision sets the input up.
func (t *TCP) Provision(caddy.Context) error {
	if err := expand("the address", &t.Address); err != nil {
		return err
	}
	var err error
	t.addr, err = listenAddress(t.Address, "tcp", "tcp4", "tcp6", "unix")
	return err
}

// listenAddress parses the address of one socket of one of the given networks,
// of which the first is the default.
func listenAddress(text string, networks ...string) (caddy.NetworkAddress, error) {
	addr, err := caddy.ParseNetworkAddressWithDefaults(text, networks[0], 0)
	switch {
	case err != nil:
		return addr, fmt.Errorf("parsing address %q: %v", text, err)
	case !slices.Contains(networks, addr.Network):
		return addr, fmt.Errorf("address %q: network %q is not one of %v", text, addr.Network, networks)
	case addr.IsUnixNetwork():
		return addr, nil
	case addr.PortRangeSize() != 1:
		return addr, fmt.Errorf("address %q has several ports", text)
	case addr.StartPort == 0:
		return addr, fmt.Errorf("address %q has no port", text)
	}
	return addr, nil
}

// Many implements Producer.
func (*TCP) Many() bool { return false }

// Produce implements Producer.
func (t *TCP) Produce(ctx context.Context, in *Input) error {
	l, err := listenUntil(ctx, in.Logger, t.listen)
	if err != nil {
		return err
	}
	closeOnce := sync.OnceFunc(func() { l.Close() })
	defer closeOnce()
	in.Logger.Info("listening", zap.Stringer("address", l.Addr()))

	ctx, cancel := context.WithCancel(ctx)
	c := &connections{in: in}
	defer c.all.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, closeOnce)()

	var tries retries
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case err == nil:
			tries = 0
			c.setSilent(conn)
			c.all.Go(func() { c.serve(ctx, conn) })
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			// too many open files, or a connection that was gone already
			in.Logger.Warn("cannot accept a connection", zap.Error(err))
			if pause(ctx, tries.next()) != nil {
				return nil
			}
		}
	}
}

func (t *TCP) listen(ctx context.Context) (net.Listener, error) {
	// as Caddy listens, so that inputs of two configurations can share the
	// address while one takes over from the other
	l, err := t.addr.Listen(ctx, 0, net.ListenConfig{KeepAliveConfig: tcpKeepAlive})
	if err != nil {
		return nil, err
	}
	listener, ok := l.(net.Listener)
	if !ok {
		return nil, fmt.Errorf("listening on %s: got %T, which takes no connections", t.addr, l)
	}
	return listener, nil
}

// connections are those of a listener.
type connections struct {
	in  *Input
	all sync.WaitGroup

	// mu guards what follows.
	mu      sync.Mutex
	silent  []net.Conn // have sent nothing so far, the oldest first
	current *turn
}

// turn is a connection's time as the source.
type turn struct {
	end  context.CancelFunc
	done chan struct{}
}

// serve makes a connection the source as soon as it sends something.
func (c *connections) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	logger := c.in.Logger.With(zap.Stringer("remote", conn.RemoteAddr()))
	first := make([]byte, firstRead)
	n, err := io.ReadAtLeast(conn, first, 1)
	c.setSending(conn)
	if err != nil {
		logger.Debug("connection sent nothing", zap.Error(err))
		return
	}

	mine := &turn{end: cancel, done: make(chan struct{})}
	defer close(mine.done)
	c.take(mine)
	if ctx.Err() != nil {
		return
	}
	s, err := c.in.openSingle(sinkbus.Declared{Length: -1})
	if err != nil {
		logger.Error("cannot open a stream", zap.Error(err))
		return
	}
	defer untilDone(ctx, s)()
	logger.Info("source connected")
	err = c.in.Feed(ctx, s, io.MultiReader(bytes.NewReader(first[:n]), conn))
	taken := ctx.Err() != nil
	End(ctx, s, err)
	switch {
	case taken:
		logger.Info("source was replaced or stopped", zap.Int64("bytes", s.Size()))
	case err != nil:
		logger.Warn("source failed", zap.Int64("bytes", s.Size()), zap.Error(err))
	default:
		logger.Info("source disconnected", zap.Int64("bytes", s.Size()))
	}
}

// take ends the turn of the connection that is the source now, and waits until
// its stream has ended.
func (c *connections) take(mine *turn) {
	c.mu.Lock()
	before := c.current
	c.current = mine
	c.mu.Unlock()
	if before != nil {
		before.end()
		<-before.done
	}
}

// setSilent takes note of a new connection.
func (c *connections) setSilent(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.silent) == maxSilent {
		c.silent[0].Close()
		c.silent = slices.Delete(c.silent, 0, 1)
	}
	c.silent = append(c.silent, conn)
}

// setSending takes note of a connection that has sent something, or is gone.
func (c *connections) setSending(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.silent, conn); i >= 0 {
		c.silent = slices.Delete(c.silent, i, i+1)
	}
}

// Interface guards
var (
	_ Producer              = (*TCP)(nil)
	_ caddy.Provisioner     = (*TCP)(nil)
	_ caddyfile.Unmarshaler = (*TCP)(nil)
)
