package httpout

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-httpout/httpout/handler"
)

// settings is what options set: those of the handler, and the few that belong
// to the site or to the command line around it.
type settings struct {
	handler.Handler

	cert, pkey string // for the site, as with the tls directive
	ports      []int  // for the command line
	ifce       string // for the command line

	given []string // names of the options that were set, in their order
}

// has reports whether the option was given.
func (s *settings) has(name string) bool {
	return slices.Contains(s.given, name)
}

// place is a set of places where an option may stand.
type place uint8

const (
	inSite    place = 1 << iota // an httpout block of a site
	inServer                    // a server block of the global options
	inCommand                   // the command line

	anywhere = inSite | inServer | inCommand
)

// option describes one option, for the Caddyfile, the command line and the
// documentation alike: nothing else knows its name or how its value is written.
type option struct {
	name     string
	args     string // how its arguments are written; "" if it is a plain switch
	min, max int    // how many arguments it takes; max < 0: any number
	repeat   bool   // whether it may stand on several lines
	places   place
	help     string // one line for the command line's help

	// set stores the arguments, whose number has been checked. It is nil for
	// options that are not available in this version.
	set func(s *settings, args []string) error
}

// options are all options of httpout, in the order in which they are documented.
var options = []option{
	// what is served
	{
		name: "rdirs", args: "<dir | rule file>...", min: 1, max: -1, places: anywhere,
		help: "directories to serve, or rule files; several become mount points",
		set:  setReadDirs,
	},
	{
		name: "wdir", args: "<dir>", min: 1, max: 1, places: anywhere,
		help: "directory that uploads are written to",
		set:  text(func(s *settings) *string { return &s.WriteDir }),
	},
	{
		name: "input", args: "<name>", min: 1, max: 1, places: inSite | inCommand,
		help: "`source` of a live stream: - (standard input), a file, FIFO or folder, or a URL: http, https, tcp, udp",
		set:  setInput,
	},
	{
		name: "dst", args: "<path>", min: 1, max: 1, places: inSite | inCommand,
		help: "path of the live stream (default /live and the extension of its type)",
		set:  setDst,
	},
	{
		name: "hmode", args: "default|source", min: 1, max: 1, places: anywhere,
		help: "operation mode; ignored when wdir is set",
		set:  setMode,
	},
	{
		name: "server", args: "<name>", min: 1, max: 1, places: inSite,
		set: text(func(s *settings) *string { return &s.Server }),
	},

	// responses
	{
		name: "dlist", args: boolArgs, max: 1, places: anywhere,
		help: "answer requests for a directory with a listing",
		set:  boolean(func(o *handler.Options) *bool { return &o.DirList }),
	},
	{
		name: "sutc", args: boolArgs, max: 1, places: anywhere,
		help: "send the server's clock as Server-UTC, in milliseconds",
		set:  boolean(func(o *handler.Options) *bool { return &o.ServerUTC }),
	},
	{
		name: "cors", args: "[off|on|auto]", max: 1, places: anywhere,
		help: "send CORS headers that allow all origins (default auto: when the request has an Origin)",
		set:  setCORS,
	},
	{
		name: "norange", args: boolArgs, max: 1, places: anywhere,
		help: "ignore byte ranges in GET",
		set:  boolean(func(o *handler.Options) *bool { return &o.NoRange }),
	},
	{
		name: "ranges", args: "concat|multipart", min: 1, max: 1, places: anywhere,
		help: "body of a GET of several ranges (default concat)",
		set:  setRanges,
	},
	{name: "cte", args: boolArgs, max: 1, places: anywhere},
	{
		name: "close", args: boolArgs, max: 1, places: anywhere,
		help: "close HTTP/1 connections after each response",
		set:  boolean(func(o *handler.Options) *bool { return &o.Close }),
	},
	{
		name: "zmax", args: "<size>", min: 1, max: 1, places: anywhere,
		help: "largest file that is compressed, 0: none (default 50000)",
		set:  size(func(o *handler.Options) **int64 { return &o.ZMax }),
	},
	{
		name: "hdrs", args: "<name> <value>...", min: 1, max: -1, repeat: true, places: anywhere,
		help: "header fields of every response, as `name,value` pairs",
		set:  setHeaders,
	},
	{
		name: "cache_control", args: "<value>", min: 1, max: 1, places: anywhere,
		help: "Cache-Control of complete files; none: neither it nor an ETag",
		set:  headerValue(func(o *handler.Options) *string { return &o.CacheControl }),
	},
	{
		name: "user_agent", args: "<text>", min: 1, max: 1, places: anywhere,
		help: "Server header of responses",
		set:  headerValue(func(o *handler.Options) *string { return &o.UserAgent }),
	},

	// live
	{
		name: "hold", args: boolArgs, max: 1, places: anywhere,
		help: "hold the live stream back until the first client asks for it",
		set:  boolean(func(o *handler.Options) *bool { return &o.Hold }),
	},
	{
		name: "reopen", args: boolArgs, max: 1, places: anywhere,
		help: "keep clients when a live stream ends, for the next one",
		set:  boolean(func(o *handler.Options) *bool { return &o.Reopen }),
	},
	{
		name: "ice", args: boolArgs, max: 1, places: anywhere,
		help: "send what is known of a live stream as icy-* and ice-* header fields",
		set:  boolean(func(o *handler.Options) *bool { return &o.Ice }),
	},
	{
		name: "ext", args: "<ext>", min: 1, max: 1, places: anywhere,
		help: "file name extension that stands for the type of the live stream",
		set:  setExt,
	},
	{
		name: "mime", args: "<type>", min: 1, max: 1, places: anywhere,
		help: "media type of the live stream",
		set:  setMediaType,
	},
	{name: "max_cache_segs", args: "<n>", min: 1, max: 1, places: anywhere},
	{
		name: "max_async_buf", args: "<size>", min: 1, max: 1, places: anywhere,
		help: "how much of a live stream may wait for a client before it is moved ahead (default 100000)",
		set:  sizeAboveZero(func(o *handler.Options) **int64 { return &o.MaxAsyncBuf }),
	},
	{
		name: "blockio", args: boolArgs, max: 1, places: anywhere,
		help: "let a live stream wait for its slowest client",
		set:  boolean(func(o *handler.Options) *bool { return &o.BlockIO }),
	},
	{
		name: "block_size", args: "<size>", min: 1, max: 1, places: anywhere,
		help: "largest read and write of a live stream (default 10000)",
		set:  sizeAboveZero(func(o *handler.Options) **int64 { return &o.BlockSize }),
	},

	// uploads and push
	{
		name: "maxs", args: "<size>", min: 1, max: 1, places: anywhere,
		help: "largest upload, 0: no limit (default 50M)",
		set:  size(func(o *handler.Options) **int64 { return &o.MaxUpload }),
	},
	{name: "post", args: boolArgs, max: 1, places: anywhere},
	{name: "ka", args: boolArgs, max: 1, places: anywhere},

	// limits
	{
		name: "maxc", args: "<n>", min: 1, max: 1, places: anywhere,
		help: "connections at a time, 0: no limit (default 100)",
		set:  number(func(o *handler.Options) **int { return &o.MaxConns }),
	},
	{
		name: "maxp", args: "<n>", min: 1, max: 1, places: anywhere,
		help: "connections at a time for one client address, 0: no limit (default 6)",
		set:  number(func(o *handler.Options) **int { return &o.MaxPeerConns }),
	},
	{
		name: "timeout", args: "<seconds | duration>", min: 1, max: 1, places: anywhere,
		help: "how long a connection may be idle or an upload may pause, 0: for ever (default 30)",
		set:  setTimeout,
	},
	{
		name: "max_client_errors", args: "<n>", min: 1, max: 1, places: anywhere,
		help: "errors in a row after which an HTTP/1 connection is closed, 0: never (default 20)",
		set:  number(func(o *handler.Options) **int { return &o.MaxClientErrors }),
	},

	// the rest
	{name: "js", args: "<script>", min: 1, max: 1, places: anywhere},
	{
		name: "reqlog", args: "<list>", min: 1, max: -1, places: anywhere,
		help: "methods whose requests are logged, *: all, REC: files written and deleted; with the prefix -, no end lines",
		set:  setReqLog,
	},
	{
		name: "quit", args: boolArgs, max: 1, places: anywhere,
		help: "exit when all live streams are over and the last client has gone",
		set:  boolean(func(o *handler.Options) *bool { return &o.Quit }),
	},
	{
		name: "cert", args: "<pem>", min: 1, max: 1, places: inSite | inCommand,
		help: "certificate file, for HTTPS",
		set:  text(func(s *settings) *string { return &s.cert }),
	},
	{
		name: "pkey", args: "<pem>", min: 1, max: 1, places: inSite | inCommand,
		help: "private key file of the certificate",
		set:  text(func(s *settings) *string { return &s.pkey }),
	},
	{
		name: "port", args: "<n> [<n>]", min: 1, max: -1, places: inCommand,
		help: "`port` to listen on; with a certificate, two: HTTP and HTTPS (default 80, or 443 with a certificate)",
		set:  setPorts,
	},
	{
		name: "ifce", args: "<address | interface>", min: 1, max: 1, places: inCommand,
		help: "address or network interface to listen on (default all)",
		set:  text(func(s *settings) *string { return &s.ifce }),
	},

	// beyond the reference
	{
		name: "users", args: "<file>", min: 1, max: 1, places: anywhere,
		help: "file of users and passwords (htpasswd with bcrypt), for rule files",
		set:  text(func(s *settings) *string { return &s.Users }),
	},
	{
		name: "groups", args: "<file>", min: 1, max: 1, places: anywhere,
		help: "file of groups (htgroup), for rule files",
		set:  text(func(s *settings) *string { return &s.Groups }),
	},
	{
		name: "hide", args: "<glob>...", min: 1, max: -1, places: anywhere,
		help: "files that are never served, listed or written",
		set:  setHide,
	},
	{
		name: "fsync", args: boolArgs, max: 1, places: anywhere,
		help: "flush uploads to disk before they appear under their name",
		set:  boolean(func(o *handler.Options) *bool { return &o.Fsync }),
	},
	{name: "gmem_max", args: "<size>", min: 1, max: 1, places: anywhere},
	{name: "js_timeout", args: "<duration>", min: 1, max: 1, places: anywhere},
	{name: "js_workers", args: "<n>", min: 1, max: 1, places: anywhere},
	{name: "js_allow", args: "fetch", min: 1, max: 1, places: anywhere},
	{
		name: "pass_thru", args: boolArgs, max: 1, places: inSite | inServer,
		set: boolean(func(o *handler.Options) *bool { return &o.PassThru }),
	},
}

// boolArgs is how the argument of a boolean is written.
const boolArgs = "[on|off]"

// optionNamed returns the option with the name, nil if there is none.
func optionNamed(name string) *option {
	for i := range options {
		if options[i].name == name {
			return &options[i]
		}
	}
	return nil
}

// unavailableError is returned for what a later version brings.
type unavailableError string

// Error implements error.
func (e unavailableError) Error() string {
	return string(e) + " is not available in this version"
}

// valueError is returned for an argument that an option cannot take.
type valueError struct {
	name string
	err  error
}

// Error implements error.
func (e *valueError) Error() string { return fmt.Sprintf("parsing %s: %v", e.name, e.err) }

// isBool reports whether the option is a switch.
func (opt *option) isBool() bool { return opt.args == boolArgs }

// apply sets the option at the place.
func (opt *option) apply(s *settings, where place, args []string) error {
	if opt.set == nil {
		return unavailableError(opt.name)
	}
	if opt.places&where == 0 {
		return opt.misplaced(where, args)
	}
	if len(args) < opt.min || opt.max >= 0 && len(args) > opt.max {
		return fmt.Errorf("wrong argument count: want '%s'", strings.TrimSpace(opt.name+" "+opt.args))
	}
	if s.has(opt.name) && !opt.repeat {
		return fmt.Errorf("%s is given twice", opt.name)
	}
	if err := opt.set(s, args); err != nil {
		if _, ok := errors.AsType[unavailableError](err); ok {
			return err
		}
		return &valueError{opt.name, err}
	}
	if !s.has(opt.name) {
		s.given = append(s.given, opt.name)
	}
	return nil
}

// misplaced says where the option belongs, as it may not stand here.
func (opt *option) misplaced(where place, args []string) error {
	switch opt.name {
	case "port":
		port := "8080"
		if len(args) > 0 {
			port, _, _ = strings.Cut(args[0], ",")
		}
		return fmt.Errorf("port cannot be set here: write it in the address of the site, as in ':%s {'", port)
	case "ifce":
		addr := "192.168.1.2"
		if len(args) > 0 {
			addr = args[0]
		}
		return fmt.Errorf("ifce cannot be set here: write 'bind %s' in the site", addr)
	case "cert", "pkey":
		return fmt.Errorf("%s belongs to a site: set cert and pkey in the httpout block of each site that uses this server", opt.name)
	case "input", "dst":
		return fmt.Errorf("%s belongs to a site: write it beside 'server', in the httpout block of each site that uses this server", opt.name)
	}
	switch where {
	case inServer:
		return fmt.Errorf("%s cannot be set in a server block", opt.name)
	case inCommand:
		return fmt.Errorf("%s is for a Caddyfile only", opt.name)
	default:
		return fmt.Errorf("%s cannot be set here", opt.name)
	}
}
