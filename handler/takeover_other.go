//go:build !unix

package handler

import (
	"errors"
	"net/http"
)

// Connections are not taken over here: there is no way to write to many without
// waiting for one.

// rawConn is a connection that was taken over.
type rawConn struct{}

func (*rawConn) wake() {}

// frameWriter writes to connections without waiting.
type frameWriter struct{}

func (*frameWriter) write(*member, []byte) (int, error) { return 0, errors.ErrUnsupported }

func (q *request) canTakeOver() bool { return false }

func (q *request) takeOver(*http.ResponseController) (listener, error) {
	return nil, errors.ErrUnsupported
}
