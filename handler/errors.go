package handler

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-httpout/httpout/handler/access"
	"github.com/caddy-httpout/httpout/handler/byterange"
	"github.com/caddy-httpout/httpout/sinkbus"
)

var (
	errStopping = errors.New("the server is stopping")
	errNotFound = errors.New("not found")
	errStalled  = errors.New("the upload stalled")
	errShort    = errors.New("the upload ended before its Content-Length")
	errTooLarge = errors.New("the upload is larger than allowed")
	errLeft     = errors.New("the client left")
)

// statusError is an error that a client is told: the status, and a short reason
// as the body.
type statusError struct {
	status int
	reason string
	err    error // for the log, may be nil

	// retryAfter is how long the client is told to wait, 0 for nothing.
	retryAfter time.Duration
}

func (e *statusError) Error() string {
	if e.err != nil {
		return e.reason + ": " + e.err.Error()
	}
	return e.reason
}

func (e *statusError) Unwrap() error { return e.err }

// fail returns an error that is answered with the status and the reason.
func fail(status int, reason string) error {
	return &statusError{status: status, reason: reason}
}

// failWith is fail with what happened, which only the log tells.
func failWith(status int, reason string, err error) error {
	return &statusError{status: status, reason: reason, err: err}
}

// explain returns the status and the reason that an error is answered with.
// Every error that a request can end with is decided here.
func explain(err error) (status int, reason string) {
	var se *statusError
	var he caddyhttp.HandlerError
	var malformed *byterange.MalformedError
	var mismatch *byterange.MismatchError
	switch {
	case errors.As(err, &se):
		return se.status, se.reason
	case errors.As(err, &he):
		return he.StatusCode, http.StatusText(he.StatusCode)
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge, err.Error()
	case errors.Is(err, errStalled):
		return http.StatusRequestTimeout, err.Error()
	case errors.Is(err, errShort), errors.Is(err, errLeft):
		return http.StatusBadRequest, err.Error()
	case errors.Is(err, errStopping):
		return http.StatusServiceUnavailable, err.Error()
	case errors.Is(err, sinkbus.ErrIsDirectory), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return http.StatusConflict, "The target, or a part of its path, is in the way"
	case sinkbus.IsFull(err):
		return http.StatusInsufficientStorage, "No space left to store this"
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EINVAL):
		return http.StatusBadRequest, "The path cannot be a file name here"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNotFound), errors.Is(err, syscall.ELOOP):
		return http.StatusNotFound, "Not found"
	case errors.Is(err, fs.ErrPermission), isEscape(err):
		return http.StatusForbidden, "The file system does not allow this"
	case errors.Is(err, byterange.ErrUnsatisfiable), errors.Is(err, byterange.ErrTooMany):
		return http.StatusRequestedRangeNotSatisfiable, err.Error()
	case errors.As(err, &malformed), errors.As(err, &mismatch), errors.Is(err, byterange.ErrNoRange):
		return http.StatusBadRequest, err.Error()
	case errors.Is(err, access.ErrBusy):
		return http.StatusServiceUnavailable, err.Error()
	case errors.Is(err, context.Canceled), errors.Is(err, io.ErrUnexpectedEOF):
		return http.StatusBadRequest, errLeft.Error()
	default:
		return http.StatusInternalServerError, "Something went wrong here"
	}
}

// isEscape tells whether a path was refused because it leaves its root. The os
// package has no name for that error.
func isEscape(err error) bool {
	var pe *os.PathError
	return errors.As(err, &pe) && pe.Err != nil && pe.Err.Error() == "path escapes from parent"
}
