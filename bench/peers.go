//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The peers, in the order of the tables.
const (
	fileServer = "file_server" // Caddy's own
	nginx      = "nginx"
	icecast    = "icecast"  // see mounts.go
	floorHTTP  = "net/http" // see floor.go
	us         = "httpout"
)

var peerNames = []string{fileServer, nginx, icecast, floorHTTP, us}

// peer is one of the servers that are compared, running.
type peer struct {
	name string
	addr netip.AddrPort // serves the files and takes uploads
	live netip.AddrPort // shows uploads while they arrive; not valid: does not

	putPath string // URL path that uploads go to, with a slash at the end
	putDir  string // where they are stored
	liveDir string // where those to live are stored; empty: in memory

	mount *mount // of a server with nothing else; nil: none

	proc *process

	profile string              // base URL of Go's profiles, if it serves them
	window  func() (end func()) // is called at the beginning of a window in which a profile is wanted; nil: none is
}

// pids returns the server's processes: this one if it is a part of a test.
func (p *peer) pids() []int {
	if p.proc == nil {
		return []int{os.Getpid()}
	}
	return processTree(p.proc.pid())
}

// process is a child process with its output in a file.
type process struct {
	cmd    *exec.Cmd
	output string
	exited chan struct{}
}

// start runs a program until stop. The child is told to end when this process
// dies without having stopped it.
func start(output string, env []string, name string, args ...string) (*process, error) {
	return startAs(nil, output, env, name, args...)
}

// startAs is start for another user; nil: the same.
func startAs(user *syscall.Credential, output string, env []string, name string, args ...string) (*process, error) {
	out, err := os.Create(output)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{cmd: exec.Command(name, args...), output: output, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append(os.Environ(), env...)
	// its own group, so that Ctrl-C reaches it only through stop. The signal of
	// Pdeathsig comes when the thread ends that started the child: main locks
	// its goroutine to the main thread, which does not end before the process
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM, Credential: user}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // it is ended by a signal
		close(p.exited)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process, and those of its descendants that outlive it.
func (p *process) stop() {
	tree := processTree(p.pid())
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return
	case <-time.After(3 * time.Second):
	}
	for _, pid := range tree {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-p.exited
}

// tail returns the end of what the process has printed.
func (p *process) tail() string {
	b, err := os.ReadFile(p.output)
	if err != nil {
		return err.Error()
	}
	s := strings.TrimSpace(string(b))
	return s[max(0, len(s)-2000):]
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr() (netip.AddrPort, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer l.Close()
	return netip.ParseAddrPort(l.Addr().String())
}

// startPeer starts a server and waits until it answers with our own files.
func (b *bench) startPeer(ctx context.Context, name string) (*peer, error) {
	return b.start(ctx, func() (*peer, error) { return b.launch(name) }, b.ready)
}

// start starts a server and waits until it is ready. Somebody else may take a
// port between our finding and the server's binding it.
func (b *bench) start(ctx context.Context, launch func() (*peer, error), ready func(context.Context, *peer) error) (*peer, error) {
	var errs []error
	for range 3 {
		p, err := launch()
		if err != nil {
			return nil, err
		}
		if err = ready(ctx, p); err == nil {
			return p, nil
		}
		p.proc.stop()
		errs = append(errs, fmt.Errorf("%w; it says:\n%s", err, p.proc.tail()))
		if ctx.Err() != nil || !strings.Contains(strings.ToLower(p.proc.tail()), "address already in use") {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// launch writes a peer's configuration and starts it.
func (b *bench) launch(name string) (p *peer, err error) {
	addrs := make([]netip.AddrPort, 3)
	for i := range addrs {
		if addrs[i], err = freeAddr(); err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
	}
	dir := filepath.Join(b.dir, strings.ReplaceAll(name, "/", "-"))
	p = &peer{name: name, addr: addrs[0], putPath: "/", putDir: filepath.Join(dir, "up")}
	if err := os.MkdirAll(p.putDir, 0o755); err != nil {
		return nil, err
	}
	output := filepath.Join(dir, "output")
	switch name {
	case floorHTTP:
		p.live = p.addr
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		p.proc, err = start(output, nil, self, "floor", "-listen", p.addr.String(), "-root", b.www())
		return p, err
	case nginx:
		p.putPath, p.putDir = "/up/", filepath.Join(dir, "root", "up")
		if err := os.MkdirAll(p.putDir, 0o755); err != nil {
			return nil, err
		}
		conf := filepath.Join(dir, "nginx.conf")
		if err := os.WriteFile(conf, nginxConf(dir, b.www(), p), 0o644); err != nil {
			return nil, err
		}
		p.proc, err = start(output, nil, b.nginx, "-p", dir, "-c", conf)
		return p, err
	default:
		if name == us {
			p.live = addrs[1]
			p.liveDir = filepath.Join(dir, "live")
		}
		if b.profiles != "" {
			p.profile = "http://" + addrs[2].String()
		}
		conf := filepath.Join(dir, "Caddyfile")
		if err := os.WriteFile(conf, caddyfile(dir, b.www(), p, name == us && !b.same), 0o644); err != nil {
			return nil, err
		}
		env := []string{"XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}
		p.proc, err = start(output, env, b.caddy, "run", "--config", conf, "--adapter", "caddyfile")
		return p, err
	}
}

// ready waits until the peer serves our smallest file.
func (b *bench) ready(ctx context.Context, p *peer) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	f := servedFiles(b.big)[0]
	var last error
	for {
		err := func() error {
			resp, err := b.ask(ctx, "GET", "http://"+p.addr.String()+"/"+f.name, "")
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != 200 {
				return fmt.Errorf("status %d", resp.StatusCode)
			}
			return verifyReader(resp.Body, f.id, 0, f.size)
		}()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil { // else it only says that the time is over
			last = err
		}
		if err := p.proc.pause(ctx); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("it does not serve /%s: %w", f.name, last)
			}
			return err
		}
	}
}

// pause waits a moment for a process to get ready.
func (p *process) pause(ctx context.Context) error {
	select {
	case <-p.exited:
		return errors.New("it ended at once")
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}
