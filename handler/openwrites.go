package handler

import (
	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-httpout/httpout/handler/access"
)

// WarnOpenWrites logs a warning for each site of a Caddy server in which
// everybody may write: no rule covers its wdir, or it feeds an input, and no
// handler of the site authenticates users. The server must be provisioned.
func WarnOpenWrites(srv *caddyhttp.Server) {
	for _, route := range srv.Routes {
		var found []*Handler
		if authenticates(route.Handlers, &found) {
			continue
		}
		for _, h := range found {
			s := h.srv
			if s.isSource() {
				s.logger.Warn("everybody may upload: the site has no authentication",
					zap.String("input", h.Input), zap.String("server", srv.Name()))
			}
			if s.writeDir != "" && s.rights().ForPath(access.Resolve(s.writeDir)) == nil {
				s.logger.Warn("everybody may upload: no rule covers wdir and the site has no authentication",
					zap.String("wdir", s.writeDir), zap.String("server", srv.Name()))
			}
		}
	}
}

// authenticates tells whether there is a handler that authenticates users among
// the handlers and those below them, and adds ours to found.
func authenticates(handlers []caddyhttp.MiddlewareHandler, found *[]*Handler) bool {
	yes := false
	for _, h := range handlers {
		switch h := h.(type) {
		case *Handler:
			*found = append(*found, h)
		case *caddyhttp.Subroute:
			for _, route := range h.Routes {
				if authenticates(route.Handlers, found) {
					yes = true
				}
			}
		case caddy.Module:
			if h.CaddyModule().ID == "http.handlers.authentication" {
				yes = true
			}
		}
	}
	return yes
}
