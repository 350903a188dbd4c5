package sourcebus

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-httpout/httpout/sinkbus/icy"
)

// maxMetaint is the longest way from one block of metadata to the next that is
// believed.
const maxMetaint = 1 << 24

// metaint returns how many bytes of a body lie between two blocks of metadata, 0
// if it has none.
func metaint(h http.Header) int {
	n, err := strconv.Atoi(strings.TrimSpace(h.Get("Icy-Metaint")))
	if err != nil || n < 0 || n > maxMetaint {
		return 0
	}
	return n
}

// icyReader takes the blocks of metadata out of a body: after each interval of
// the stream comes a byte that tells the size of a block in units of 16 bytes,
// and the block.
type icyReader struct {
	r        io.Reader
	interval int
	title    func(string) // told of each title

	left  int // bytes of the stream until the next block
	block [255 * 16]byte
}

func newICYReader(r io.Reader, interval int, title func(string)) *icyReader {
	return &icyReader{r: r, interval: interval, left: interval, title: title}
}

// Read reads bytes of the stream. A body that ends within a block has ended
// well: the stream has all of its bytes.
func (i *icyReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if i.left == 0 {
		if err := i.readBlock(); err != nil {
			return 0, err
		}
	}
	n, err := i.r.Read(p[:min(len(p), i.left)])
	i.left -= n
	return n, err
}

func (i *icyReader) readBlock() error {
	block := i.block[:1]
	if _, err := io.ReadFull(i.r, block); err != nil {
		return err
	}
	block = i.block[:int(block[0])*16]
	if _, err := io.ReadFull(i.r, block); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) && !i.cut() {
			return io.EOF
		}
		return err
	}
	i.left = i.interval
	if title, ok := streamTitle(block); ok {
		i.title(title)
	}
	return nil
}

// cut tells whether the body itself says that it was cut off, rather than having
// ended.
func (i *icyReader) cut() bool {
	_, err := i.r.Read(make([]byte, 1))
	return !errors.Is(err, io.EOF)
}

// streamTitle returns the title in a block of metadata, if it has one.
func streamTitle(block []byte) (string, bool) {
	_, rest, ok := bytes.Cut(bytes.TrimRight(block, "\x00"), []byte("StreamTitle='"))
	if !ok {
		return "", false
	}
	// a title may have quotes of its own
	title, _, ok := bytes.Cut(rest, []byte("';"))
	if !ok {
		title = bytes.TrimSuffix(rest, []byte("'"))
	}
	return icy.Text(string(title)), true
}

// icyConn is a connection on which old SHOUTcast servers may answer: their
// status line begins with ICY where HTTP has its version.
type icyConn struct {
	net.Conn
	started bool
	first   []byte // what is to be read before the rest
}

var (
	icyStatus  = []byte("ICY ")
	httpStatus = []byte("HTTP/1.0 ")
)

// Read implements net.Conn.
func (c *icyConn) Read(p []byte) (int, error) {
	if !c.started {
		c.started = true
		c.first = make([]byte, len(icyStatus))
		n, err := io.ReadFull(c.Conn, c.first)
		c.first = c.first[:n]
		if bytes.Equal(c.first, icyStatus) {
			c.first = httpStatus
		}
		if err != nil && n == 0 {
			return 0, err
		}
	}
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
