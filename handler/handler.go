// Package handler is the HTTP handler of httpout: requests in, responses out.
//
// A request goes through a Server, which holds the options and what was opened
// for them. Files are in get.go, uploads in progress in live.go, listings in
// list.go, writes in write.go and patch.go; the packages below this one hold the
// rules that need no request: byte ranges, preconditions, rights, listings,
// codings and media types.
package handler

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-httpout/httpout/sinkbus"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler is a read/write file server: it serves directories, lists them, takes
// uploads into one, and shows an upload while it arrives. With rule files it
// decides who may read and write what.
//
// Files are replaced whole: an upload is written beside its name and renamed
// when it is complete, so that readers get the old version or the new one. While
// it arrives, it is served from its stream.
type Handler struct {
	Options
	Destination

	// Whether this handler shares the server of the one before it in its site
	// that has the same options.
	Share bool `json:"share,omitempty"`

	// The name of a server that is declared in the global options, whose
	// options, directories and counters this handler shares. No other option
	// may be set beside it.
	Server string `json:"server,omitempty"`

	srv  *Server
	dest *destination // nil without an input

	// followed tells that another handler of ours comes next, which gets what
	// this one does not serve.
	followed *atomic.Bool
}

// Host is the httpout app as a handler sees it.
type Host interface {
	// NewServer returns a server with the options of a handler in the given
	// Caddy server, which may be nil. With share, it is the one that was made
	// last for the same options there, if there is one.
	NewServer(srv *caddyhttp.Server, o Options, share bool) (*Server, error)

	// Input returns the bus of the input with that name, for a handler in
	// source mode or one that serves its streams. An input that is not declared
	// is fed by uploads.
	Input(name string) (*sinkbus.Bus, error)

	// SharedServer returns the server of that name in the global options, for
	// a handler in the given Caddy server.
	SharedServer(srv *caddyhttp.Server, name string) (*Server, error)
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.httpout",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision sets up the handler.
func (h *Handler) Provision(ctx caddy.Context) error {
	mod, err := ctx.App("httpout")
	if err != nil {
		return fmt.Errorf("getting httpout app: %v", err)
	}
	host, ok := mod.(Host)
	if !ok {
		return fmt.Errorf("the httpout app is a %T, which has no servers", mod)
	}
	h.followed = new(atomic.Bool)
	srv, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	switch {
	case h.Server == "":
		h.srv, err = host.NewServer(srv, h.Options, h.Share)
	case !h.Options.empty():
		err = fmt.Errorf("a handler that shares server %q cannot have options of its own", h.Server)
	default:
		h.srv, err = host.SharedServer(srv, h.Server)
	}
	if err != nil {
		return err
	}
	return h.provisionInput(host)
}

// provisionInput sets up where the handler's input goes, or comes from.
func (h *Handler) provisionInput(host Host) error {
	o := &h.srv.opts
	switch {
	case h.Input == "" && h.Dst != "":
		return errors.New("dst says where an input appears: set input, too")
	case h.Input == "" && h.srv.isSource():
		return errors.New("hmode source needs the name of the input that uploads feed: set input")
	case h.Input == "" && len(o.ReadDirs) == 0 && o.WriteDir == "":
		return errors.New("there is nothing to serve: set rdirs, wdir or input")
	case h.Input == "":
		return nil
	case len(o.ReadDirs) > 0 || o.WriteDir != "":
		return errors.New("an input with rdirs or wdir is not available in this version")
	}
	bus, err := host.Input(h.Input)
	if err != nil {
		return err
	}
	h.dest, err = newDestination(h.Destination, o, bus)
	return err
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	h.srv.use()
	defer h.srv.release()
	q := &request{
		Server:   h.srv,
		w:        w,
		r:        r,
		dest:     h.dest,
		repl:     r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer),
		clientIP: clientIP(r),
	}
	var done func()
	q.conn, done = h.srv.state.conns.of(r)
	defer done()
	defer q.log.begin(q)()

	var before http.Header
	followed := h.followed != nil && h.followed.Load()
	if followed {
		before = w.Header().Clone()
	}
	err := q.serve()
	switch {
	case err == nil:
		return nil
	case followed && q.status == 0 && passes(err):
		q.passOn(err)
		// what we have set is not to be seen in the other's response
		clear(w.Header())
		maps.Copy(w.Header(), before)
		return next.ServeHTTP(w, r)
	case errors.Is(err, errNext):
		return next.ServeHTTP(w, r)
	case q.status != 0 && errors.Is(err, errLeft):
		return nil
	case q.status != 0:
		q.abort(err)
	}
	return q.refuse(q.refusal(err))
}

// abort ends a response that has begun and cannot be completed, so that the
// client does not take it for complete. It does not return.
func (q *request) abort(err error) {
	q.logger.Debug("response aborted", zap.String("path", q.r.URL.Path), zap.Error(err))
	panic(http.ErrAbortHandler)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
