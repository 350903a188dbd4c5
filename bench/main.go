//go:build linux

// Command bench compares httpout with Caddy's own file server, nginx and bare
// net/http, side by side in one run: it builds a Caddy, starts the servers on
// loopback ports, loads them in turns and prints what each unit of work costs
// them. README.md says how to read the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bench is one run.
type bench struct {
	rounds int
	dur    time.Duration // of a cell
	warm   time.Duration // before it
	live   time.Duration // length of a live upload
	big    int64         // size of the largest file, in bytes
	mss    int

	caddy    string // binary, built if empty
	nginx    string
	icecast  string
	profiles string // directory for CPU profiles; empty: none
	json     string
	gate     bool
	hold     bool
	same     bool // we are a second file_server

	dir    string // for everything that is written
	client *http.Client
	cases  []benchCase
	wanted []string // names of peers
	peers  map[string]*peer
}

func main() {
	runtime.LockOSThread() // see start
	if len(os.Args) > 1 && os.Args[1] == "floor" {
		if err := runFloor(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run does everything; it returns an error if anything could not be measured,
// or was measured and found to be wrong.
func run(ctx context.Context, args []string) (err error) {
	b := &bench{client: newClient(), peers: map[string]*peer{}}
	timeout, err := b.parse(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the run took longer than %v", timeout))
	defer cancel()

	if b.dir, err = os.MkdirTemp(b.dir, "httpout-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	// nothing holds on to the servers' directories once they have been stopped
	defer func() {
		for _, p := range b.peers {
			p.proc.stop()
		}
	}()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	missing := b.startPeers(ctx)
	if b.hold {
		return b.wait(ctx)
	}
	rep := &report{bench: b, began: time.Now()}
	if err := rep.open(); err != nil {
		return err
	}
	cells := b.measure(ctx, rep)
	if err := rep.finish(os.Stdout, cells, missing); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return rep.failure(cells, missing)
}

// parse reads the command line.
func (b *bench) parse(args []string) (timeout time.Duration, err error) {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.IntVar(&b.rounds, "rounds", 3, "rounds; figures are medians of them")
	fs.DurationVar(&b.dur, "dur", 700*time.Millisecond, "load of each cell; at least one request for each connection")
	fs.DurationVar(&b.warm, "warm", 200*time.Millisecond, "load before each cell")
	fs.DurationVar(&b.live, "live", 3*time.Second, "length of the live upload, or of the window of a fan-out, of each cell")
	big := fs.Int64("big", 1024, "size of the largest file in `MiB`")
	fs.IntVar(&b.mss, "mss", 1448, "TCP segment `bytes`, as on Ethernet; 0: as loopback has it")
	fs.StringVar(&b.caddy, "caddy", "", "Caddy `binary` with httpout, instead of building ./cmd/caddy")
	fs.StringVar(&b.nginx, "nginx", "", "nginx `binary` (default: the one in PATH or /usr/sbin)")
	fs.StringVar(&b.icecast, "icecast", "icecast2", "Icecast `binary`")
	fs.StringVar(&b.dir, "tmp", "", "`directory` for the temporary files, 4 GB (default: the system's)")
	fs.StringVar(&b.json, "json", "", "write every cell, ratio and verdict as a line of JSON to this `file`")
	fs.StringVar(&b.profiles, "cpuprofile", "", "write CPU profiles of both Caddys to this `directory`; perturbs the figures")
	fs.BoolVar(&b.gate, "gate", false, "fail if a verdict does")
	fs.BoolVar(&b.hold, "hold", false, "start the peers, say where they listen, and wait for an interrupt")
	fs.BoolVar(&b.same, "aa", false, "put a second file_server in our place: shows how far apart equals are measured here")
	only := fs.String("only", "", "run only the cases whose name this `regexp` matches; the only way to run a fan-out")
	peers := fs.String("peers", strings.Join([]string{fileServer, nginx, icecast, us}, ","), "comma separated `names` of the peers; "+floorHTTP+" joins the live cases and the fan-outs anyhow")
	quick := fs.Bool("quick", false, "one short round: shows that everything works, not how fast")
	list := fs.Bool("list", false, "list the cases and end")
	fs.DurationVar(&timeout, "timeout", time.Hour, "give up after this")
	if err := fs.Parse(args); err != nil {
		return 0, err
	}
	if fs.NArg() > 0 {
		return 0, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	set := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if *quick {
		short := func(name string, d *time.Duration, v time.Duration) {
			if !set[name] {
				*d = v
			}
		}
		short("dur", &b.dur, 200*time.Millisecond)
		short("warm", &b.warm, 100*time.Millisecond)
		short("live", &b.live, 800*time.Millisecond)
		if !set["rounds"] {
			b.rounds = 1
		}
		if !set["big"] {
			*big = 256
		}
	}
	if b.rounds < 1 || *big < 16 {
		return 0, errors.New("-rounds must be 1 or more, -big 16 or more")
	}
	b.big = *big << 20
	b.wanted = strings.Split(*peers, ",")
	for _, name := range b.wanted {
		if !slices.Contains(peerNames, name) {
			return 0, fmt.Errorf("unknown peer %q; there are %s", name, strings.Join(peerNames, ", "))
		}
	}
	re, err := regexp.Compile(*only)
	if err != nil {
		return 0, err
	}
	for _, c := range allCases(b.big) {
		if !re.MatchString(c.name) || b.same && c.versus != fileServer || c.mount && *only == "" && !*list {
			continue
		}
		if *list {
			fmt.Printf("%-18s %s\n", c.name, strings.Join(c.peers, ", "))
		}
		c.peers = slices.DeleteFunc(slices.Clone(c.peers), func(name string) bool {
			floorOfLive := name == floorHTTP && (c.mount || strings.HasPrefix(c.name, "live"))
			return !floorOfLive && !slices.Contains(b.wanted, name)
		})
		if len(c.peers) > 0 {
			b.cases = append(b.cases, c)
		}
	}
	if *list {
		return 0, flag.ErrHelp
	}
	if len(b.cases) == 0 {
		return 0, fmt.Errorf("no case matches %q", *only)
	}
	return timeout, nil
}

// prepare builds the server and creates the files.
func (b *bench) prepare(ctx context.Context) error {
	if err := b.openFiles(); err != nil {
		return err
	}
	if b.profiles != "" {
		if err := os.MkdirAll(b.profiles, 0o755); err != nil {
			return err
		}
	}
	if b.nginx == "" {
		b.nginx = "nginx"
		if _, err := exec.LookPath(b.nginx); err != nil {
			b.nginx = "/usr/sbin/nginx" // not in everybody's PATH
		}
	}
	if b.caddy == "" && b.uses(fileServer, us) {
		progress("building ./cmd/caddy")
		mod, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
		if err != nil {
			return fmt.Errorf("finding the module (run bench inside the repository, or use -caddy): %w", err)
		}
		b.caddy = filepath.Join(b.dir, "caddy")
		cmd := exec.CommandContext(ctx, "go", "build", "-o", b.caddy, "./cmd/caddy")
		cmd.Dir = strings.TrimSpace(string(mod))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building ./cmd/caddy: %w\n%s", err, out)
		}
	}
	if !slices.ContainsFunc(b.cases, func(c benchCase) bool { return !c.mount }) {
		return nil
	}
	progress("creating files in %s", b.dir)
	list := slices.ContainsFunc(b.cases, func(c benchCase) bool { return strings.HasPrefix(c.name, "list") })
	return createFiles(b.www(), servedFiles(b.big), list)
}

// openFiles lets this program and the servers that it starts have as many files
// open as the cases need.
func (b *bench) openFiles() error {
	need := uint64(0)
	for _, c := range b.cases {
		need = max(need, c.files)
	}
	if need == 0 {
		return nil
	}
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("asking how many files may be open: %w", err)
	}
	// the package raises the limit for this program alone; children have what
	// is set here
	lim.Cur, lim.Max = need, max(need, lim.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("having %d files open (ulimit -n): %w", need, err)
	}
	return nil
}

func (b *bench) www() string { return filepath.Join(b.dir, "www") }

// uses says whether any of the peers takes part in any case.
func (b *bench) uses(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return b.usesIn(true, name) || b.usesIn(false, name) })
}

// usesIn says whether a peer takes part in any case with a mount, or without.
func (b *bench) usesIn(mount bool, name string) bool {
	return slices.ContainsFunc(b.cases, func(c benchCase) bool { return c.mount == mount && slices.Contains(c.peers, name) })
}

// startPeers starts the peers that any case needs. It returns those that could
// not be started, with the reason.
func (b *bench) startPeers(ctx context.Context) (missing map[string]error) {
	missing = map[string]error{}
	add := func(key string, p *peer, err error) {
		if err != nil {
			progress("%s does not start: %v", key, err)
			missing[key] = err
			return
		}
		b.peers[key] = p
	}
	for _, name := range peerNames {
		if b.usesIn(false, name) {
			p, err := b.startPeer(ctx, name)
			add(name, p, err)
		}
		if b.hold && b.usesIn(true, name) {
			p, err := b.startMount(ctx, name)
			add(name+liveSuffix, p, err)
		}
	}
	return missing
}

// liveSuffix tells servers with a mount from those of the same name.
const liveSuffix = "-live"

// wait leaves the peers to other tools, until it is interrupted.
func (b *bench) wait(ctx context.Context) error {
	for _, name := range peerNames {
		if p := b.peers[name]; p != nil {
			fmt.Printf("%-12s http://%s  uploads to %s", name, p.addr, p.putPath)
			if p.live.IsValid() {
				fmt.Printf("  live http://%s", p.live)
			}
			fmt.Printf("  processes %v\n", p.pids())
		}
		if p := b.peers[name+liveSuffix]; p != nil {
			m := p.mount
			fmt.Printf("%-12s http://%s%s  TLS %s  source %s  processes %v\n", name, m.source, m.path, m.secure, sourceLogin, p.pids())
		}
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// measure loads every peer with every case in every round. Peers take turns
// within a case, and nobody is always the first.
func (b *bench) measure(ctx context.Context, rep *report) (cells []cell) {
	for round := range b.rounds {
		for i, bc := range b.cases {
			for j := range bc.peers {
				name := bc.peers[(i+round+j)%len(bc.peers)]
				if !bc.mount && b.peers[name] == nil {
					continue
				}
				if ctx.Err() != nil {
					return cells
				}
				c, err := b.cell(ctx, bc, name, round)
				if err != nil {
					c.Error = err.Error()
				}
				c.Round, c.Case, c.Peer = round, bc.name, name
				cells = append(cells, c)
				rep.cell(c)
			}
		}
	}
	return cells
}

// cell makes one measurement.
func (b *bench) cell(ctx context.Context, bc benchCase, name string, round int) (c cell, err error) {
	// no load is meant to take this long; whatever waits, waits no longer
	limit := b.dur + b.warm + b.live + time.Minute
	if bc.mount {
		limit += 5 * time.Minute // Icecast needs two for 5000 listeners
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errStalled)
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	p := b.peers[name]
	if bc.mount {
		if p, err = b.startMount(ctx, name); err != nil {
			return c, fmt.Errorf("starting the server: %w", err)
		}
		defer p.proc.stop()
	}
	if b.profiles != "" && p.profile != "" {
		take := func() func() { return b.takeProfile(ctx, bc, p, round) }
		if bc.mount {
			p.window = take
		} else {
			defer take()()
		}
	}
	l, err := bc.load(b, p)
	if err != nil {
		return c, err
	}
	return l.run(ctx, b, p)
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
