package handler

import (
	"errors"
	"net/http"
	"path/filepath"
	"slices"

	"go.uber.org/zap"

	"github.com/caddy-httpout/httpout/handler/access"
)

// realm is what browsers show when they ask for a password.
const realm = `Basic realm="httpout", charset="UTF-8"`

// login is who the client of a request is, or why that cannot be said.
type login struct {
	user string
	err  error
}

// user returns who the client is. It is found out once for a request: a wrong
// password is one failure, however many rights are asked for.
func (q *request) user() (string, error) {
	if q.login == nil {
		user, err := q.authenticate()
		q.login = &login{user, err}
	}
	return q.login.user, q.login.err
}

// authenticate returns the user that Caddy authenticated, if there is one, else
// the one of Basic credentials (RFC 7617), whose password is checked. Nobody is
// an empty name.
func (q *request) authenticate() (string, error) {
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
		return "", &statusError{status: http.StatusTooManyRequests, reason: "Too many failed logins", retryAfter: tooMany.RetryAfter}
	case errors.Is(err, access.ErrUnauthorized):
		q.logger.Debug("login failed", zap.String("client_ip", q.clientIP), zap.String("user", name))
		return "", fail(http.StatusUnauthorized, "Wrong user name or password")
	case err != nil:
		return "", err
	}
	return name, nil
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

// mayRead returns nil if the client may read what is, or would be, at a place,
// and where symbolic links lead to from there.
func (q *request) mayRead(p place) error {
	if len(q.table.rights) == 0 {
		return nil
	}
	abs := p.abs()
	if err := q.decide(q.table.rights.ForPath(abs).CanRead); err != nil {
		return err
	}
	if resolved := access.Resolve(abs); resolved != abs {
		return q.decide(q.table.rights.ForPath(resolved).CanRead)
	}
	return nil
}

// mayWrite returns nil if the client may write a place, and the folder that it
// really is in. With follow, the same goes for the file that a link at the place
// leads to; otherwise it is the link that is replaced. What no rule covers can
// be written by all.
func (q *request) mayWrite(p place, follow bool) error {
	if len(q.table.rights) == 0 {
		return nil
	}
	abs := p.abs()
	paths := []string{abs, filepath.Join(access.Resolve(filepath.Dir(abs)), filepath.Base(abs))}
	if follow {
		paths = append(paths, access.Resolve(abs))
	}
	for _, path := range slices.Compact(paths) {
		if sec := q.table.rights.ForPath(path); sec != nil {
			if err := q.decide(sec.CanWrite); err != nil {
				return err
			}
		}
	}
	return nil
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
		return fail(http.StatusUnauthorized, "Log in to use this")
	case access.NoWriteSide:
		return q.notAllowed()
	default:
		return fail(http.StatusForbidden, "You may not use this")
	}
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
