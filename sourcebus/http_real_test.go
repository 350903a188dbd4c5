package sourcebus

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// oldServer answers each connection as old SHOUTcast servers do, and closes it.
func oldServer(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.WriteString(c, text)
			}
			c.Close()
		}
	}()
	return "http://" + l.Addr().String() + "/;"
}

func TestPullOverRealConnections(t *testing.T) {
	checkLeaks(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "plain") })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 10000)); err != nil {
				return
			}
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	pull := func(u string) *running {
		t.Helper()
		p := &HTTP{URL: u}
		if err := p.Provision(caddy.Context{Context: t.Context()}); err != nil {
			t.Fatal(err)
		}
		return start(t, p, Config{})
	}

	in := pull(server.URL + "/plain")
	in.open("/in").complete("plain")
	in.open("/in").complete("plain")

	in = pull(oldServer(t, "ICY 200 OK\r\nicy-name:Old\r\ncontent-type:audio/mpeg\r\nicy-metaint:4\r\n\r\nabcd"+block("StreamTitle='T';")+"efgh"))
	s := in.open("/in")
	if s.MediaType != "audio/mpeg" || s.Known().ServiceName != "Old" {
		t.Errorf("got type %q and %+v", s.MediaType, s.Known())
	}
	s.complete("abcdefgh")

	// a reader that the writer waits for does not keep the input from ending
	in = pull(server.URL + "/endless")
	s = in.open("/in")
	slow, err := s.NewWholeReader(t.Context(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	in.Suspend()
	s.reader.Close()
	in.want(sinkbus.Completed, "/in")

	for _, http2 := range []bool{false, true} {
		secure := httptest.NewUnstartedServer(mux)
		secure.EnableHTTP2 = http2
		secure.StartTLS()
		t.Cleanup(secure.Close)
		transport := newPullTransport()
		transport.TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		p := &HTTP{URL: secure.URL + "/plain", transport: transport}
		if err := p.Provision(caddy.Context{Context: t.Context()}); err != nil {
			t.Fatal(err)
		}
		start(t, p, Config{}).open("/in").complete("plain")
	}

	in = pull("http://127.0.0.1:1/") // where nobody listens
	in.logs("source failed", 1)
}
