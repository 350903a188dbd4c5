//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// mount is where a peer takes a stream and gives it to its listeners.
type mount struct {
	source  netip.AddrPort // takes the stream, and has listeners in the clear
	secure  netip.AddrPort // has listeners by TLS
	path    string
	chunked bool          // the source's body has framing
	pace    time.Duration // between two listeners who connect; 0: the server needs none
	roots   *x509.CertPool
}

// trust returns how to connect to the mount by TLS.
func (m *mount) trust(http2 bool) *tls.Config {
	protocol := "http/1.1"
	if http2 {
		protocol = "h2"
	}
	return &tls.Config{RootCAs: m.roots, ServerName: "127.0.0.1", NextProtos: []string{protocol}}
}

const mountPath = "/live.mp3"

// startMount starts a server with nothing but a mount, to be stopped after a cell.
func (b *bench) startMount(ctx context.Context, name string) (*peer, error) {
	return b.start(ctx, func() (*peer, error) { return b.launchMount(name) }, listening)
}

// launchMount writes the configuration of such a server and starts it.
func (b *bench) launchMount(name string) (p *peer, err error) {
	addrs := make([]netip.AddrPort, 3)
	for i := range addrs {
		if addrs[i], err = freeAddr(); err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
	}
	dir := filepath.Join(b.dir, strings.ReplaceAll(name, "/", "-")+liveSuffix)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	m := &mount{source: addrs[0], secure: addrs[1], path: mountPath}
	p = &peer{name: name, mount: m}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if m.roots, err = writeCert(cert, key); err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	output := filepath.Join(dir, "output")
	switch name {
	case icecast:
		// its queue of connections that it has not yet accepted is short
		m.pace = time.Millisecond
		user, err := b.icecastUser()
		if err != nil {
			return nil, err
		}
		conf := filepath.Join(dir, "icecast.xml")
		text, err := icecastConf(dir, m, cert, key)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(conf, text, 0o644); err != nil {
			return nil, err
		}
		p.proc, err = startAs(user, output, nil, b.icecast, "-c", conf)
		return p, err
	case floorHTTP:
		m.chunked = true // net/http does not let a handler see a body without framing
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		p.proc, err = start(output, nil, self, "floor", "-live", "-listen", m.source.String(), "-tls", m.secure.String(), "-cert", cert, "-key", key)
		return p, err
	default:
		if b.profiles != "" {
			p.profile = "http://" + addrs[2].String()
		}
		conf := filepath.Join(dir, "Caddyfile")
		if err := os.WriteFile(conf, mountCaddyfile(dir, p, cert, key), 0o644); err != nil {
			return nil, err
		}
		env := []string{"XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}
		p.proc, err = start(output, env, b.caddy, "run", "--config", conf, "--adapter", "caddyfile")
		return p, err
	}
}

// listening waits until both ports of a mount accept connections.
func listening(ctx context.Context, p *peer) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	var d net.Dialer
	for _, addr := range []netip.AddrPort{p.mount.source, p.mount.secure} {
		for {
			conn, err := d.DialContext(ctx, "tcp", addr.String())
			if err == nil {
				conn.Close()
				break
			}
			if err := p.proc.pause(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// mountCaddyfile returns our configuration: a source's site, which has listeners
// too, and a site for those by TLS.
func mountCaddyfile(dir string, p *peer, cert, key string) []byte {
	const sink = `	httpout {
		input radio
		dst ` + mountPath + `
		maxc 0
		maxp 0
		reopen
	}
`
	var s strings.Builder
	fmt.Fprintf(&s, "{\n%s\thttpout {\n\t\tinput radio upload\n\t}\n}\n", caddyOptions(dir, p))
	fmt.Fprintf(&s, "http://:%d {\n\tbind 127.0.0.1\n\thttpout {\n\t\thmode source\n\t\tinput radio\n\t\tmaxc 0\n\t\tmaxp 0\n\t}\n%s}\n", p.mount.source.Port(), sink)
	fmt.Fprintf(&s, "https://:%d {\n\tbind 127.0.0.1\n\ttls \"%s\" \"%s\"\n%s}\n", p.mount.secure.Port(), cert, key, sink)
	return []byte(s.String())
}

// icecastConf returns the configuration of Debian's Icecast. It differs from the
// default where that would limit the load, and in not sending listeners a burst
// of what came before, which nobody else does. The directories are never used.
func icecastConf(dir string, m *mount, cert, key string) ([]byte, error) {
	// it has one file for both
	both := filepath.Join(dir, "icecast.pem")
	var text []byte
	for _, name := range []string{cert, key} {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		text = append(text, b...)
	}
	if err := os.WriteFile(both, text, 0o644); err != nil { // for its user to read
		return nil, err
	}
	return fmt.Appendf(nil, `<icecast>
	<hostname>127.0.0.1</hostname>
	<limits>
		<clients>8000</clients>
		<sources>2</sources>
		<queue-size>8388608</queue-size>
		<client-timeout>30</client-timeout>
		<header-timeout>15</header-timeout>
		<source-timeout>10</source-timeout>
		<burst-on-connect>0</burst-on-connect>
		<burst-size>0</burst-size>
	</limits>
	<authentication>
		<source-password>%[1]s</source-password>
		<admin-user>admin</admin-user>
		<admin-password>%[1]s</admin-password>
	</authentication>
	<listen-socket><port>%[2]d</port><bind-address>127.0.0.1</bind-address></listen-socket>
	<listen-socket><port>%[3]d</port><bind-address>127.0.0.1</bind-address><ssl>1</ssl></listen-socket>
	<fileserve>0</fileserve>
	<paths>
		<basedir>%[4]s</basedir>
		<logdir>%[4]s</logdir>
		<webroot>%[4]s</webroot>
		<adminroot>%[4]s</adminroot>
		<ssl-certificate>%[5]s</ssl-certificate>
	</paths>
	<logging><accesslog>-</accesslog><errorlog>-</errorlog><loglevel>2</loglevel></logging>
	<security><chroot>0</chroot></security>
</icecast>
`, strings.TrimPrefix(sourceLogin, "source:"), m.source.Port(), m.secure.Port(), dir, both), nil
}

// icecastUser returns the user to start Icecast as, as it refuses to be root; nil
// is ourselves.
func (b *bench) icecastUser() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	// it has to reach its own directory in ours
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chmod(b.dir, 0o711)
}
