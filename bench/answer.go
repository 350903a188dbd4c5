//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// answer takes apart what a server sends to one listener. The answer has no end
// that anybody waits for.
type answer interface {
	// take uses up p and hands on the bytes of the body, in order.
	take(p []byte, body func([]byte)) error
	// status returns the status, or 0 before it is known.
	status() int
	// over says whether the server has ended the body.
	over() bool
}

// h1Answer is an answer by HTTP/1.0 or HTTP/1.1.
type h1Answer struct{ resp response }

func newH1Answer() *h1Answer { return &h1Answer{response{endless: true}} }

func (a *h1Answer) status() int { return a.resp.status }
func (a *h1Answer) over() bool  { return a.resp.done }

func (a *h1Answer) take(p []byte, body func([]byte)) error {
	for len(p) > 0 {
		if a.resp.done {
			return fmt.Errorf("%d bytes after the end of the response", len(p))
		}
		n, part, err := a.resp.next(p)
		if err != nil {
			return err
		}
		if len(part) > 0 && a.resp.status == 200 {
			body(part)
		}
		p = p[n:]
	}
	return nil
}

// h2Answer is the answer to the only request of an HTTP/2 connection. The client
// has given the server a window for as much as it may ever send.
type h2Answer struct {
	framer *http2.Framer // reads from frames, writes to the server
	frames bytes.Buffer

	head [9]byte // of the current frame, RFC 9113 section 4.1
	has  int     // bytes of head so far
	left int     // bytes of the frame that are still to come

	code  int
	ended bool
}

func newH2Answer(w io.Writer) *h2Answer {
	a := &h2Answer{}
	a.framer = http2.NewFramer(w, &a.frames)
	a.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	return a
}

func (a *h2Answer) status() int { return a.code }
func (a *h2Answer) over() bool  { return a.ended }

func (a *h2Answer) take(p []byte, body func([]byte)) error {
	for len(p) > 0 {
		if a.has < len(a.head) {
			n := copy(a.head[a.has:], p)
			a.has += n
			p = p[n:]
			if a.has < len(a.head) {
				return nil
			}
			a.left = int(a.head[0])<<16 | int(a.head[1])<<8 | int(a.head[2])
			if !a.direct() {
				a.frames.Write(a.head[:])
			}
		}
		part := p[:min(a.left, len(p))]
		p = p[len(part):]
		a.left -= len(part)
		if !a.direct() {
			a.frames.Write(part)
		} else if a.code == 200 && len(part) > 0 {
			body(part)
		}
		if a.left > 0 {
			continue
		}
		a.has = 0
		if a.direct() {
			a.ended = a.ended || a.flags().Has(http2.FlagDataEndStream)
		} else if err := a.frame(body); err != nil {
			return err
		}
	}
	return nil
}

func (a *h2Answer) kind() http2.FrameType { return http2.FrameType(a.head[3]) }
func (a *h2Answer) flags() http2.Flags    { return http2.Flags(a.head[4]) }

// direct says whether the frame's payload is nothing but the body, so that it
// is handed on as it comes.
func (a *h2Answer) direct() bool {
	return a.kind() == http2.FrameData && !a.flags().Has(http2.FlagDataPadded)
}

// frame handles any other frame, which has been read.
func (a *h2Answer) frame(body func([]byte)) error {
	switch a.kind() {
	default:
	case http2.FrameHeaders, http2.FrameContinuation:
		if !a.flags().Has(http2.FlagHeadersEndHeaders) {
			return nil // the framer wants them all
		}
	}
	f, err := a.framer.ReadFrame()
	if err != nil {
		return fmt.Errorf("reading a frame: %w", err)
	}
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		code, err := strconv.Atoi(f.PseudoValue("status"))
		if err != nil && a.code == 0 {
			return errors.New("a response without a status")
		}
		if a.code == 0 && code/100 != 1 {
			a.code = code
		}
		a.ended = a.ended || f.StreamEnded()
	case *http2.DataFrame:
		if a.code == 200 {
			body(f.Data())
		}
		a.ended = a.ended || f.StreamEnded()
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return a.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return a.framer.WritePing(true, f.Data)
		}
	case *http2.RSTStreamFrame:
		return fmt.Errorf("the server reset the stream: %v", f.ErrCode)
	case *http2.GoAwayFrame:
		if f.ErrCode != http2.ErrCodeNo {
			return fmt.Errorf("the server closes the connection: %v %s", f.ErrCode, f.DebugData())
		}
	}
	return nil
}

// h1Request returns the bytes by which a listener asks for a path.
func h1Request(addr netip.AddrPort, path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", path, addr)
}

// h2Request returns the same for HTTP/2: all that the client says of itself.
func h2Request(addr netip.AddrPort, path string) ([]byte, error) {
	const window = 1<<31 - 1 // the largest; nothing comes near it in a cell
	var fields, out bytes.Buffer
	enc := hpack.NewEncoder(&fields)
	out.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&out, nil)
	var err error
	for _, f := range [][2]string{
		{":method", "GET"},
		{":scheme", "https"},
		{":authority", addr.String()},
		{":path", path},
		{"user-agent", "bench"},
		{"accept", "*/*"},
	} {
		err = errors.Join(err, enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	err = errors.Join(err,
		fr.WriteSettings(
			http2.Setting{ID: http2.SettingEnablePush, Val: 0},
			http2.Setting{ID: http2.SettingInitialWindowSize, Val: window},
		),
		fr.WriteWindowUpdate(0, window-65535),
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields.Bytes(), EndStream: true, EndHeaders: true}),
	)
	return out.Bytes(), err
}
