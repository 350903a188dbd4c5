package handler

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Several handlers of ours in a row serve what those before them do not. What
// these would have answered is kept with the request, for the last of them.

// refusedVar is the name under which the methods are kept that handlers before
// would have allowed for the path, as a list.
const refusedVar = "httpout.refused"

// passes tells whether an error means that another handler of ours may serve
// what this one does not.
func passes(err error) bool {
	se, ok := errors.AsType[*statusError](err)
	return errors.Is(err, errNotFound) || ok && se.status == http.StatusMethodNotAllowed
}

// passOn keeps what a request that goes to the next handler was refused for.
func (q *request) passOn(err error) {
	if allow := q.w.Header().Get("Allow"); allow != "" && !errors.Is(err, errNotFound) {
		caddyhttp.SetVar(q.r.Context(), refusedVar, q.allowedBefore(allow))
	}
}

// allowedBefore adds methods to those that handlers before would have allowed.
func (q *request) allowedBefore(allow string) string {
	before, _ := caddyhttp.GetVar(q.r.Context(), refusedVar).(string)
	if before == "" {
		return allow
	}
	methods := strings.Split(before, ", ")
	for method := range strings.SplitSeq(allow, ", ") {
		if !slices.Contains(methods, method) {
			methods = append(methods, method)
		}
	}
	return strings.Join(methods, ", ")
}

// refusal returns what a request is refused for. What the last handler does not
// have, but one before has for other methods, is not just missing.
func (q *request) refusal(err error) error {
	if q.r.Method == http.MethodGet || q.r.Method == http.MethodHead || !passes(err) {
		return err
	}
	h := q.w.Header()
	allow := h.Get("Allow")
	if errors.Is(err, errNotFound) {
		allow = ""
	}
	if all := q.allowedBefore(allow); all != "" && all != allow {
		h.Set("Allow", strings.TrimSuffix(all, ", "))
		return fail(http.StatusMethodNotAllowed, "This method is not possible here")
	}
	return err
}
