//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// response parses HTTP/1.1 responses from the pieces in which they arrive.
type response struct {
	toHead  bool // the request was a HEAD
	endless bool // the body may end with the connection: nobody waits for its end

	status int
	size   int64 // body bytes so far
	done   bool  // the response has ended; reset before the next

	stage   stage
	left    int64  // of the body or of the current chunk
	partial []byte // beginning of a head or of a line of framing
	chunked bool
	closing bool // the server will close the connection
}

type stage uint8

const (
	inHead    stage = iota
	inBody          // bytes of the body, or of a chunk
	inSize          // line with a chunk's size
	afterData       // line end after a chunk
	inTrailer
)

const maxHead = 64 << 10

// reset prepares for the next response on the connection.
func (r *response) reset() {
	*r = response{toHead: r.toHead, endless: r.endless, partial: r.partial[:0]}
}

// next consumes the first n bytes of p, of which body is the body's part. It is
// called until p is used up or the response is done.
func (r *response) next(p []byte) (n int, body []byte, err error) {
	switch r.stage {
	case inHead:
		return r.head(p)
	case inBody:
		body = p[:min(int64(len(p)), r.left)]
		r.took(int64(len(body)))
		return len(body), body, nil
	default:
		n, err = r.framing(p)
		return n, nil, err
	}
}

// took accounts for bytes of the body, whether they were looked at or not.
func (r *response) took(n int64) {
	r.size += n
	r.left -= n
	if r.left == 0 {
		if r.chunked {
			r.stage = afterData
		} else {
			r.done = true
		}
	}
}

// skippable returns how many coming bytes are sure to be the body's.
func (r *response) skippable() int64 {
	if r.stage != inBody || r.done {
		return 0
	}
	return r.left
}

var blankLine = []byte("\r\n\r\n")

func (r *response) head(p []byte) (n int, body []byte, err error) {
	head := p
	if len(r.partial) > 0 { // the head came in several pieces
		r.partial = append(r.partial, p...)
		head = r.partial
	}
	end := bytes.Index(head, blankLine)
	if end < 0 {
		if len(head) > maxHead {
			return 0, nil, fmt.Errorf("head is longer than %d bytes", maxHead)
		}
		if len(r.partial) == 0 {
			r.partial = append(r.partial, p...)
		}
		return len(p), nil, nil
	}
	n = len(p) - (len(head) - end - len(blankLine))
	err = r.parseHead(head[:end])
	r.partial = r.partial[:0]
	return n, nil, err
}

func (r *response) parseHead(head []byte) error {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	version, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	status, err := strconv.Atoi(string(code))
	if err != nil || !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		return fmt.Errorf("bad status line %q", line)
	}
	if status/100 == 1 {
		return nil // interim; another head follows
	}
	r.status = status
	r.left = -1
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return fmt.Errorf("bad header line %q", line)
		}
		// the lengths sort out nearly all fields at once
		switch {
		case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
			if r.left, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil || r.left < 0 {
				return fmt.Errorf("bad header line %q", line)
			}
		case len(name) == len("Transfer-Encoding") && bytes.EqualFold(name, []byte("Transfer-Encoding")):
			r.chunked = bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked"))
		case len(name) == len("Connection") && bytes.EqualFold(name, []byte("Connection")):
			r.closing = bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
		}
	}
	switch {
	case r.toHead || status == 204 || status == 304:
		r.done = true
	case r.chunked:
		r.stage = inSize
	case r.left < 0 && r.endless:
		r.stage, r.left = inBody, math.MaxInt64
	case r.left < 0:
		// a body that ends with the connection cannot be told from a cut one
		return fmt.Errorf("status %d with neither a length nor chunks", status)
	default:
		r.stage = inBody
		r.done = r.left == 0
	}
	return nil
}

// framing consumes at most one line of chunk framing.
func (r *response) framing(p []byte) (n int, err error) {
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		if r.partial = append(r.partial, p...); len(r.partial) > maxHead {
			return 0, fmt.Errorf("line is longer than %d bytes", maxHead)
		}
		return len(p), nil
	}
	line := p[:i]
	if len(r.partial) > 0 {
		r.partial = append(r.partial, line...)
		line = r.partial
	}
	r.partial = r.partial[:0]
	line, ok := bytes.CutSuffix(line, []byte("\r"))
	if !ok {
		return 0, fmt.Errorf("line %q does not end in CRLF", line)
	}
	switch r.stage {
	default: // not called for the others
	case inSize:
		size, _, _ := bytes.Cut(line, []byte(";"))
		v, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 64)
		if err != nil || v < 0 {
			return 0, fmt.Errorf("bad chunk size %q", line)
		}
		r.left, r.stage = v, inBody
		if v == 0 {
			r.stage = inTrailer
		}
	case afterData:
		if len(line) > 0 {
			return 0, fmt.Errorf("chunk is followed by %q", line)
		}
		r.stage = inSize
	case inTrailer:
		r.done = len(line) == 0
	}
	return i + 1, nil
}
