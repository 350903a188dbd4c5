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

	// The operation mode: "default" serves directories or, with an input, its
	// streams; "source" makes uploads the streams of an input. Ignored, with a
	// warning, when wdir is set.
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

	// Whether the input's producer is held back until the first client asks for
	// one of its streams.
	Hold bool `json:"hold,omitempty"`

	// Whether clients stay when a stream ends, and go on with the input's next
	// one if it opens within the timeout. Only for formats that can be joined
	// anywhere: MP3, ADTS, MPEG-TS and Ogg.
	Reopen bool `json:"reopen,omitempty"`

	// Whether responses carry what is known of a stream as icy-* and ice-*
	// header fields.
	Ice bool `json:"ice,omitempty"`

	// The file name extension that stands for the type of the streams that are
	// taken from an input. Used where mime is not set.
	Ext string `json:"ext,omitempty"`

	// The media type of the streams that are taken from an input with several;
	// the type that is served for an input with one.
	MediaType string `json:"mime,omitempty"`

	// How many bytes may wait for a client of an endless stream before it is
	// moved to the newest place where it can go on. More may wait where the
	// producer's largest write, or half a second of the stream, is larger.
	// Default: 100000.
	MaxAsyncBuf *int64 `json:"max_async_buf,omitempty"`

	// Whether the producer waits for the slowest client, instead of clients
	// that are too slow being moved ahead.
	BlockIO bool `json:"blockio,omitempty"`

	// The most bytes that are written to a client of an input at a time, and
	// read from an upload into one. Default: as many as there are.
	BlockSize *int64 `json:"block_size,omitempty"`

	// Whether Caddy stops, with exit status 0, when every input has ended and
	// the last client has gone.
	Quit bool `json:"quit,omitempty"`

	// The largest upload in bytes. 0 means no limit. Default: 50000000; in
	// source mode the default holds only for uploads that declare their length.
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

// Destination is where an input goes: one httpout block of a site.
type Destination struct {
	// The name of the live input that feeds this destination or, in source mode,
	// that uploads feed.
	Input string `json:"input,omitempty"`

	// Where the input appears. An input with one stream has it at this path. Of
	// an input with several, the newest is at a path that names a file; each is
	// under its own name below a path that ends in a slash. Default: "/".
	Dst string `json:"dst,omitempty"`
}

// Defaults of the options, those of the reference.
const (
	DefaultMaxAsyncBuf     = 100_000
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
