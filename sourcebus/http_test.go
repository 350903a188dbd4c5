package sourcebus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
)

// pipeListener takes connections that are pipes in memory, so that servers can
// be in virtual time.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	close(l.done)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// pull starts an input of a URL that a handler answers, in virtual time. All
// hosts are the handler's.
func pull(t *testing.T, url string, h http.HandlerFunc) *running {
	t.Helper()
	in := preparePull(t, url, h)
	in.Start()
	return in
}

// preparePull is pull without starting it.
func preparePull(t *testing.T, url string, h http.HandlerFunc) *running {
	t.Helper()
	l := &pipeListener{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: h}
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	transport := newPullTransport()
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		l.conns <- theirs
		return &icyConn{Conn: ours}, nil
	}
	p := &HTTP{URL: url, transport: transport}
	if err := p.Provision(caddy.Context{Context: t.Context()}); err != nil {
		t.Fatal(err)
	}
	in := prepare(t, p, Config{})
	in.wait = virtualPatience
	return in
}

// took checks how long it has been, and begins anew.
func took(t *testing.T, began *time.Time, least, most time.Duration) {
	t.Helper()
	if d := time.Since(*began); d < least || d > most {
		t.Errorf("took %v, want %v to %v", d, least, most)
	}
	*began = time.Now()
}

func TestResponsesAreStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		in := pull(t, "http://radio.example/dir/live.mp3?x=1", func(w http.ResponseWriter, r *http.Request) {
			n++
			if r.URL.String() != "/dir/live.mp3?x=1" || r.Header.Get("Icy-Metadata") != "1" || r.Header.Get("Authorization") != "" {
				t.Errorf("got %s with %v", r.URL, r.Header)
			}
			fmt.Fprintf(w, "response %d", n)
		})
		began := time.Now()
		for i := range 4 {
			s := in.open("/in")
			text := fmt.Sprintf("response %d", i+1)
			if s.Length != int64(len(text)) || s.MediaType != "text/plain; charset=utf-8" {
				t.Errorf("got length %d and type %q", s.Length, s.MediaType)
			}
			s.complete(text)
		}
		// each has ended well, so that the next one is not far
		took(t, &began, 3*time.Second, 4500*time.Millisecond)
		if n := in.log.count("source has ended", zap.WarnLevel); n != 0 {
			t.Errorf("got %d warnings", n)
		}
	})
}

func TestTypeOfResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		types := []string{"audio/aacp", "application/octet-stream", "", "*/*"}
		n := 0
		in := pull(t, "http://radio.example/live.ts", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = []string{types[n]}
			n++
			io.WriteString(w, "x")
		})
		for _, want := range []string{"audio/aacp", "video/mp2t", "video/mp2t", "video/mp2t"} {
			s := in.open("/in")
			if s.MediaType != want {
				t.Errorf("got type %q, want %q", s.MediaType, want)
			}
			s.complete("x")
		}
	})
}

func TestRedirectsAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		in := pull(t, "http://user:secret@a.example/one", func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			asked = append(asked, r.Host+r.URL.Path+" "+user+":"+password)
			switch r.Host + r.URL.Path {
			case "a.example/one":
				http.Redirect(w, r, "/two", http.StatusFound)
			case "a.example/two":
				http.Redirect(w, r, "http://b.example/three.aac", http.StatusTemporaryRedirect)
			case "b.example/three.aac":
				w.Header()["Content-Type"] = nil
				io.WriteString(w, "there")
			}
		})
		s := in.open("/in")
		if s.MediaType != "audio/aac" {
			t.Errorf("got type %q", s.MediaType)
		}
		s.complete("there")
		want := "[a.example/one user:secret a.example/two user:secret b.example/three.aac :]"
		if got := fmt.Sprint(asked); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		in.logs("source has ended", 1)
		if strings.Contains(in.log.text(), "secret") {
			t.Errorf("the log has the password: %s", in.log.text())
		}
	})
}

func TestCredentialsAreNotSentUnencrypted(t *testing.T) {
	request := func(url string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, url, nil)
		r.SetBasicAuth("u", "p")
		return r
	}
	for _, tc := range []struct {
		to   string
		via  []string
		want bool
	}{
		{"https://a/", []string{"https://a/"}, true},
		{"http://a/", []string{"http://a/"}, true},
		{"http://a/", []string{"https://a/"}, false},
		{"http://a/2", []string{"https://a/", "http://a/"}, false},
	} {
		var via []*http.Request
		for _, u := range tc.via {
			via = append(via, request(u))
		}
		r := request(tc.to)
		if err := checkRedirect(r, via); err != nil {
			t.Fatal(err)
		}
		if _, _, ok := r.BasicAuth(); ok != tc.want {
			t.Errorf("%v to %s: credentials sent: %v, want %v", tc.via, tc.to, ok, tc.want)
		}
	}
	if checkRedirect(request("http://a/"), make([]*http.Request, 10)) == nil {
		t.Error("redirects go on for ever")
	}
}

func TestCutResponseIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		in := pull(t, "http://radio.example/", func(w http.ResponseWriter, r *http.Request) {
			if n++; n == 1 {
				io.WriteString(w, "some")
				http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
			io.WriteString(w, "whole")
		})
		began := time.Now()
		in.open("/in").broken("EOF")
		s := in.open("/in")
		took(t, &began, time.Second, 1500*time.Millisecond)
		s.complete("whole")
	})
}

func TestSilentResponseIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := pull(t, "http://radio.example/", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "one ")
			http.NewResponseController(w).Flush()
			if pause(r.Context(), 29*time.Second) != nil {
				return
			}
			io.WriteString(w, "two")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		began := time.Now()
		s := in.open("/in")
		s.next("one two")
		took(t, &began, 29*time.Second, 29*time.Second)
		s.broken("nothing has come for 30s")
		took(t, &began, 30*time.Second, 30*time.Second)
		in.open("/in").next("one ")
		took(t, &began, time.Second, 1500*time.Millisecond)
	})
}

func TestServerThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		in := pull(t, "http://radio.example/", func(w http.ResponseWriter, r *http.Request) {
			if n++; n == 1 {
				<-r.Context().Done()
				return
			}
			io.WriteString(w, "there")
		})
		began := time.Now()
		in.open("/in").complete("there")
		took(t, &began, 31*time.Second, 31500*time.Millisecond)
		if got := fmt.Sprint(in.logs("source failed", 1).fields["error"]); !strings.Contains(got, "nothing has come for 30s") {
			t.Errorf("got %q", got)
		}
	})
}

func TestRefusalsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		in := pull(t, "http://radio.example/", func(w http.ResponseWriter, r *http.Request) {
			switch n++; {
			case n <= 4:
				http.NotFound(w, r)
			case n == 5:
				w.Header().Set("Retry-After", "120")
				http.Error(w, "", http.StatusServiceUnavailable)
			case n == 6:
				w.Header().Set("Retry-After", time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat))
				http.Error(w, "", http.StatusTooManyRequests)
			case n == 7:
				w.Header().Set("Retry-After", "120") // means nothing here
				w.WriteHeader(http.StatusNoContent)
			default:
				io.WriteString(w, "there")
			}
		})
		began := time.Now()
		s := in.open("/in")
		least := (1 + 2 + 4 + 8 + 120 + 600 + 20) * time.Second
		took(t, &began, least, least+25*time.Second)
		s.complete("there")
		if n := in.log.count("source failed", zap.WarnLevel); n != 4 {
			t.Errorf("got %d warnings, want one for each reason: %s", n, in.log.text())
		}
		if n := in.log.count("source failed", zap.DebugLevel); n != 3 {
			t.Errorf("got %d repetitions in the log, want 3", n)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "5": 5 * time.Second, " 7 ": 7 * time.Second, "-5": 0, "x": 0, "99999999999999": 0, "86400": time.Hour,
		"Wed, 01 Jan 2020 12:00:30 GMT": 30 * time.Second,
		"Wed, 01 Jan 2020 11:00:00 GMT": 0,
		"Thu, 02 Jan 2020 12:00:00 GMT": time.Hour,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func TestDelaysBetweenTries(t *testing.T) {
	var tries retries
	for i := range 20 {
		d := tries.next()
		if least := min(time.Second<<min(i, 10), 20*time.Second); d < least || d > least*3/2 || d > 30*time.Second {
			t.Errorf("try %d: got %v, want %v to %v", i, d, least, least*3/2)
		}
	}
}

func TestMetadataOfIcecast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := pull(t, "http://radio.example/live", func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "audio/mpeg")
			h.Set("Content-Length", "99999999") // which is not so
			h["icy-name"] = []string{"Radio"}
			h["icy-br"] = []string{"128"}
			h["icy-genre"] = []string{"jazz"}
			h["icy-metaint"] = []string{"10"}
			io.WriteString(w, "0123456789"+block("StreamTitle='A song';")+"0123456789\x00")
			io.WriteString(w, "0123456789"+block("StreamTitle='Another';")+"01")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		s := in.open("/in")
		s.next("01234567890123456789012345678901")
		p := s.Known()
		if s.Length != -1 || s.MediaType != "audio/mpeg" || p.ServiceName != "Radio" || p.Bitrate != 128000 || p.Meta["ice-genre"] != "jazz" {
			t.Errorf("got length %d, type %q, %+v", s.Length, s.MediaType, p)
		}
		if got := in.logs("title", 2).fields["title"]; got != "Another" {
			t.Errorf("got title %q", got)
		}
		in.Suspend()
		s.complete("")
	})
}

func TestPullIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Bool
		in := preparePull(t, "http://radio.example/", func(w http.ResponseWriter, r *http.Request) {
			asked.Store(true)
			io.WriteString(w, "there")
		})
		in.Hold()
		in.Start()
		time.Sleep(time.Hour) // virtual
		if asked.Load() {
			t.Error("the server was asked")
		}
		in.Release()
		in.open("/in").complete("there")
	})
}

func TestReasonHasNoPort(t *testing.T) {
	op := &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 50000}, Err: errors.New("connection reset")}
	for err, want := range map[error]string{
		op: "read: connection reset",
		&url.Error{Op: "Get", URL: "http://a/", Err: op}: "read: connection reset",
		errors.New("else"): "else",
	} {
		if got := reason(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
