package handler

import (
	"errors"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// request is one request on its way through a server.
type request struct {
	*Server

	w     http.ResponseWriter
	r     *http.Request
	repl  *caddy.Replacer
	table *mountTable
	conn  *conn
	path  target
	dest  *destination // nil without an input

	clientIP string

	// left is closed when the client has left, where the request's context does
	// not tell.
	left <-chan struct{}

	// Who the client is, once that was asked: see user.
	login *login

	// reading tells that the body has been begun, received that it has been
	// read to its end.
	reading, received bool

	// What has been answered so far, for the log.
	status int
	bytes  int64
}

// methods are what is known; anything else is 501.
const (
	readMethods  = "GET, HEAD, OPTIONS"
	writeMethods = "PUT, POST, PATCH, DELETE, OPTIONS"
	allMethods   = "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS"
)

// errNext ends a request that the next handler is to serve.
var errNext = errors.New("not ours")

// serve answers a request, or returns the error that it is to be answered with.
func (q *request) serve() error {
	if q.cors() {
		return nil
	}
	if err := q.admit(); err != nil {
		return err
	}
	var err error
	if q.path, err = parseTarget(q.r.URL.Path); err != nil {
		return err
	}
	if q.table, err = q.folders.table(q.Server); err != nil {
		return err
	}
	switch {
	case !knownMethod(q.r.Method):
		return fail(http.StatusNotImplemented, "Method is not supported")
	case q.dest != nil && q.isSource():
		return q.source()
	case q.dest != nil:
		return q.sink()
	}
	switch q.r.Method {
	case http.MethodGet, http.MethodHead:
		return q.get()
	case http.MethodPut, http.MethodPost:
		return q.put()
	case http.MethodPatch:
		return q.patch()
	case http.MethodDelete:
		return q.delete()
	case http.MethodOptions:
		return q.options()
	default:
		return q.notAllowed()
	}
}

func knownMethod(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, "SOURCE":
		return true
	default:
		return false
	}
}

// admit applies the limits of connections.
func (q *request) admit() error {
	q.conn.setTimeout(q.timeout)
	if q.maxConns == 0 && q.maxPeerConns == 0 {
		return nil
	}
	switch q.conn.enter(q.counter, q.clientIP, q.maxConns, q.maxPeerConns) {
	case tooMany:
		return q.limited(http.StatusServiceUnavailable, "maxc", "Too many connections")
	case tooManyOfPeer:
		return q.limited(http.StatusTooManyRequests, "maxp", "Too many connections from your address")
	default:
		return nil
	}
}

// retryAfter is what clients are told to wait when there are too many of them.
const retryAfter = 5 * time.Second

func (q *request) limited(status int, option, reason string) error {
	q.logger.Warn("connection refused: limit reached",
		zap.String("option", option), zap.String("client_ip", q.clientIP))
	q.closeConnection()
	return &statusError{status: status, reason: reason, retryAfter: retryAfter}
}

// closeConnection has the connection closed after the response. In HTTP/2 and 3
// there is no such thing for one response.
func (q *request) closeConnection() {
	if q.r.ProtoMajor == 1 {
		q.w.Header().Set("Connection", "close")
	}
}

// allow returns the methods that the path can be used with.
func (q *request) allow() string {
	switch {
	case q.dest != nil && q.isSource():
		return sourceMethods
	case q.dest != nil:
		return sinkMethods
	}
	p, writable := q.writeMount()
	if writable {
		sec := q.table.rights.ForPath(p.abs())
		writable = sec == nil || sec.HasWrite()
	}
	switch {
	case writable && len(q.table.mounts) == 0:
		return writeMethods
	case writable:
		return allMethods
	default:
		return readMethods
	}
}

// notAllowed is the 405 of a method that the path cannot be used with.
func (q *request) notAllowed() error {
	q.w.Header().Set("Allow", q.allow())
	return fail(http.StatusMethodNotAllowed, "This method is not possible here")
}

// writeHeader sends the header: the fields that every response has are set here
// and nowhere else. Nothing may be set afterwards.
func (q *request) writeHeader(status int) {
	q.commonHeader(status)
	q.status = status
	q.w.WriteHeader(status)
}

// commonHeader sets the header fields that every response has, errors included.
func (q *request) commonHeader(status int) {
	h := q.w.Header()
	if q.opts.UserAgent != "" {
		h.Set("Server", q.opts.UserAgent)
	}
	if q.opts.ServerUTC {
		h["Server-UTC"] = []string{strconv.FormatInt(time.Now().UnixMilli(), 10)}
	}
	if q.r.ProtoMajor == 1 {
		q.connectionHeader(h, status)
	}
	for name, values := range q.opts.Headers {
		expanded := make([]string, len(values))
		for i, v := range values {
			expanded[i] = q.repl.ReplaceAll(v, "")
		}
		name = http.CanonicalHeaderKey(name)
		if name == "Server-Utc" {
			delete(h, "Server-UTC") // which is spelled in its own way
		}
		h[name] = expanded
	}
}

// connectionHeader sets what HTTP/1 says about the connection, and counts the
// error responses on it.
func (q *request) connectionHeader(h http.Header, status int) {
	if status >= 400 {
		if n := q.conn.failures.Add(1); q.maxClientErrors > 0 && int(n) >= q.maxClientErrors {
			h.Set("Connection", "close")
		}
	} else if q.conn.failures.Load() != 0 {
		q.conn.failures.Store(0)
	}
	if q.opts.Close {
		h.Set("Connection", "close")
	}
	if q.timeout > 0 && h.Get("Connection") == "" && !q.r.Close {
		h.Set("Keep-Alive", "timeout="+strconv.FormatInt(int64(max(q.timeout/time.Second, 1)), 10))
	}
}

const (
	// lingerTime is how long a client may go on sending a body that was
	// refused, while the response is on its way.
	lingerTime = 2 * time.Second

	// A body of up to smallBody bytes is read before the response, if it is
	// there within smallWait: the connection can then be used again.
	smallBody = 256 << 10
	smallWait = 50 * time.Millisecond
)

// refuse answers a request that ended with an error, whose body may not have
// been read to its end.
//
// A connection that is closed while its client is sending loses the response:
// the bytes that arrive make the system reset it (RFC 9112 section 9.6). So in
// HTTP/1 the rest of the body is read and dropped for a while, after the
// response. A client that waits for 100 (Continue) has sent nothing, and must
// not be told to. What is left unread must never be taken for a request: the
// connection is closed in all of these cases.
func (q *request) refuse(err error) error {
	r := q.r
	if r.ProtoMajor != 1 || q.received || r.ContentLength == 0 && !expectsContinue(r) || errors.Is(err, errStopping) {
		return q.finish(err)
	}
	rc := http.NewResponseController(q.w)
	if expectsContinue(r) && !q.reading {
		q.closeConnection()
		// net/http looks for the body once more when the handler is done
		if derr := rc.SetReadDeadline(time.Now().Add(lingerTime)); derr != nil {
			q.logger.Debug("setting read deadline", zap.Error(derr))
		}
		return q.finish(err)
	}
	// without it net/http would want the body before it sends the header
	if rc.EnableFullDuplex() != nil {
		return q.finish(err)
	}
	if r.ContentLength > 0 && r.ContentLength <= smallBody && q.dropBody(rc, smallWait) {
		return q.finish(err)
	}
	q.closeConnection()
	if err := q.finish(err); err != nil {
		return err // error routes answer, after us
	}
	if rc.Flush() == nil {
		q.dropBody(rc, lingerTime)
	}
	return nil
}

// dropBody reads what is left of the body, for at most d, and tells whether that
// was all of it.
func (q *request) dropBody(rc *http.ResponseController, d time.Duration) bool {
	if rc.SetReadDeadline(time.Now().Add(d)) != nil {
		return false
	}
	buf := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buf)
	for {
		if _, err := q.r.Body.Read(buf[:]); err != nil {
			q.received = err == io.EOF
			return q.received
		}
	}
}

// finish answers a request that ended with an error. Where the site has error
// routes they get it; otherwise the client gets a short reason.
func (q *request) finish(err error) error {
	status, reason := explain(err)
	if status >= 500 && status != http.StatusNotImplemented {
		q.logger.Error("request failed", zap.Int("status", status),
			zap.String("method", q.r.Method), zap.String("path", q.r.URL.Path), zap.Error(err))
	}
	h := q.w.Header()
	for _, name := range []string{
		"Accept-Ranges", "Cache-Control", "Content-Encoding", "Content-Length", "Content-Type", "Etag", "Last-Modified",
	} {
		h.Del(name)
	}
	if status == http.StatusUnauthorized {
		h.Set("Www-Authenticate", realm)
	}
	var se *statusError
	if errors.As(err, &se) && se.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(se.retryAfter.Seconds()))))
	}
	srv, _ := q.r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if srv != nil && srv.Errors != nil && len(srv.Errors.Routes) > 0 {
		q.commonHeader(status)
		q.status = status
		return caddyhttp.Error(status, err)
	}
	body := reason + "\n"
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	q.writeHeader(status)
	if q.r.Method != http.MethodHead {
		n, err := q.w.Write([]byte(body))
		q.bytes = int64(n)
		if err != nil {
			return nil //nolint:nilerr // the client is gone; there is nobody to tell
		}
	}
	return nil
}

// peer returns the address of the client, for what is counted for each.
func (q *request) peer() netip.Addr {
	addr, err := netip.ParseAddr(q.clientIP)
	if err != nil {
		return netip.Addr{}
	}
	return addr
}

// clientIP returns the client's address as Caddy determined it.
func clientIP(r *http.Request) string {
	if ip, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ok && ip != "" {
		return ip
	}
	host := r.RemoteAddr
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	return strings.Trim(host, "[]")
}
