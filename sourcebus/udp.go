package sourcebus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-httpout/httpout/sinkbus"
)

func init() {
	caddy.RegisterModule(UDP{})
}

// UDP is an input that listens for datagrams, of which it makes one stream.
// MPEG-TS is recognised, also within RTP, of which only the packets are taken;
// what else arrives while a stream is MPEG-TS is dropped. When nothing has come
// for five seconds the stream is complete, and the next datagram begins another.
type UDP struct {
	// The address to listen on: `host:port` or `:port`, where the host may be a
	// multicast group. Placeholders are replaced when the configuration is
	// loaded.
	Address string `json:"address,omitempty"`

	// The network interface on which a multicast group is joined, by its name.
	// Default: the system's choice. Placeholders are replaced when the
	// configuration is loaded.
	Interface string `json:"interface,omitempty"`

	addr  caddy.NetworkAddress
	group *net.UDPAddr // nil unless the address is a multicast group
	idle  time.Duration
}

const (
	// udpIdle is how long a stream goes on without datagrams.
	udpIdle = 5 * time.Second

	// maxDatagram is what a datagram can hold at most, and some more.
	maxDatagram = 64 << 10

	// udpBatch is how many bytes of datagrams are taken at a time, with room
	// for one more.
	udpBatch = 256 << 10

	// udpBuffer is what the system is asked to keep while the input is busy.
	udpBuffer = 4 << 20
)

// CaddyModule returns the Caddy module information.
func (UDP) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "httpout.inputs.udp",
		New: func() caddy.Module { return new(UDP) },
	}
}

// UnmarshalCaddyfile sets up the input from Caddyfile tokens. Syntax:
//
//	udp <address> [<interface>]
func (u *UDP) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the kind
	if !d.Args(&u.Address) {
		return d.ArgErr()
	}
	if d.NextArg() {
		u.Interface = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Provision sets the input up.
func (u *UDP) Provision(caddy.Context) error {
	if err := expand("the address", &u.Address); err != nil {
		return err
	}
	u.idle = udpIdle
	var err error
	if u.addr, err = listenAddress(u.Address, "udp", "udp4", "udp6"); err != nil {
		return err
	}
	host, zone, _ := strings.Cut(u.addr.Host, "%")
	if ip := net.ParseIP(host); ip != nil && ip.IsMulticast() {
		u.group = &net.UDPAddr{IP: ip, Port: int(u.addr.StartPort), Zone: zone}
	}
	if u.Interface == "" {
		u.Interface = zone
		return nil
	}
	if u.group == nil {
		return fmt.Errorf("an interface is only for multicast groups, and %q is none", u.Address)
	}
	return expand("the interface", &u.Interface)
}

// Many implements Producer.
func (*UDP) Many() bool { return false }

// Produce implements Producer.
func (u *UDP) Produce(ctx context.Context, in *Input) error {
	// What arrives before the input may begin would be old by then.
	if err := in.Await(ctx); err != nil {
		return err
	}
	conn, err := listenUntil(ctx, in.Logger, u.listen)
	if err != nil {
		return err
	}
	closeOnce := sync.OnceFunc(func() { conn.Close() })
	defer closeOnce()
	defer context.AfterFunc(ctx, closeOnce)()
	in.Logger.Info("listening", zap.Stringer("address", conn.LocalAddr()))

	f := &datagramFeed{in: in}
	for {
		deadline := time.Time{}
		if f.stream != nil {
			deadline = time.Now().Add(u.idle)
		}
		if err = conn.SetReadDeadline(deadline); err == nil {
			err = f.read(ctx, conn)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil:
			f.end(nil)
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			in.Logger.Info("source is silent")
			f.end(nil)
		default:
			f.end(err)
			return err
		}
	}
}

func (u *UDP) listen(ctx context.Context) (datagramConn, error) {
	var conn net.PacketConn
	if u.group != nil {
		var ifi *net.Interface
		var err error
		if u.Interface != "" {
			if ifi, err = net.InterfaceByName(u.Interface); err != nil {
				return datagramConn{}, fmt.Errorf("interface %q: %v", u.Interface, err)
			}
		}
		group, err := net.ListenMulticastUDP("udp", ifi, u.group)
		if err != nil {
			return datagramConn{}, err
		}
		if err := onlyOwnGroups(group); err != nil {
			return datagramConn{}, errors.Join(err, group.Close())
		}
		conn = group
	} else {
		l, err := u.addr.Listen(ctx, 0, net.ListenConfig{})
		if err != nil {
			return datagramConn{}, err
		}
		var ok bool
		if conn, ok = l.(net.PacketConn); !ok {
			return datagramConn{}, fmt.Errorf("listening on %s: got %T, which takes no datagrams", u.addr, l)
		}
	}
	return newDatagramConn(conn)
}

// datagramFeed makes streams of datagrams.
type datagramFeed struct {
	in     *Input
	buf    []byte
	sizes  []int
	stream *sinkbus.Stream
	undo   func() bool

	ts      bool // the stream is MPEG-TS
	dropped int64
}

// read appends the datagrams that there are, and waits for the first of them.
func (f *datagramFeed) read(ctx context.Context, conn datagramConn) error {
	if f.buf == nil {
		f.buf = make([]byte, udpBatch+maxDatagram)
	}
	var err error
	if f.sizes, err = conn.read(f.buf, f.sizes[:0]); err != nil {
		return err
	}
	data := f.take()
	if len(data) == 0 {
		return nil
	}
	if f.stream == nil {
		d := sinkbus.Declared{Length: -1}
		if f.ts {
			d.MediaType = mpegTS
		}
		if f.stream, err = f.in.openSingle(d); err != nil {
			return err
		}
		f.undo = untilDone(ctx, f.stream)
		f.in.Logger.Info("source is there", zap.Bool("mpeg_ts", f.ts))
	}
	if _, err := f.stream.Write(data); err != nil && ctx.Err() == nil {
		// somebody has ended the stream, or its bytes cannot be kept
		f.in.Logger.Warn("stream failed", zap.Error(err))
		f.end(err)
	}
	return nil
}

// take returns what of the datagrams in buf belongs to the stream, in buf.
func (f *datagramFeed) take() []byte {
	data := f.buf[:0]
	at := 0
	for _, size := range f.sizes {
		p := f.buf[at : at+size]
		at += size
		packets := tsPackets(p)
		switch {
		case len(p) == 0:
			continue
		case f.stream == nil && len(data) == 0:
			f.ts = packets != nil || f.in.Config.mediaType() == mpegTS
		}
		switch {
		case !f.ts:
			data = append(data, p...)
		case packets != nil:
			data = append(data, packets...)
		default:
			f.drop()
		}
	}
	return data
}

// drop counts a datagram that is not taken, and logs powers of two of them.
func (f *datagramFeed) drop() {
	f.dropped++
	if f.dropped&(f.dropped-1) == 0 {
		f.in.Logger.Debug("datagrams dropped that are not MPEG-TS", zap.Int64("datagrams", f.dropped))
	}
}

// end ends the stream, if there is one.
func (f *datagramFeed) end(err error) {
	if f.stream == nil {
		return
	}
	f.undo()
	if err != nil {
		f.stream.Abort(err)
	}
	f.stream.Complete()
	f.stream = nil
}

// Interface guards
var (
	_ Producer              = (*UDP)(nil)
	_ caddy.Provisioner     = (*UDP)(nil)
	_ caddyfile.Unmarshaler = (*UDP)(nil)
)
