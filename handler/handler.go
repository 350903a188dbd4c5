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
	"net/http"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
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

	// The name of a server that is declared in the global options, whose
	// options, directories and counters this handler shares. No other option
	// may be set beside it.
	Server string `json:"server,omitempty"`

	srv *Server
}

// Host is the httpout app as a handler sees it.
type Host interface {
	// NewServer returns a server with the options of a handler in the given
	// Caddy server, which may be nil.
	NewServer(srv *caddyhttp.Server, o Options) (*Server, error)

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
	srv, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if h.Server == "" {
		h.srv, err = host.NewServer(srv, h.Options)
		return err
	}
	if !h.Options.empty() {
		return fmt.Errorf("a handler that shares server %q cannot have options of its own", h.Server)
	}
	h.srv, err = host.SharedServer(srv, h.Server)
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
		repl:     r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer),
		clientIP: clientIP(r),
	}
	var done func()
	q.conn, done = h.srv.state.conns.of(r)
	defer done()
	defer q.log.begin(q)()

	err := q.serve()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNext):
		return next.ServeHTTP(w, r)
	case q.status != 0 && errors.Is(err, errLeft):
		return nil
	case q.status != 0:
		q.abort(err)
	}
	return q.refuse(err)
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
