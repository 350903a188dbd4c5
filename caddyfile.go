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
//	    input  <name>
//	    dst    <path>
//	    hmode  default|source
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
//	    # live inputs
//	    hold          [on|off]
//	    reopen        [on|off]
//	    ice           [on|off]
//	    ext           <ext>
//	    mime          <type>
//	    max_async_buf <size>
//	    blockio       [on|off]
//	    block_size    <size>
//	    # uploads
//	    maxs <size>
//	    # limits
//	    maxc              <n>
//	    maxp              <n>
//	    timeout           <seconds|duration>
//	    max_client_errors <n>
//	    # the rest
//	    reqlog    <list>
//	    quit      [on|off]
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
// may be set but those of the destination, input and dst, and cert and pkey:
// these two load a certificate for the site, as `tls <cert> <key>` would.
//
// The second of two blocks with the same hmode and the same matcher (or without
// one) in a site shares the server of the first: it adds its input and dst, and
// its other options are ignored, with a warning.
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
	app, err := globalApp(h)
	if err != nil {
		return nil, err
	}
	o := &s.Options
	if s.Server != "" {
		o = app.Servers[s.Server]
		if o == nil {
			return nil, errorAt(start, undeclared(s.Server))
		}
	}
	b, shared, err := firstBlock(h, start, matcher, modeOf(o))
	if err != nil {
		return nil, errorAt(start, err)
	}
	if shared {
		return b.join(h, start, matcher, s)
	}

	void, err := s.check(o)
	if err == nil && modeOf(o) == modeSource {
		err = checkFed(app, s.Input)
	}
	if err != nil {
		return nil, errorAt(start, err)
	}
	for _, text := range void {
		if s.Server == "" {
			warn(h, start, text)
		} else {
			warnOnce(h, start, fmt.Sprintf("server '%s': %s", s.Server, text))
		}
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
	b.begin(s.Handler, o)
	return append(values, h.NewRoute(matcher, &s.Handler)...), nil
}

// globalApp returns the app of the global options.
func globalApp(h httpcaddyfile.Helper) (*App, error) {
	app := new(App)
	if opt, ok := h.Option("httpout").(httpcaddyfile.App); ok {
		if err := json.Unmarshal(opt.Value, app); err != nil {
			return nil, err
		}
	}
	return app, nil
}

// parseGlobalOption parses the httpout global option. Syntax:
//
//	httpout {
//	    input <name> [<kind> [<args...>]] {
//	        <kind>       [<args...>]
//	        mime         <type>
//	        ext          <ext>
//	        service_name <text>
//	        meta         <name> <value>
//	        samplerate   <n>
//	        channels     <n>
//	        bitrate      <n>
//	        width        <n>
//	        height       <n>
//	        restart      on-failure|always|never [<delay>]
//	    }
//	    output <input> <kind> [<args...>]
//	    server <name> {
//	        # any option of the httpout directive but input, dst, server, cert
//	        # and pkey
//	    }
//	}
//
// Several inputs, outputs and servers may be declared. Sites use an input by
// its name, with the input option of their httpout directive, and a server with
// the server option.
//
// The kind of an input is a module of the namespace httpout.inputs, which stands
// in the first line or in the block: exec, file, http, pipe, tcp, udp, upload,
// watch, or one of another plugin. Without one it is upload. The kind of an
// output is a module of the namespace httpout.outputs: exec or file. Only meta
// may stand on several lines. Numbers may end in k or M.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // consume option name
	if existing != nil {
		return nil, d.Err("httpout is already configured: put all of it into one block")
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}

	app := new(App)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "input":
			err = parseInput(d, app)
		case "output":
			err = parseOutput(d, app)
		case "server":
			err = parseServer(d, app)
		case "push":
			err = d.WrapErr(unavailableError(word))
		default:
			if optionNamed(word) != nil {
				return nil, d.Errf("unrecognized subdirective '%s': options stand in a server block, as in 'server <name> {'", word)
			}
			err = d.Errf("unrecognized subdirective '%s'%s", word, meant(closest(word, []string{"input", "output", "push", "server"})))
		}
		if err != nil {
			return nil, err
		}
	}
	return httpcaddyfile.App{Name: "httpout", Value: caddyconfig.JSON(app, nil)}, nil
}

// parseServer parses a server of the global option.
func parseServer(d *caddyfile.Dispenser, app *App) error {
	start := d.Token()
	var name string
	if !d.AllArgs(&name) {
		return d.ArgErr()
	}
	if name == "" {
		return d.Err("the name of the server is empty")
	}
	if _, ok := app.Servers[name]; ok {
		return errorAt(start, fmt.Errorf("server '%s' is declared twice", name))
	}
	s, err := parseSettings(d, inServer)
	if err != nil {
		return err
	}
	// the rest is checked, and what is void reported, where the server is
	// used: the input is named there, and the adapter takes warnings
	if err := checkMounts(s.ReadDirs); err != nil {
		return errorAt(start, err)
	}
	s.hideFiles(start.File)
	if app.Servers == nil {
		app.Servers = make(map[string]*handler.Options)
	}
	app.Servers[name] = &s.Options
	return nil
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
