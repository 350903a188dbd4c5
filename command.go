package httpout

import (
	"crypto/tls"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "httpout",
		Usage: "[--rdirs <dir,...>] [--wdir <dir>] [--input <source> [--dst <path>]] [--port <port>] [--ifce <address>] [--cert <pem> --pkey <pem>] [--dlist] [options]",
		Short: "Starts a read/write file server and live media origin",
		Long: `
Serves directories for reading and writing. Files can be read while they are
being uploaded.

With --input it serves a live stream instead: what comes from the standard input
(-), a file that is played in real time, a FIFO, a URL (http, https), or an address
to listen on (tcp, udp); or the streams that are written to a folder. It appears at
--dst, and its URL is printed. With --hmode source, what is uploaded is a live
stream, and can be read at the same path for as long as it arrives.

Without any of these it serves a folder named httpout-demo, which it makes in the
current directory, with a page that shows what can be done with it.

It listens on port 80, or 443 with --cert and --pkey, on all addresses. With a
certificate and two ports, the first one is for HTTP and the second for HTTPS.
The admin API is off unless it is given an address with --admin.

Lists are separated by commas, or the flag is repeated; an item that has a comma
itself is put in double quotes. Switches may be given a value, as in --dlist=off.
Sizes are bytes or have a unit (50M and 50MB are decimal, 50MiB is binary), and
durations are seconds or have units (1m30s).`,
		CobraFunc: setupCommand,
	})
}

// setupCommand gives the command its flags and its function.
func setupCommand(cmd *cobra.Command) {
	addFlags(cmd.Flags())
	cmd.Example = `  $ caddy httpout
  $ caddy httpout --rdirs public --dlist --port 8080
  $ caddy httpout --rdirs live --wdir live --cors=on --port 8080
  $ ffmpeg -re -i music.flac -f mp3 - | caddy httpout -i - --dst /live.mp3 --port 8080
  $ caddy httpout --hmode source --port 8080
  $ caddy httpout --rdirs public --cert cert.pem --pkey key.pem --port 80,443`
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(runCommand)
}

// addFlags defines a flag for each option, and those of the command itself.
func addFlags(fs *pflag.FlagSet) {
	// the reference's names have underscores, ours on the command line hyphens
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	for i := range options {
		opt := &options[i]
		f := &pflag.Flag{Name: opt.name, Usage: opt.help, Value: &flagValue{opt: opt}}
		switch {
		case opt.isBool():
			f.NoOptDefVal = "true"
		case opt.min == 0:
			f.NoOptDefVal = "on"
		case opt.set == nil:
			f.NoOptDefVal = " " // to get to the error without a value, too
		}
		f.Hidden = opt.set == nil || opt.places&inCommand == 0
		if opt.name == "input" {
			f.Shorthand = "i"
		}
		fs.AddFlag(f)
	}
	fs.String("admin", "", "address of the admin API, such as localhost:2019 (default off)")
	fs.BoolP("debug", "v", false, "write debug logs")
	fs.Bool("access-log", false, "write an access log")
}

// flagValue collects the arguments that an option gets on the command line.
type flagValue struct {
	opt  *option
	args []string
	uses int
}

// String implements pflag.Value.
func (v *flagValue) String() string { return strings.Join(v.args, ",") }

// Type implements pflag.Value. It is what the help text shows.
func (v *flagValue) Type() string {
	switch {
	case v.opt.isBool():
		return "bool"
	case v.opt.max < 0:
		return "list"
	default:
		return strings.Trim(v.opt.args, "<>[]")
	}
}

// Set implements pflag.Value. What the arguments mean is found out later, as
// errors are then reported in our own words.
func (v *flagValue) Set(text string) error {
	v.uses++
	if v.opt.max >= 0 || text == "" {
		v.args = append(v.args, text)
		return nil
	}
	if strings.ContainsAny(text, "\r\n") {
		return errors.New("the list has a line break")
	}
	list := csv.NewReader(strings.NewReader(text))
	list.TrimLeadingSpace = true
	list.LazyQuotes = true
	items, err := list.Read()
	if err != nil {
		return err
	}
	v.args = append(v.args, items...)
	return nil
}

// flagError rewords the errors of the flag parser where we know better.
func flagError(err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if name := closestOption(unknown.GetSpecifiedName()); name != "" {
			return fmt.Errorf("%w, did you mean --%s?", err, name)
		}
	}
	return err
}

// launch is what the command line asks for.
type launch struct {
	settings
	source    string   // the value of --input
	from      producer // what that is
	admin     string
	debug     bool
	accessLog bool
	demo      bool // nothing is named to be served, so the demo is
}

// demoDir is the folder of the demo, in the current directory.
const demoDir = "httpout-demo"

// parseFlags makes a launch of the flags. It does not touch the disk.
func parseFlags(fs *pflag.FlagSet) (*launch, error) {
	l := new(launch)
	for i := range options {
		opt := &options[i]
		v := fs.Lookup(opt.name).Value.(*flagValue)
		if v.uses == 0 {
			continue
		}
		if v.uses > 1 && opt.max >= 0 && opt.set != nil {
			return nil, fmt.Errorf("--%s is given twice", opt.name)
		}
		args := v.args
		if opt.name == "input" && args[0] != "" {
			// here it says what the input is, which has the one name
			l.source = args[0]
			args = []string{commandInput}
		}
		err := opt.apply(&l.settings, inCommand, args)
		if wrong, ok := errors.AsType[*valueError](err); ok {
			return nil, fmt.Errorf("--%s: %w", opt.name, wrong.err)
		}
		if err != nil {
			return nil, fmt.Errorf("--%w", err) // the text begins with the name
		}
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument '%s': directories are set with --rdirs and --wdir, and the value of a switch with =, as in --dlist=off", fs.Arg(0))
	}

	var err error
	if l.admin, err = fs.GetString("admin"); err != nil {
		return nil, err
	}
	if l.debug, err = fs.GetBool("debug"); err != nil {
		return nil, err
	}
	if l.accessLog, err = fs.GetBool("access-log"); err != nil {
		return nil, err
	}
	return l, l.complete()
}

// complete fills in what was not given, and checks all of it together.
func (l *launch) complete() error {
	if err := l.checkLive(); err != nil {
		return err
	}
	if len(l.ReadDirs) == 0 && l.WriteDir == "" && l.Input == "" {
		l.demo = true
		l.ReadDirs = []string{demoDir}
		l.WriteDir = demoDir
		if !l.has("dlist") {
			l.DirList = true
		}
		if !l.has("port") && l.cert == "" {
			l.ports = []int{8080}
		}
	}
	if (l.cert == "") != (l.pkey == "") {
		return errors.New("--cert and --pkey go together: set both or neither")
	}
	if len(l.ports) == 0 || len(l.ports) == 1 && l.ports[0] == 0 {
		l.ports = []int{80}
		if l.cert != "" {
			l.ports[0] = 443
		}
	}
	if len(l.ports) == 2 {
		if l.cert == "" {
			return errors.New("--port: two ports are for HTTP and HTTPS, which needs --cert and --pkey")
		}
		if l.ports[0] == 0 {
			l.ports[0] = 80
		}
		if l.ports[1] == 0 {
			l.ports[1] = 443
		}
	}
	void, err := l.check(&l.Options)
	if err != nil {
		return fmt.Errorf("--%w", err) // the text begins with the name of an option
	}
	if modeOf(&l.Options) == modeSource {
		// what has an effect on one of the two handlers has one
		void = ignored(&l.Options, "live streams are served", voidForStreams)
	}
	for _, text := range void {
		caddy.Log().Named("httpout").Warn(text)
	}
	l.hideFiles()
	return nil
}

// runCommand runs `caddy httpout`.
func runCommand(fl caddycmd.Flags) (int, error) {
	caddy.TrapSignals()

	l, err := parseFlags(fl.FlagSet)
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	if l.cert != "" {
		if _, err := tls.LoadX509KeyPair(l.cert, l.pkey); err != nil {
			return caddy.ExitCodeFailedStartup, fmt.Errorf("loading --cert and --pkey: %v", err)
		}
	}
	if err := l.findInput(); err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	hosts, err := listenHosts(l.ifce)
	if err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("--ifce: %v", err)
	}
	if l.demo {
		if err := makeDemo(demoDir); err != nil {
			return caddy.ExitCodeFailedStartup, fmt.Errorf("making the demo folder, as none of --rdirs, --wdir and --input is set: %v", err)
		}
		caddy.Log().Named("httpout").Warn(
			"serving the demo folder, as none of --rdirs, --wdir and --input is set: whoever can reach this server can write to it, use --ifce 127.0.0.1 to keep it to this machine",
			zap.String("folder", demoDir))
	}

	cfg, err := l.config(hosts)
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	if err := caddy.Run(cfg); err != nil {
		flags := "--port " + joinPorts(l.ports)
		if l.ifce != "" {
			flags += " --ifce " + l.ifce
		}
		return caddy.ExitCodeFailedStartup, fmt.Errorf("starting with %s: %v", flags, err)
	}
	for _, url := range l.urls(hosts) {
		fmt.Println(url)
	}
	select {}
}

//go:embed demo/index.html
var demoPage []byte

// makeDemo makes the folder of the demo and its page. A folder that is there
// is used as it is.
func makeDemo(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "index.html"), demoPage, 0o644)
}
