package caddytest_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// startRadio starts a server that takes encoders and serves their listeners,
// with the given options of the sink.
func startRadio(t testing.TB, sink string) *server {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(sourcePassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, setup{
		// liquidsoap names no host in TLS
		global: `
	default_sni localhost
	httpout {
		input radio upload
	}
`,
		sites: `
http://:{$HTTP} https://localhost:{$HTTPS} {
	@source method PUT POST SOURCE
	basic_auth @source {
		` + sourceUser + ` ` + string(hash) + `
	}
	httpout {
		hmode source
		input radio
	}
	httpout {
		input radio
		` + sink + `
		maxc 0
		maxp 0
	}
}
`})
}

// mount is a mount of the server.
func (s *server) mount(port, path string) mount {
	m := mount{host: "127.0.0.1", port: s.ports[port], path: path}
	if port == "HTTPS" {
		m.host, m.secure = "localhost", true
		m.ca = filepath.Join(s.dir, "data/caddy/pki/authorities/local/root.crt")
	}
	return m
}

// TestEncoders has every encoder feed a mount that listeners decode, from its
// beginning, while it goes on, and late.
func TestEncoders(t *testing.T) {
	t.Parallel()
	s := startRadio(t, "ice")
	for _, e := range encoders {
		t.Run(e.name+"."+e.format, func(t *testing.T) {
			t.Parallel()
			testEncoder(t, s, e, "HTTP")
		})
	}
}

// TestEncodersTLS does the same with the encoders that can speak TLS.
func TestEncodersTLS(t *testing.T) {
	t.Parallel()
	s := startRadio(t, "ice")
	for _, e := range secureEncoders {
		t.Run(e.name+"."+e.format, func(t *testing.T) {
			t.Parallel()
			testEncoder(t, s, e, "HTTPS")
		})
	}
}

func testEncoder(t *testing.T, s *server, e encoder, port string) {
	path := "/" + e.name + "." + e.format
	url := s.url("HTTP", path)
	p := e.start(t, s.mount(port, path))
	p.awaitMount(t, url, hasType(e.mediaType()))
	whole := follow(t, newClient(t, plain), url).record(1 << 24)
	wantTone(t, "a listener", url, 3)

	late := follow(t, newClient(t, plain), url)
	wantStation(t, late.resp.Header, e.format)
	n := map[string]int64{"mp3": 40_000, "ogg": 12_000}[e.format]
	wantCodec(t, "late", late.record(n).file(t, "late"), toneCodec[e.format])

	p.stop(t)
	file := whole.file(t, "the first listener")
	wantCodec(t, "the first listener", file, toneCodec[e.format])
	wantTone(t, "the first listener", file, 4)
	wantNoMount(t, url)
}

// wantStation checks what a listener is told of the station.
func wantStation(t testing.TB, h http.Header, format string) {
	t.Helper()
	want := map[string]string{"Icy-Name": stationName, "Ice-Genre": stationGenre, "Icy-Pub": "1"}
	if format == "mp3" {
		want["Icy-Br"] = "128"
		want["Ice-Audio-Info"] = "samplerate=44100;channels=2;bitrate=128000"
	}
	for name, value := range want {
		equal(t, name, h.Get(name), value)
	}
	equal(t, "Icy-Metadata", h.Get("Icy-Metadata"), "") // a player's, which ffmpeg sends
}

// wantCodec has ffmpeg decode all of a file, which must have nothing but one
// stream of the given codec.
func wantCodec(t testing.TB, what, file, codec string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), tool(t, "ffprobe"), "-v", "error",
		"-show_entries", "stream=codec_name,sample_rate,channels", "-of", "csv=p=0", file).CombinedOutput()
	if err != nil {
		t.Errorf("%s: ffprobe: %v", what, err)
	}
	equal(t, what+": ffprobe", string(out), codec+",44100,2\n")
	out, err = exec.CommandContext(t.Context(), tool(t, "ffmpeg"), "-nostdin", "-v", "error", "-xerror",
		"-i", file, "-f", "null", "-").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%s: decoding: %v\n%s", what, err, out)
	}
}

// TestEncoderRefused has encoders send with a wrong password: they must be told,
// and nothing must appear.
func TestEncoderRefused(t *testing.T) {
	t.Parallel()
	s := startRadio(t, "ice")
	for _, tc := range []struct {
		encoder
		complaint string
	}{
		{encoderNamed("ffmpeg"), "401 Unauthorized"},
		{encoderNamed("shout"), "Login failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := s.mount("HTTP", "/refused."+tc.format)
			m.format, m.tone = tc.format, toneFile(t, tc.format)
			cmd := tc.command(t, tool(t, tc.program), m)
			for i, arg := range cmd.Args {
				cmd.Args[i] = strings.ReplaceAll(arg, sourcePassword, "wrong")
			}
			out := startProgram(t, cmd).wantFailure(t, wait)
			contains(t, "what it wrote", out, tc.complaint)
			equal(t, "status", do(t, newClient(t, plain), http.MethodGet, s.url("HTTP", m.path), "").status, http.StatusNotFound)
		})
	}
}

// TestEncoderReturns has one encoder follow another: who listens to where the
// newest one is heard stays, and hears both.
func TestEncoderReturns(t *testing.T) {
	t.Parallel()
	s := startRadio(t, "dst /live.mp3\nice\nreopen")
	url := s.url("HTTP", "/live.mp3")
	// a tag, as it begins with otherwise, is not audio
	e := encoder{"ffmpeg", "mp3", "ffmpeg", ffmpegSource()}
	first := e.start(t, s.mount("HTTP", "/studio.mp3"))
	first.awaitMount(t, url, hasType(e.mediaType()))
	heard := follow(t, newClient(t, plain), url).record(1 << 24)
	wantTone(t, "a listener of the first", url, 2)
	first.stop(t)
	before := heard.size()

	second := e.start(t, s.mount("HTTP", "/outside.mp3"))
	wantTone(t, "a listener of the second", url, 2)
	await(t, wait, "two seconds of the second", func() error {
		if n := heard.size() - before; n < 2*128_000/8 {
			return fmt.Errorf("got %d bytes of it", n)
		}
		return nil
	})
	wantCodec(t, "who heard both", heard.cut(t), "mp3")
	second.stop(t)
}

// TestSourceByHand sends what encoders send, byte by byte. They read a response
// before the body or not at all; more than they read would make their close a
// reset.
func TestSourceByHand(t *testing.T) {
	t.Parallel()
	s := startRadio(t, "ice")
	auth := basic(sourceUser, sourcePassword)
	for _, tc := range []struct {
		name, request string
		want          string // the response to it, if it is to be waited for
		reset         bool
	}{
		{"source", "SOURCE {} HTTP/1.0\nContent-Type: audio/mpeg\n", "200", false},
		{"source-impatient", "SOURCE {} HTTP/1.0\nContent-Type: audio/mpeg\n", "", false},
		{"source-reset", "SOURCE {} HTTP/1.0\nContent-Type: audio/mpeg\n", "200", true},
		{"put", "PUT {} HTTP/1.1\nContent-Type: audio/mpeg\nExpect: 100-continue\n", "100", false},
		{"put-old", "PUT {} HTTP/1.0\nContent-Type: audio/mpeg\nExpect: 100-continue\n", "100", false},
		{"put-impatient", "PUT {} HTTP/1.1\nContent-Type: audio/mpeg\n", "", false},
		{"put-reset", "PUT {} HTTP/1.1\nContent-Type: audio/mpeg\nExpect: 100-continue\n", "100", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			testByHand(t, s, tc.name, tc.request+auth+"\n\n", tc.want, tc.reset)
		})
	}
}

func testByHand(t *testing.T, s *server, name, request, want string, reset bool) {
	path := "/" + name + ".mp3"
	c := dial(t, s.addr("HTTP"))
	c.send(rawText(strings.Replace(request, "{}", path, 1)))
	if want != "" {
		c.wantHead(want)
	}
	// a frame at a time, until a listener has joined
	frame := toneFrames(t)
	c.send(frame())
	f := follow(t, newClient(t, plain), s.url("HTTP", path))
	heard := f.record(1 << 24)
	await(t, wait, "bytes for the listener", func() error {
		c.send(frame())
		if heard.size() == 0 {
			return errors.New("there are none")
		}
		return nil
	})
	if reset {
		if err := c.Conn.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	err := heard.end(t, "the listener")
	if reset && err == nil {
		t.Error("the listener's response ended well, want it to be aborted")
	}
	if !reset && err != nil {
		t.Errorf("the listener's response ended with %v, want a good end", err)
	}
	wantNoMount(t, s.url("HTTP", path))
}

// wantHead reads the head of a response, which must have the given status.
func (c *rawConn) wantHead(status string) {
	c.t.Helper()
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		line, err := c.rd.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			c.t.Fatalf("reading a head: got %q: %v", &head, err)
		}
	}
	_, rest, _ := strings.Cut(head.String(), " ")
	if !strings.HasPrefix(rest, status+" ") {
		c.t.Fatalf("got the head %q, want status %s", &head, status)
	}
}

// toneFrames returns a function that returns one frame of the tone after another.
func toneFrames(t testing.TB) func() string {
	t.Helper()
	data, err := os.ReadFile(toneFile(t, "mp3"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), frameMark)
	return func() string {
		var frame string
		frame, rest, _ = strings.Cut(rest, frameMark)
		return frameMark + frame
	}
}

// TestSourceProbe sends what libshout sends first, without credentials: a source
// of no length, which must not open a stream, on a connection that is used again.
func TestSourceProbe(t *testing.T) {
	t.Parallel()
	s := startRadio(t, "ice")
	auth := basic(sourceUser, sourcePassword)
	for _, tc := range []struct {
		name, request string
		status        []int
	}{
		{"source", "SOURCE {} HTTP/1.0\n", []int{401}},
		{"put", "PUT {} HTTP/1.1\n", []int{401}},
		// as it is where anybody may send
		{"source-open", "SOURCE {} HTTP/1.0\n" + auth + "\n", []int{200, 201}},
		{"put-open", "PUT {} HTTP/1.1\n" + auth + "\n", []int{200, 201}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url := s.url("HTTP", "/"+tc.name+".mp3")
			heard := newClient(t, plain)
			c := dial(t, s.addr("HTTP"))
			c.send(rawText(strings.Replace(tc.request, "{}", "/"+tc.name+".mp3", 1) +
				"Content-Type: audio/mpeg\nContent-Length: 0\nConnection: Keep-Alive\nice-name: no name\nPrefer: return=minimal\n\n"))
			r := c.want("SOURCE")
			if !slices.Contains(tc.status, r.status) {
				t.Errorf("status: got %d, want %v", r.status, tc.status)
			}
			equal(t, "Content-Length", r.header.Get("Content-Length"), "0")
			equal(t, "status of GET", do(t, heard, http.MethodGet, url, "").status, http.StatusNotFound)
		})
	}
	// before that it asks whether there is TLS
	r := raw(t, s.addr("HTTP"), "OPTIONS * HTTP/1.1\nConnection: Upgrade\nUpgrade: TLS/1.0, HTTP/1.1\n\n")
	equal(t, "status of OPTIONS *", r.status, http.StatusOK)
}
