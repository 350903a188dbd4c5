package sourcebus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-httpout/httpout/sinkbus"
	"github.com/caddy-httpout/httpout/sinkbus/icy"
)

func init() {
	caddy.RegisterModule(HTTP{})
}

// HTTP is an input that reads from a server, such as an Icecast mount. Each
// response is a stream: when it ends, or fails, the server is asked again. The
// response's ice-* and icy-* fields become properties, and the metadata that
// Icecast mixes into the stream is taken out.
type HTTP struct {
	// The URL, of scheme http or https, with Basic credentials if need be. Proxy
	// settings of the environment are not used. Redirects are followed, without
	// the credentials where they lead to another host. Placeholders are replaced
	// when the configuration is loaded.
	URL string `json:"url,omitempty"`

	url *url.URL

	// transport is another one than usual, for tests.
	transport http.RoundTripper
}

const (
	// pullIdle is how long a server may take to answer, and how long its
	// response may then have nothing to read.
	pullIdle = 30 * time.Second

	// maxRetryAfter bounds for how long a server can keep the input from
	// asking again.
	maxRetryAfter = time.Hour
)

// errSilent is returned for a response that has had nothing for too long.
var errSilent = fmt.Errorf("nothing has come for %s", pullIdle)

// CaddyModule returns the Caddy module information.
func (HTTP) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "httpout.inputs.http",
		New: func() caddy.Module { return new(HTTP) },
	}
}

// UnmarshalCaddyfile sets up the input from Caddyfile tokens. Syntax:
//
//	http <url>
func (h *HTTP) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the kind
	if !d.AllArgs(&h.URL) {
		return d.ArgErr()
	}
	return nil
}

// Provision sets the input up.
func (h *HTTP) Provision(caddy.Context) error {
	if err := expand("the URL", &h.URL); err != nil {
		return err
	}
	u, err := url.Parse(h.URL)
	if err != nil {
		// the error that the parser wraps does not have the credentials
		if parsing, ok := errors.AsType[*url.Error](err); ok {
			err = parsing.Err
		}
		return fmt.Errorf("parsing the URL: %v", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("the URL %s is of neither http nor https", u.Redacted())
	}
	if u.Hostname() == "" {
		return fmt.Errorf("the URL %s has no host", u.Redacted())
	}
	h.url = u
	return nil
}

// Many implements Producer.
func (*HTTP) Many() bool { return false }

// Produce implements Producer.
func (h *HTTP) Produce(ctx context.Context, in *Input) error {
	transport := h.transport
	if transport == nil {
		transport = newPullTransport()
	}
	client := &http.Client{Transport: transport, CheckRedirect: checkRedirect}
	defer client.CloseIdleConnections()

	var tries retries
	status := statusLog{logger: in.Logger}
	for {
		if err := in.Await(ctx); err != nil {
			return err
		}
		began := time.Now()
		err := h.pull(ctx, client, in, &status)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, sinkbus.ErrOver):
			return err
		case err == nil:
			tries = 0
			status.log(zap.InfoLevel, "source has ended", "")
		default:
			if time.Since(began) >= pullIdle {
				tries = 0
			}
			status.log(zap.WarnLevel, "source failed", reason(err), zap.Error(err))
		}
		delay := tries.next()
		if refused, ok := errors.AsType[*refusal](err); ok {
			delay = max(delay, refused.retryAfter)
		}
		if pause(ctx, delay) != nil {
			return nil
		}
	}
}

// pull makes a stream of one response. It returns nil when it has ended well.
func (h *HTTP) pull(ctx context.Context, client *http.Client, in *Input, status *statusLog) error {
	reqCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := h.request(reqCtx)
	if err != nil {
		return err
	}
	silent := func() { cancel(errSilent) }
	answer := time.AfterFunc(pullIdle, silent)
	resp, err := client.Do(req)
	answer.Stop()
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return newRefusal(resp)
	}
	var body io.Reader = newIdleReader(resp.Body, silent)
	d := sinkbus.Declared{
		MediaType:  typeOf(resp.Header.Get("Content-Type"), resp.Request.URL.Path),
		Length:     resp.ContentLength,
		Properties: icy.Properties(resp.Header),
	}
	if n := metaint(resp.Header); n > 0 {
		body = newICYReader(body, n, func(title string) {
			in.Logger.Debug("title", zap.String("title", title))
		})
	}
	if isIcecast(resp.Header) {
		d.Length = -1 // some declare one to please players, though there is no end
	}
	s, err := in.openSingle(d)
	if err != nil {
		return err
	}
	defer untilDone(ctx, s)()
	status.log(zap.InfoLevel, "source connected", "", zap.String("url", resp.Request.URL.Redacted()), zap.String("type", s.MediaType))
	err = in.Feed(ctx, s, body)
	if errors.Is(context.Cause(reqCtx), errSilent) {
		err = errSilent
	}
	End(ctx, s, err)
	if err == nil && s.Size() == 0 {
		return errors.New("the response has nothing")
	}
	return err
}

func (h *HTTP) request(ctx context.Context) (*http.Request, error) {
	u := *h.url
	u.User = nil // so that no error or redirect shows it
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "httpout")
	req.Header.Set("Accept", "*/*")
	req.Header["Icy-MetaData"] = []string{"1"} // some servers want it in this case
	if h.url.User != nil {
		password, _ := h.url.User.Password()
		req.SetBasicAuth(h.url.User.Username(), password)
	}
	return req, nil
}

// isIcecast tells whether a response is of a server for live streams.
func isIcecast(h http.Header) bool {
	p := icy.Properties(h)
	return metaint(h) > 0 || p.ServiceName != "" || p.Bitrate > 0 || len(p.Meta) > 0
}

// Interface guards
var (
	_ Producer              = (*HTTP)(nil)
	_ caddy.Provisioner     = (*HTTP)(nil)
	_ caddyfile.Unmarshaler = (*HTTP)(nil)
)
