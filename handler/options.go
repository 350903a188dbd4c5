package handler

import (
	"net/http"
	"reflect"

	"github.com/caddyserver/caddy/v2"
)

// Options are the settings of one server: what it serves, how it answers and
// what it allows. They stand in an `httpout` block of a site, or in a `server`
// block of the global options that several sites share by name. The names are
// those of the reference, and so are the defaults.
type Options struct {
	// Directories that are exposed for reading, each a folder or a rule file.
	// One folder is the site's root; several become mount points named after
	// their folders. Folders that do not exist are created at start.
	// Environment placeholders are expanded when the configuration loads.
	ReadDirs []string `json:"rdirs,omitempty"`

	// The directory that uploads are written to; its own name is not part of
	// the URL. Created at start if it does not exist. Without it nothing can
	// be written, unless a rule file gives write rights.
	WriteDir string `json:"wdir,omitempty"`

	// The operation mode: "default". Ignored, with a warning, when wdir is set.
	Mode string `json:"hmode,omitempty"`

	// Whether GET on a directory returns a listing. Default: false, such a
	// request is answered 403.
	DirList bool `json:"dlist,omitempty"`

	// Whether responses carry the server's clock as
	// `Server-UTC: <milliseconds since the epoch>`.
	ServerUTC bool `json:"sutc,omitempty"`

	// When responses carry CORS headers that allow all origins: "off" never,
	// "on" always, "auto" when the request has an Origin. Default: "auto".
	CORS string `json:"cors,omitempty"`

	// Disables byte ranges in GET: such requests are answered 200 with the
	// whole resource.
	NoRange bool `json:"norange,omitempty"`

	// The body of a GET of several ranges: "concat" sends the plain
	// concatenation of the ranges, "multipart" a multipart/byteranges body
	// (RFC 9110 section 14.6). Default: "concat".
	Ranges string `json:"ranges,omitempty"`

	// Whether HTTP/1 connections are closed after each response.
	Close bool `json:"close,omitempty"`

	// The largest file, in bytes, that is compressed on the fly (zstd, gzip,
	// deflate). 0 turns compression off. Default: 50000.
	ZMax *int64 `json:"zmax,omitempty"`

	// Header fields set on every response, errors included. They replace
	// fields of the same name. Placeholders are expanded for each request.
	Headers http.Header `json:"hdrs,omitempty"`

	// The Cache-Control of complete resources. "none" sends neither
	// Cache-Control nor ETag. Default: no Cache-Control. Placeholders are
	// expanded for each request.
	CacheControl string `json:"cache_control,omitempty"`

	// The Server header of responses. Default: Caddy's own.
	UserAgent string `json:"user_agent,omitempty"`

	// The largest upload in bytes. 0 means no limit. Default: 50000000.
	MaxUpload *int64 `json:"maxs,omitempty"`

	// How many connections may be open at a time; one more is answered 503.
	// 0 means no limit. Default: 100. Connections are counted, not HTTP/2 or
	// HTTP/3 streams.
	MaxConns *int `json:"maxc,omitempty"`

	// How many connections one client address may have open at a time; one
	// more is answered 429. 0 means no limit. Default: 6.
	MaxPeerConns *int `json:"maxp,omitempty"`

	// How long a keep-alive connection may be idle, an upload may pause and a
	// client may take no data before it is disconnected. 0 means for ever.
	// Default: 30s.
	Timeout *caddy.Duration `json:"timeout,omitempty"`

	// After how many consecutive error responses (400 and above) an HTTP/1
	// connection is closed. 0 means never. Default: 20.
	MaxClientErrors *int `json:"max_client_errors,omitempty"`

	// Which requests are logged: a comma-separated list of methods, or "*" for
	// all; "REC" logs files written and deleted. With the prefix "-" only the
	// start of each is logged. Default: none.
	ReqLog string `json:"reqlog,omitempty"`

	// A file of users and passwords: an htpasswd file with bcrypt hashes, or
	// the reference's own credentials file. Used with rule files when Caddy
	// did not authenticate the user itself.
	Users string `json:"users,omitempty"`

	// A file of groups, one `name: user user` a line (htgroup).
	Groups string `json:"groups,omitempty"`

	// Files that are never served, listed or written, as in file_server: a
	// pattern without a separator matches any component of a path, one with a
	// separator is a path or a glob of the file system.
	Hide []string `json:"hide,omitempty"`

	// Whether uploads are flushed to disk before they appear under their name.
	Fsync bool `json:"fsync,omitempty"`

	// Whether a request for something that does not exist is passed on to the
	// next handler instead of being answered 404.
	PassThru bool `json:"pass_thru,omitempty"`
}

// Defaults of the options, those of the reference.
const (
	DefaultZMax            = 50_000
	DefaultMaxUpload       = 50_000_000
	DefaultMaxConns        = 100
	DefaultMaxPeerConns    = 6
	DefaultTimeout         = 30 // seconds
	DefaultMaxClientErrors = 20
)

// empty tells whether no option is set, but for the files that the Caddyfile
// adapter hides by itself.
func (o *Options) empty() bool {
	c := *o
	c.Hide = nil
	return reflect.DeepEqual(c, Options{})
}
