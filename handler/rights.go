package handler

import (
	"errors"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-httpout/httpout/handler/access"
)

// realm is what browsers show when they ask for a password.
const realm = `Basic realm="httpout", charset="UTF-8"`

// user returns who the client is: the user that Caddy authenticated, if there
// is one, else the one of Basic credentials (RFC 7617), whose password is
// checked. Nobody is an empty name.
func (q *request) user() (string, error) {
	if id, ok := q.repl.GetString("http.auth.user.id"); ok && id != "" {
		return id, nil
	}
	name, password, ok := q.r.BasicAuth()
	if !ok || q.users == nil {
		return "", nil
	}
	err := q.state.auth.Verify(q.r.Context(), q.users.Get(), q.peer(), name, password)
	var tooMany *access.TooManyFailuresError
	switch {
	case errors.As(err, &tooMany):
		q.w.Header().Set("Retry-After", strconv.Itoa(int(max(tooMany.RetryAfter.Round(time.Second), time.Second)/time.Second)))
		return "", fail(http.StatusTooManyRequests, "Too many failed logins")
	case errors.Is(err, access.ErrUnauthorized):
		q.logger.Debug("login failed", zap.String("client_ip", q.clientIP), zap.String("user", name))
		return "", q.unauthorized("Wrong user name or password")
	case err != nil:
		return "", err
	}
	q.repl.Set("http.auth.user.id", name) // for access logs and other handlers
	return name, nil
}

func (q *request) unauthorized(reason string) error {
	q.w.Header().Set("Www-Authenticate", realm)
	return fail(http.StatusUnauthorized, reason)
}

// memberships returns the groups that rules may speak of.
func (q *request) memberships() []*access.Groups {
	var all []*access.Groups
	if q.users != nil {
		all = append(all, q.users.Get().Groups())
	}
	if q.groups != nil {
		all = append(all, q.groups.Get())
	}
	return all
}

// mayRead returns nil if the client may read what is, or would be, at a place.
func (q *request) mayRead(p place) error {
	if len(q.table.rights) == 0 {
		return nil
	}
	return q.decide(q.table.rights.ForPath(p.abs()).CanRead)
}

// mayWrite is mayRead for writing. What no rule covers can be written by all.
func (q *request) mayWrite(p place) error {
	if len(q.table.rights) == 0 {
		return nil
	}
	sec := q.table.rights.ForPath(p.abs())
	if sec == nil {
		return nil
	}
	return q.decide(sec.CanWrite)
}

// decide asks for the rights of nobody first, so that passwords are only
// checked where they matter.
func (q *request) decide(can func(user string, groups ...*access.Groups) access.Decision) error {
	d := can("")
	if d == access.NeedLogin {
		user, err := q.user()
		if err != nil {
			return err
		}
		d = can(user, q.memberships()...)
	}
	switch d {
	case access.Allowed:
		return nil
	case access.NeedLogin:
		return q.unauthorized("Log in to use this")
	case access.NoWriteSide:
		return q.notAllowed()
	default:
		return fail(http.StatusForbidden, "You may not use this")
	}
}

// mayReadTarget is mayRead for where symbolic links below a place lead to, for
// somebody who may read the place itself.
func (q *request) mayReadTarget(p place) error {
	if len(q.table.rights) == 0 {
		return nil
	}
	abs := p.dir.Abs(p.name)
	resolved, err := filepath.EvalSymlinks(abs)
	if err != nil || resolved == abs {
		return nil //nolint:nilerr // what cannot be resolved cannot be opened either
	}
	rel, err := filepath.Rel(p.dir.Path, resolved)
	if err != nil {
		return err
	}
	return q.mayRead(place{p.mount, filepath.ToSlash(rel)})
}

// mayReadVirtual is mayRead for a path that is in no directory, but covered by
// a section that has only a name.
func (q *request) mayReadVirtual() error {
	if len(q.table.rights) == 0 {
		return nil
	}
	if sec := q.table.rights.ForURL("/" + q.path.name); sec != nil && sec.Virtual {
		return q.decide(sec.CanRead)
	}
	return nil
}
