package caddytest_test

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// setup describes a server that a test wants. The Caddyfile refers to free
// ports by {$NAME}, for any name in capitals, and to the folder that is served
// by {$ROOT}.
type setup struct {
	global  string            // further global options
	sites   string            // the sites
	files   map[string]string // what is in the folder at first
	root    string            // the folder, if not a new one
	wrap    []string          // a command that runs the server, such as strace
	admin   bool              // whether the admin API is on, on the port ADMIN
	verbose bool              // whether the server writes debug logs
}

// server is a running Caddy.
type server struct {
	dir   string // its private folder
	root  string // the folder that it serves
	ports map[string]int
	// secure tells whether there is a site on the port HTTPS.
	secure bool

	logs *logs
	cmd  *exec.Cmd

	exited chan struct{} // closed when the process has ended
}

// globalOptions stand before those of the test. Everything stays on loopback,
// and nothing is installed or left behind.
const globalOptions = `
	admin %s
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	default_bind 127.0.0.1
	http_port {$HTTP}
	https_port {$HTTPS}
`

var portToken = regexp.MustCompile(`\{\$([A-Z0-9]+)\}`)

// start starts a server and waits until it serves. It is stopped when the test
// ends, and the test fails if it does not stop or has written of a panic or a
// data race.
func start(t testing.TB, cfg setup) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), root: cfg.root, ports: make(map[string]int)}
	if s.root == "" {
		s.root = filepath.Join(s.dir, "root")
		if err := os.Mkdir(s.root, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range cfg.files {
		writeFile(t, s.root+"/"+name, content)
	}
	s.writeConfig(t, cfg)
	s.run(t, cfg)
	return s
}

// writeConfig writes the Caddyfile, and finds free ports for it.
func (s *server) writeConfig(t testing.TB, cfg setup) {
	t.Helper()
	admin := "off"
	if cfg.admin {
		admin = "127.0.0.1:{$ADMIN}"
	}
	text := "{" + fmt.Sprintf(globalOptions, admin)
	if cfg.verbose {
		text += "\tdebug\n"
	}
	s.secure = strings.Contains(cfg.sites, "{$HTTPS}")
	text += cfg.global + "\n}\n" + cfg.sites + "\n"
	for _, m := range portToken.FindAllStringSubmatch(text, -1) {
		if m[1] != "ROOT" && s.ports[m[1]] == 0 {
			s.ports[m[1]] = freePort(t)
		}
	}
	writeFile(t, s.configFile(), text)
}

func (s *server) configFile() string { return filepath.Join(s.dir, "Caddyfile") }

// environ is the environment of the server and of commands that speak of it.
func (s *server) environ() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + s.dir,
		"XDG_DATA_HOME=" + filepath.Join(s.dir, "data"),
		"XDG_CONFIG_HOME=" + filepath.Join(s.dir, "config"),
		"ROOT=" + s.root,
		"GORACE=atexit_sleep_ms=10", // of a server with the race detector
	}
	for name, port := range s.ports {
		env = append(env, name+"="+strconv.Itoa(port))
	}
	return env
}

// run starts the process with the Caddyfile that is there.
func (s *server) run(t testing.TB, cfg setup) {
	t.Helper()
	s.launch(t, cfg.wrap, "run", "--config", s.configFile(), "--adapter", "caddyfile")
	if !s.logs.wait(time.Minute, 0, `"serving initial configuration"`) {
		t.Fatalf("the server did not start:\n%s", s.logs)
	}
	if !s.secure {
		return
	}
	// the certificate comes from the server's own authority a moment later
	await(t, time.Minute, "a certificate", func() error {
		c, err := tls.Dial("tcp", s.addr("HTTPS"), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// launch starts a process of the Caddy under test in the server's folder.
func (s *server) launch(t testing.TB, wrap []string, args ...string) {
	t.Helper()
	argv := append(slices.Clone(wrap), binary(t))
	argv = append(argv, args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.dir
	cmd.Env = s.environ()
	cmd.WaitDelay = 5 * time.Second
	logs := newLogs()
	cmd.Stdout, cmd.Stderr = logs, logs
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", argv[0], err)
	}
	exited := make(chan struct{})
	s.cmd, s.logs, s.exited = cmd, logs, exited
	go func() {
		cmd.Wait()
		logs.close()
		close(exited)
	}()
	t.Cleanup(func() {
		endProcess(t, cmd, exited)
		checkLogs(t, logs)
	})
}

// endProcess asks a process to stop, and kills it when it does not.
func endProcess(t testing.TB, cmd *exec.Cmd, exited <-chan struct{}) {
	t.Helper()
	begin := time.Now()
	cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-exited:
		if took := time.Since(begin); took > time.Second {
			t.Logf("the server took %v to stop", took)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("the server did not stop within 20 s of SIGTERM; its goroutines are in the log")
		cmd.Process.Signal(syscall.SIGABRT)
		select {
		case <-exited:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-exited
		}
	}
}

// checkLogs fails the test for what a server must never write, and shows the
// log of a test that failed.
func checkLogs(t testing.TB, l *logs) {
	t.Helper()
	for _, bad := range []string{"DATA RACE", "panic: ", "fatal error: ", `"panic`} {
		if l.has(bad) {
			t.Errorf("the server's log has %q", bad)
		}
	}
	if t.Failed() {
		t.Logf("log of the server:\n%s", l)
	}
}

// stop stops the server and returns how long that took.
func (s *server) stop(t testing.TB) time.Duration {
	t.Helper()
	begin := time.Now()
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		t.Errorf("the server did not stop within 20 s of SIGTERM; its goroutines are in the log")
		s.cmd.Process.Signal(syscall.SIGABRT)
		<-s.exited
	}
	return time.Since(begin)
}

// kill ends the process at once, as a crash would.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.exited
}

// restart starts the server again with the same Caddyfile.
func (s *server) restart(t testing.TB) {
	t.Helper()
	s.run(t, setup{})
}

// addr is the address of the port with the given name.
func (s *server) addr(port string) string {
	n := s.ports[port]
	if n == 0 {
		panic("the Caddyfile has no port " + port)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(n))
}

// url is a URL of the site on the port with the given name, HTTPS or not by
// that name.
func (s *server) url(port, path string) string {
	if strings.HasPrefix(port, "HTTPS") {
		return "https://localhost:" + strconv.Itoa(s.ports[port]) + path
	}
	return "http://" + s.addr(port) + path
}

var ports struct {
	sync.Mutex
	taken map[int]bool
}

// freePort finds a port that is free for TCP and UDP. It is below those that
// systems give to outgoing connections, so that none of these takes it before
// the server does.
func freePort(t testing.TB) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.taken == nil {
		ports.taken = make(map[int]bool)
	}
	for range 1000 {
		port := 12000 + rand.IntN(18000)
		if ports.taken[port] {
			continue
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		pc, err := net.ListenPacket("udp", addr)
		ln.Close()
		if err != nil {
			continue
		}
		pc.Close()
		ports.taken[port] = true
		return port
	}
	t.Fatal("found no free port")
	return 0
}
