package handler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-httpout/httpout/handler/access"
	"github.com/caddy-httpout/httpout/handler/byterange"
	"github.com/caddy-httpout/httpout/sinkbus"
)

// escape returns the error of a path that leaves its root.
func escape(t *testing.T) error {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = root.Open(filepath.Join("..", "x"))
	if err == nil {
		t.Fatal("got no error for a path that leaves its root, want one")
	}
	return err
}

func TestErrorsAndTheirStatuses(t *testing.T) {
	pathError := func(err error) error { return &fs.PathError{Op: "open", Path: "/srv/secret", Err: err} }
	_, malformed := byterange.Parse("bytes=x")
	for _, tc := range []struct {
		name   string
		err    error
		status int
	}{
		{"ours", fail(http.StatusTeapot, "short and stout"), 418},
		{"ours, wrapped", fmt.Errorf("opening: %w", failWith(http.StatusTeapot, "short and stout", io.EOF)), 418},
		{"of another handler", caddyhttp.Error(http.StatusRequestEntityTooLarge, io.EOF), 413},
		{"too large", errTooLarge, 413},
		{"stalled", errStalled, 408},
		{"short", errShort, 400},
		{"the client left", errLeft, 400},
		{"stopping", fmt.Errorf("aborted: %w", errStopping), 503},
		{"a directory", fmt.Errorf("a: %w", sinkbus.ErrIsDirectory), 409},
		{"through a file", pathError(syscall.ENOTDIR), 409},
		{"a directory, by the system", pathError(syscall.EISDIR), 409},
		{"disk full", pathError(syscall.ENOSPC), 507},
		{"over-long name", pathError(syscall.ENAMETOOLONG), 400},
		{"impossible name", pathError(syscall.EINVAL), 400},
		{"missing", pathError(syscall.ENOENT), 404},
		{"not found", errNotFound, 404},
		{"no permission", pathError(syscall.EACCES), 403},
		{"leaves the root", escape(t), 403},
		{"no such range", byterange.ErrUnsatisfiable, 416},
		{"too many ranges", byterange.ErrTooMany, 416},
		{"malformed range", malformed, 400},
		{"contradiction", &byterange.MismatchError{Reason: "x"}, 400},
		{"no range", byterange.ErrNoRange, 400},
		{"too many logins", access.ErrBusy, 503},
		{"canceled", context.Canceled, 400},
		{"cut off", io.ErrUnexpectedEOF, 400},
		{"anything else", errors.New("secret"), 500},
		{"of the disk", pathError(syscall.EIO), 500},
		{"several", errors.Join(fail(http.StatusUnauthorized, "first"), fail(http.StatusForbidden, "second")), 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, reason := explain(tc.err)
			equal(t, "status", status, tc.status)
			if reason == "" || strings.Contains(reason, "secret") || strings.Contains(reason, "/srv") {
				t.Errorf("got reason %q, want one that tells nothing of us", reason)
			}
		})
	}
}

func TestErrorKeepsItsCauseForTheLog(t *testing.T) {
	cause := errors.New("the cause")
	err := failWith(http.StatusBadRequest, "the reason", cause)
	equal(t, "text", err.Error(), "the reason: the cause")
	equal(t, "is its cause", errors.Is(err, cause), true)
	_, reason := explain(err)
	equal(t, "reason", reason, "the reason")
}

func TestErrorRoutesGetTheError(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/a": "0123456789"})
	s.withErrorRoutes()
	r := s.get("/a", "Range: bytes=99-")
	var herr caddyhttp.HandlerError
	if !errors.As(r.err, &herr) {
		t.Fatalf("got %v, want an error for the routes", r.err)
	}
	equal(t, "status", herr.StatusCode, http.StatusRequestedRangeNotSatisfiable)
	equal(t, "cause", errors.Is(r.err, byterange.ErrUnsatisfiable), true)
	equal(t, "body", r.body, "")
	wantHeader(t, "error", r.header, "Content-Range: bytes */10")
}

func TestErrorsOfTheServerAreLogged(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/a": "a"})
	s.get("/missing")
	s.do("BREW", "/a", "")
	equal(t, "after errors of the client", s.logs.FilterLevelExact(zap.ErrorLevel).Len(), 0)
	s.state.Drain()
	wantStatus(t, "PUT", s.do(http.MethodPut, "/b", "x"), http.StatusServiceUnavailable)
	equal(t, "after one of ours", s.logs.FilterLevelExact(zap.ErrorLevel).Len(), 1)
}
