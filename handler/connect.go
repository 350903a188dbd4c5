package handler

import (
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// Connect lets the handlers of a Caddy server know which of them comes after
// another, and notes in held the inputs that are to wait for their first client.
// The server must be provisioned.
func Connect(srv *caddyhttp.Server, held map[*sinkbus.Bus]bool) {
	connectRoutes(srv.Routes, false, held)
}

// connectRoutes connects the handlers of routes that are tried one after the
// other, and tells whether one of ours is among them. After tells whether one
// comes behind them.
func connectRoutes(routes caddyhttp.RouteList, after bool, held map[*sinkbus.Bus]bool) bool {
	found := false
	for i := len(routes) - 1; i >= 0; i-- {
		handlers := routes[i].Handlers
		for j := len(handlers) - 1; j >= 0; j-- {
			switch h := handlers[j].(type) {
			case *Handler:
				h.followed.Store(after || found)
				if h.dest != nil && h.srv.opts.Hold && !h.srv.isSource() {
					held[h.dest.bus] = true
				}
				found = true
			case *caddyhttp.Subroute:
				if connectRoutes(h.Routes, after || found, held) {
					found = true
				}
			}
		}
	}
	return found
}
