package handler

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// site is a server under test, with a folder for its files.
type site struct {
	*Server
	t    testing.TB
	root string
	logs *observer.ObservedLogs

	// What surrounds the handler.
	caddy   caddyhttp.Server
	rewrite func(path string) string // what is done to the path before us, may be nil
}

// options that most tests use: one folder, for reading or for both.
var (
	readOnly  = Options{ReadDirs: []string{"www"}}
	readWrite = Options{ReadDirs: []string{"www"}, WriteDir: "www"}
)

// newSite returns an open server. Names of files, and those in the options, are
// relative to the site's root; a file that ends in a slash is a folder.
func newSite(t testing.TB, o Options, files map[string]string) *site {
	t.Helper()
	root := t.TempDir()
	writeFiles(t, root, files)
	s, err := newSiteIn(t, root, o, "key", NewState())
	if err != nil {
		t.Fatalf("got error %v, want a server", err)
	}
	if err := s.Open(); err != nil {
		t.Fatalf("opening: %v", err)
	}
	return s
}

// newSiteIn is newSite for a root and a state that may have been used before.
// It is not opened.
func newSiteIn(t testing.TB, root string, o Options, key string, state *State) (*site, error) {
	t.Helper()
	within := func(name string) string {
		if name == "" || filepath.IsAbs(name) || name == "gmem" {
			return name
		}
		return filepath.Join(root, filepath.FromSlash(name))
	}
	o.ReadDirs = slices.Clone(o.ReadDirs)
	for i, name := range o.ReadDirs {
		o.ReadDirs[i] = within(name)
	}
	o.WriteDir, o.Users, o.Groups = within(o.WriteDir), within(o.Users), within(o.Groups)
	core, logs := observer.New(zap.DebugLevel)
	srv, err := NewServer(o, key, state, zap.New(core))
	if err != nil {
		return nil, err
	}
	t.Cleanup(srv.Close)
	return &site{Server: srv, t: t, root: root, logs: logs}, nil
}

func writeFiles(t testing.TB, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		full := filepath.Join(root, filepath.FromSlash(name))
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(full, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// link makes a symbolic link in the site's root.
func (s *site) link(target, name string) {
	s.t.Helper()
	if err := os.Symlink(filepath.FromSlash(target), filepath.Join(s.root, filepath.FromSlash(name))); err != nil {
		s.t.Skipf("no symbolic links here: %v", err)
	}
}

// content returns what a file of the site's root has, "" if there is none.
func (s *site) content(name string) string {
	b, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(name)))
	if err != nil {
		return ""
	}
	return string(b)
}

// names returns what there is below a folder of the site's root, our temporary
// files included.
func (s *site) names(folder string) []string {
	s.t.Helper()
	base := filepath.Join(s.root, filepath.FromSlash(folder))
	var names []string
	err := filepath.WalkDir(base, func(p string, _ os.DirEntry, err error) error {
		if err != nil || p == base {
			return err
		}
		rel, err := filepath.Rel(base, p)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}

// upload begins an upload as a PUT does, in the write directory or, without
// one, in the last that is read.
func (s *site) upload(name, mediaType, content string) *sinkbus.Upload {
	s.t.Helper()
	table, err := s.folders.table(s.Server)
	if err != nil {
		s.t.Fatal(err)
	}
	m := table.write
	if m == nil {
		m = &table.mounts[len(table.mounts)-1]
	}
	u, err := m.dir.Create(name, sinkbus.UploadOptions{MediaType: mediaType, Length: -1})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { u.Discard(nil) })
	feed(s.t, u, content)
	return u
}

func feed(t testing.TB, u *sinkbus.Upload, content string) {
	t.Helper()
	if _, err := io.WriteString(u, content); err != nil {
		t.Fatal(err)
	}
}

func commit(t testing.TB, u *sinkbus.Upload) {
	t.Helper()
	if _, _, err := u.Commit(context.Background(), sinkbus.CommitOptions{}); err != nil {
		t.Fatal(err)
	}
}

// reply is what came of a request.
type reply struct {
	status  int // also when it was left to the error routes
	header  http.Header
	body    string
	err     error // what the handler returned
	aborted bool  // whether the response was cut off
	passed  bool  // whether the next handler was called
}

// newRequest returns a request with header lines "Name: value". The length of
// the body is declared.
func newRequest(method, target, body string, header ...string) *http.Request {
	var rd io.Reader
	if body != "" || method == http.MethodPut || method == http.MethodPost || method == http.MethodPatch {
		rd = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, rd)
	for _, line := range header {
		if name, value, ok := strings.Cut(line, ": "); ok {
			r.Header.Add(name, value)
		}
	}
	return r
}

// chunked returns a request whose body has no declared length.
func chunked(method, target string, body io.Reader, header ...string) *http.Request {
	r := newRequest(method, target, "", header...)
	r.Body = io.NopCloser(body)
	if c, ok := body.(io.ReadCloser); ok {
		r.Body = c
	}
	r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
	return r
}

// stripPrefix returns what handle_path does to a path.
func stripPrefix(prefix string) func(string) string {
	return func(path string) string {
		return "/" + strings.TrimPrefix(strings.TrimPrefix(path, prefix), "/")
	}
}

type userKey struct{}

// as has a request made by a user that Caddy authenticated.
func as(r *http.Request, user string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), userKey{}, user))
}

// do makes a request and waits for its end.
func (s *site) do(method, target, body string, header ...string) reply {
	s.t.Helper()
	return s.serve(newRequest(method, target, body, header...))
}

func (s *site) get(target string, header ...string) reply {
	s.t.Helper()
	return s.do(http.MethodGet, target, "", header...)
}

// patience is how long a request may take that ought to end at once.
const patience = 20 * time.Second

// serve is do for a request that is made already.
func (s *site) serve(r *http.Request) reply {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	rec := httptest.NewRecorder()
	got := s.serveTo(rec, rec, r.WithContext(ctx))
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		s.t.Errorf("%s %s: got a response without an end, want one", r.Method, r.URL)
	}
	return got
}

// serveTo has a request answered to w, which writes to rec.
func (s *site) serveTo(w http.ResponseWriter, rec *httptest.ResponseRecorder, r *http.Request) (got reply) {
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				panic(v)
			}
			got.aborted = true
		}
		res := rec.Result()
		res.Body.Close()
		got.header, got.body = res.Header, rec.Body.String()
		got.status = res.StatusCode
		var herr caddyhttp.HandlerError
		if errors.As(got.err, &herr) {
			got.status, got.header = herr.StatusCode, w.Header().Clone()
		}
	}()
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		got.passed = true
		return nil
	})
	h := &Handler{srv: s.Server}
	got.err = h.ServeHTTP(w, s.prepare(w, r), next)
	return got
}

// prepare does what Caddy does with a request on its way to a handler.
func (s *site) prepare(w http.ResponseWriter, r *http.Request) *http.Request {
	repl := caddy.NewReplacer()
	r = caddyhttp.PrepareRequest(r, repl, w, &s.caddy)
	if user, ok := r.Context().Value(userKey{}).(string); ok {
		repl.Set("http.auth.user.id", user)
	}
	if s.rewrite != nil {
		r.URL.Path = s.rewrite(r.URL.Path)
	}
	return r
}

// exchange is a request in progress.
type exchange struct {
	rec  *recorder
	done chan struct{}
	got  reply // once done is closed
}

// recorder is a response that knows what of it has gone out.
type recorder struct {
	*httptest.ResponseRecorder
	flushed int      // bytes of the body
	conn    net.Conn // where the request's body comes from, if that has deadlines
}

// FlushError implements what http.ResponseController asks for.
func (r *recorder) FlushError() error {
	r.ResponseRecorder.Flush()
	r.flushed = r.Body.Len()
	return nil
}

// SetReadDeadline implements what http.ResponseController asks for.
func (r *recorder) SetReadDeadline(t time.Time) error {
	if r.conn == nil {
		return http.ErrNotSupported
	}
	return r.conn.SetReadDeadline(t)
}

// EnableFullDuplex implements what http.ResponseController asks for.
func (r *recorder) EnableFullDuplex() error {
	if r.conn == nil {
		return http.ErrNotSupported
	}
	return nil
}

// start makes a request that does not end at once.
func (s *site) start(r *http.Request) *exchange { return s.startOn(r, nil) }

// startOn is start for a request whose body comes from a connection.
func (s *site) startOn(r *http.Request, conn net.Conn) *exchange {
	rec := &recorder{ResponseRecorder: httptest.NewRecorder(), conn: conn}
	x := &exchange{rec: rec, done: make(chan struct{})}
	go func() {
		defer close(x.done)
		x.got = s.serveTo(rec, rec.ResponseRecorder, r)
	}()
	return x
}

// ended tells whether the request is over.
func (x *exchange) ended() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

// wait waits for the end of the request.
func (x *exchange) wait() reply {
	<-x.done
	return x.got
}

// equal reports two values that differ.
func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %#v, want %#v", what, got, want)
	}
}

// wantReply checks the status and the body of a response.
func wantReply(t testing.TB, what string, got reply, status int, body string) {
	t.Helper()
	equal(t, what+": status", got.status, status)
	equal(t, what+": body", got.body, body)
	equal(t, what+": aborted", got.aborted, false)
}

// wantStatus checks the status of a response, whatever its body.
func wantStatus(t testing.TB, what string, got reply, status int) {
	t.Helper()
	if got.status != status || got.aborted {
		t.Errorf("%s: got %d %q (aborted: %v), want %d", what, got.status, got.body, got.aborted, status)
	}
}

// wantHeader checks header fields, given as "Name: value". Several lines of one
// name are joined by ", ", whatever the case of the name. An empty value means
// that there is none.
func wantHeader(t testing.TB, what string, h http.Header, lines ...string) {
	t.Helper()
	for _, line := range lines {
		name, want, _ := strings.Cut(line, ":")
		var got []string
		for key, values := range h {
			if strings.EqualFold(key, name) {
				got = append(got, values...)
			}
		}
		if strings.Join(got, ", ") != strings.TrimSpace(want) {
			t.Errorf("%s: got %s %q, want %q", what, name, got, strings.TrimSpace(want))
		}
	}
}

// serveFile returns the status of a GET that another handler answers.
func serveFile(h caddyhttp.MiddlewareHandler, target string) int {
	w := httptest.NewRecorder()
	r := caddyhttp.PrepareRequest(newRequest(http.MethodGet, target, ""), caddy.NewReplacer(), w, new(caddyhttp.Server))
	err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil }))
	var herr caddyhttp.HandlerError
	if errors.As(err, &herr) {
		return herr.StatusCode
	}
	return w.Code
}

var nopLogger = zap.NewNop()

// pipe is the sending end of a body.
type pipe struct{ *io.PipeWriter }

// newPipe returns a body and its other end.
func newPipe() (io.ReadCloser, pipe) {
	r, w := io.Pipe()
	return r, pipe{w}
}

// send returns when all has been read.
func (p pipe) send(t testing.TB, content string) {
	t.Helper()
	if _, err := io.WriteString(p, content); err != nil {
		t.Fatal(err)
	}
}
