package httpout

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-httpout/httpout/handler"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("httpout", parseGlobalOption)
	httpcaddyfile.RegisterDirective("httpout", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("httpout", httpcaddyfile.Before, "file_server")
}

// parseDirective parses the httpout directive. Syntax:
//
//	httpout [<matcher>] {
//	    # what is served
//	    rdirs  <dir | rule file>...
//	    wdir   <dir>
//	    hmode  default
//	    server <name>
//	    # responses
//	    dlist         [on|off]
//	    sutc          [on|off]
//	    cors          [off|on|auto]
//	    norange       [on|off]
//	    ranges        concat|multipart
//	    close         [on|off]
//	    zmax          <size>
//	    hdrs          <name> <value> [<name> <value>...]
//	    cache_control <value|none>
//	    user_agent    <text>
//	    # uploads
//	    maxs <size>
//	    # limits
//	    maxc              <n>
//	    maxp              <n>
//	    timeout           <seconds|duration>
//	    max_client_errors <n>
//	    # the rest
//	    reqlog    <list>
//	    cert      <pem>
//	    pkey      <pem>
//	    users     <file>
//	    groups    <file>
//	    hide      <glob>...
//	    fsync     [on|off]
//	    pass_thru [on|off]
//	}
//
// A switch that stands alone is on; besides on and off it takes true, false,
// yes and no. Sizes are bytes (50000) or have a unit (50M and 50MB are decimal,
// 50MiB is binary). Only hdrs may stand on several lines.
//
// With server, which names a server of the global options, no other options
// may be set but cert and pkey: these two load a certificate for the site, as
// `tls <cert> <key>` would.
//
// The second of two blocks with the same matcher (or without one) in a site
// shares the server of the first: its options are ignored, with a warning.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // consume directive name
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	h.Next() // consume directive name, as extracting the matcher rewinds
	start := h.Token()
	if h.NextArg() {
		return nil, h.Errf("httpout takes no argument but a matcher, got '%s': directories are set with rdirs and wdir, in a block", h.Val())
	}

	s, err := parseSettings(h.Dispenser, inSite)
	if err != nil {
		return nil, err
	}
	first, err := firstBlock(h, start, matcher)
	if err != nil {
		return nil, err
	}
	if first != nil {
		text := fmt.Sprintf("this block shares the server of the httpout block at %s:%d and adds nothing", first.File, first.Line)
		if len(s.given) > 0 {
			text += "; ignored: " + strings.Join(s.given, ", ")
		}
		warn(h, start, text)
		return nil, nil
	}

	void, err := s.check()
	if err != nil {
		return nil, errorAt(start, err)
	}
	if s.Server != "" {
		more, err := checkShared(h, s.Server)
		if err != nil {
			return nil, errorAt(start, err)
		}
		void = append(void, more...)
	}
	for _, text := range void {
		warn(h, start, text)
	}

	var values []httpcaddyfile.ConfigValue
	if s.cert != "" {
		if nested(h) {
			return nil, errorAt(start, errors.New("cert and pkey apply to a whole site: set them in an httpout block that stands in the site itself, or with the tls directive"))
		}
		values = certificate(h, s.cert, s.pkey)
	}
	if s.Server == "" {
		s.hideFiles(h.Caddyfiles()...)
	}
	return append(values, h.NewRoute(matcher, &s.Handler)...), nil
}

// parseGlobalOption parses the httpout global option. Syntax:
//
//	httpout {
//	    server <name> {
//	        # any option of the httpout directive but server, cert and pkey
//	    }
//	}
//
// Several servers may be declared. Sites use one by its name, with the server
// option of their httpout directive.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // consume option name
	if existing != nil {
		return nil, d.Err("httpout is already configured: put all servers into one block")
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}

	app := new(App)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch word := d.Val(); word {
		case "server":
			name, o, err := parseServer(d)
			if err != nil {
				return nil, err
			}
			if _, ok := app.Servers[name]; ok {
				return nil, d.Errf("server '%s' is declared twice", name)
			}
			if app.Servers == nil {
				app.Servers = make(map[string]*handler.Options)
			}
			app.Servers[name] = o
		case "input", "push", "output":
			return nil, d.WrapErr(unavailableError(word))
		default:
			if optionNamed(word) != nil {
				return nil, d.Errf("unrecognized subdirective '%s': options stand in a server block, as in 'server <name> {'", word)
			}
			return nil, d.Errf("unrecognized subdirective '%s'", word)
		}
	}
	return httpcaddyfile.App{Name: "httpout", Value: caddyconfig.JSON(app, nil)}, nil
}

// parseServer parses a server block of the global option.
func parseServer(d *caddyfile.Dispenser) (string, *handler.Options, error) {
	start := d.Token()
	var name string
	if !d.AllArgs(&name) {
		return "", nil, d.ArgErr()
	}
	if name == "" {
		return "", nil, d.Err("the name of the server is empty")
	}
	s, err := parseSettings(d, inServer)
	if err != nil {
		return "", nil, err
	}
	// what is void is reported where the server is used, as this is where
	// the adapter takes warnings
	if _, err := s.check(); err != nil {
		return "", nil, errorAt(start, err)
	}
	s.hideFiles(start.File)
	return name, &s.Options, nil
}

// parseSettings parses a block of options, of which the dispenser is at the
// word before the opening brace. There may be no block.
func parseSettings(d *caddyfile.Dispenser, where place) (*settings, error) {
	s := new(settings)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		start := d.Token()
		opt := optionNamed(start.Text)
		if opt == nil {
			return nil, d.Errf("unrecognized subdirective '%s'%s", start.Text, suggestion(start.Text))
		}
		args := d.RemainingArgs()
		if err := opt.apply(s, where, args); err != nil {
			return nil, errorAt(start, err)
		}
		if d.NextBlock(d.Nesting()) {
			return nil, errorAt(start, fmt.Errorf("%s takes no block", opt.name))
		}
	}
	return s, nil
}

// check looks at all options of a block together, without touching the disk. It
// returns what has no effect, and an error for what cannot work.
func (s *settings) check() (void []string, err error) {
	if (s.cert == "") != (s.pkey == "") {
		return nil, errors.New("cert and pkey go together: set both or neither")
	}
	if s.Server != "" {
		for _, name := range s.given {
			switch name {
			case "server", "cert", "pkey":
			default:
				return nil, fmt.Errorf("%s cannot be set here, as the options of server '%s' are those of the global options", name, s.Server)
			}
		}
		return nil, nil
	}
	if len(s.ReadDirs) == 0 && s.WriteDir == "" {
		return nil, errors.New("nothing to serve: set rdirs or wdir")
	}
	if err := checkMounts(s.ReadDirs); err != nil {
		return nil, err
	}
	return voidOptions(&s.Options), nil
}

// voidOptions tells which options have no effect because of others.
func voidOptions(o *handler.Options) []string {
	var void []string
	if o.Mode != "" && o.WriteDir != "" {
		void = append(void, "hmode is ignored, as wdir is set")
	}
	if o.Ranges != "" && o.NoRange {
		void = append(void, "ranges is ignored, as norange is set")
	}
	return void
}

// checkMounts reports folders that would be mounted under the same name. What
// only the disk can tell is left to the handler: whether an entry is a rule
// file, which has no mount point of its own, or what a link leads to.
func checkMounts(dirs []string) error {
	seen := make(map[string]string, len(dirs))
	for _, dir := range dirs {
		clean := filepath.Clean(dir)
		base := filepath.Base(clean)
		other, ok := seen[base]
		switch {
		case strings.Contains(base, "{"), base == "..":
			continue // not known before it is expanded
		case !ok:
			seen[base] = clean
		case other == clean:
			return fmt.Errorf("rdirs names '%s' twice", dir)
		case filepath.Ext(base) == "":
			return fmt.Errorf("rdirs '%s' and '%s' would both be mounted at /%s/: give one of them another name, with 'name' in a rule file", other, dir, base)
		}
	}
	return nil
}

// checkShared looks up a server of the global options, and returns which of
// its options have no effect unless that was said before.
func checkShared(h httpcaddyfile.Helper, name string) ([]string, error) {
	var app App
	if opt, ok := h.Option("httpout").(httpcaddyfile.App); ok {
		if err := json.Unmarshal(opt.Value, &app); err != nil {
			return nil, err
		}
	}
	o, ok := app.Servers[name]
	if !ok {
		return nil, undeclared(name)
	}
	st := stateOf(h)
	if st.reported[name] {
		return nil, nil
	}
	st.reported[name] = true
	void := voidOptions(o)
	for i := range void {
		void[i] = fmt.Sprintf("server '%s': %s", name, void[i])
	}
	return void, nil
}

// hideFiles hides the files from clients: those of the configuration, and the
// private key that it names.
func (s *settings) hideFiles(files ...string) {
	if s.pkey != "" {
		files = append(files, s.pkey)
	}
	for _, file := range files {
		if file == "" {
			continue
		}
		file = filepath.Clean(file)
		// a pattern without a separator would hide all files of that name
		if !strings.ContainsRune(file, filepath.Separator) {
			file = "." + string(filepath.Separator) + file
		}
		if !slices.Contains(s.Hide, file) {
			s.Hide = append(s.Hide, file)
		}
	}
}

// certificate returns the values by which the adapter gives the site a
// certificate, those of `tls <cert> <key>`.
func certificate(h httpcaddyfile.Helper, cert, key string) []httpcaddyfile.ConfigValue {
	// The tls directive keeps the tag of each certificate file here. A file
	// must not be loaded twice: the second load would replace the first and
	// its tag, and the policies that look for that tag would find nothing.
	const stateKey = "tlsCertTags"
	tags, ok := h.State[stateKey].(map[string]string)
	if !ok {
		tags = make(map[string]string)
		h.State[stateKey] = tags
	}

	var values []httpcaddyfile.ConfigValue
	tag, ok := tags[cert]
	if !ok {
		tag = fmt.Sprintf("cert%d", len(tags))
		tags[cert] = tag
		values = append(values, httpcaddyfile.ConfigValue{
			Class: "tls.cert_loader",
			Value: caddytls.FileLoader{{Certificate: cert, Key: key, Tags: []string{tag}}},
		})
	}
	return append(values, httpcaddyfile.ConfigValue{
		Class: "tls.connection_policy",
		Value: &caddytls.ConnectionPolicy{
			CertSelection: &caddytls.CustomCertSelectionPolicy{AnyTag: []string{tag}},
		},
	})
}

// errorAt adds the place of a token to an error.
func errorAt(tok caddyfile.Token, err error) error {
	d := caddyfile.NewDispenser([]caddyfile.Token{tok})
	d.Next()
	return d.WrapErr(err)
}
