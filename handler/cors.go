package handler

import (
	"net/http"
)

// preflightAge is how long, in seconds, a browser may keep a preflight's
// answer: Chromium caps it at two hours.
const preflightAge = "7200"

// cors sets the header fields that let pages of other origins use the response
// (Fetch standard, section 3.2), before anything else is decided, so that errors
// have them too. A preflight is answered at once; then it returns true.
func (q *request) cors() bool {
	if q.opts.CORS == "off" {
		return false
	}
	h := q.w.Header()
	origin := q.r.Header.Get("Origin")
	h.Add("Vary", "Origin")
	if origin == "" {
		if q.opts.CORS != "on" {
			return false
		}
		origin = "*"
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "*")
	if q.r.Method != http.MethodOptions || q.r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", allMethods)
	if asked := q.r.Header.Values("Access-Control-Request-Headers"); len(asked) > 0 {
		h["Access-Control-Allow-Headers"] = asked
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	h.Set("Access-Control-Max-Age", preflightAge)
	q.writeHeader(http.StatusNoContent)
	return true
}

// options answers a plain OPTIONS, which is possible for any path that the
// client may use.
func (q *request) options() error {
	if err := q.mayUse(); err != nil {
		return err
	}
	h := q.w.Header()
	h.Set("Allow", q.allow())
	h.Set("Content-Length", "0")
	q.writeHeader(http.StatusOK)
	return nil
}

// mayUse returns nil if the client may read or write the target, wherever it
// is.
func (q *request) mayUse() error {
	var denied error
	allowed := false
	if p, ok := q.writeMount(); ok {
		denied = q.mayWrite(p, false)
		allowed = denied == nil
	}
	q.places(func(p place) bool {
		if err := q.mayRead(p); err != nil {
			denied = err
		} else {
			allowed = true
		}
		return !allowed
	})
	if allowed {
		return nil
	}
	return denied
}
