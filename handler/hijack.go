package handler

import (
	"bufio"
	"net"
	"net/http"
)

// hijack takes the connection of a request over from net/http. It is counted
// as before until the function that comes back is called, which must be, when
// the connection has been closed.
func (q *request) hijack(rc *http.ResponseController) (net.Conn, *bufio.ReadWriter, func(), error) {
	q.conn.take()
	nc, buf, err := rc.Hijack()
	if err != nil {
		return nil, nil, nil, err
	}
	q.state.taken.enter()
	return nc, buf, func() {
		q.state.taken.leave()
		q.conn.end()
	}, nil
}
