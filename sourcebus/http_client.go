package sourcebus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// newPullTransport returns what asks servers for streams, each on a connection
// of its own.
func newPullTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAliveConfig: tcpKeepAlive}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &icyConn{Conn: conn}, nil
		},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ReadBufferSize:         32 << 10,
	}
}

// checkRedirect lets up to ten redirects pass, and takes the credentials off
// those that would send them without encryption, though they were given for a
// URL with it.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("redirected too often")
	}
	if req.URL.Scheme == "http" && via[0].URL.Scheme == "https" {
		req.Header.Del("Authorization")
	}
	return nil
}

// refusal is the error for a response that is no stream.
type refusal struct {
	status     string
	retryAfter time.Duration // when the server may be asked again, 0 if it does not say
}

func newRefusal(resp *http.Response) *refusal {
	r := &refusal{status: resp.Status}
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		r.retryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return r
}

// Error implements error.
func (r *refusal) Error() string { return "the server answers " + r.status }

// retryAfter returns how long to wait as a value of Retry-After says (RFC 9110
// section 10.2.3), 0 if it says nothing that is understood.
func retryAfter(value string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if t, err := http.ParseTime(value); err == nil {
		d = t.Sub(now)
	}
	return max(0, min(d, maxRetryAfter))
}

// idleReader calls a function when a read has been waiting for too long.
type idleReader struct {
	r     io.Reader
	timer *time.Timer
}

func newIdleReader(r io.Reader, silent func()) *idleReader {
	t := time.AfterFunc(pullIdle, silent)
	t.Stop()
	return &idleReader{r, t}
}

// Read implements io.Reader.
func (i *idleReader) Read(p []byte) (int, error) {
	i.timer.Reset(pullIdle)
	defer i.timer.Stop()
	return i.r.Read(p)
}

// reason returns the text of an error without what differs each time, such as
// the local port.
func reason(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Sprintf("%s: %v", op.Op, op.Err)
	}
	return err.Error()
}
