package sourcebus

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// HeaderProperties returns what the header of an Icecast or SHOUTcast source, or
// of a server's response, says of its stream: the fields whose names begin with
// ice- and icy-. The name becomes the service name; bit rate, sample rate and
// channels are understood where they are numbers; all others are kept under
// their names in lower case. Fields about the protocol are left out.
func HeaderProperties(h http.Header) sinkbus.Properties {
	var p sinkbus.Properties
	info := headerInfo{}
	for name, values := range h {
		name = strings.ToLower(name)
		if len(values) == 0 || !strings.HasPrefix(name, "ice-") && !strings.HasPrefix(name, "icy-") {
			continue
		}
		value := headerText(values[0])
		if value == "" {
			continue
		}
		switch name {
		case "icy-metaint", "icy-metadata", "icy-reset":
			// about this connection
		case "ice-name", "icy-name", "ice-bitrate", "icy-br", "icy-sr", "ice-samplerate", "ice-channels":
			info[name] = value
		case "ice-audio-info":
			info.parse(value)
		default:
			if p.Meta == nil {
				p.Meta = make(map[string]string)
			}
			p.Meta[name] = value
		}
	}
	p.ServiceName = info.text("ice-name", "icy-name")
	p.SampleRate = info.number("audio samplerate", "ice-samplerate", "icy-sr")
	p.Channels = info.number("audio channels", "ice-channels")
	p.Bitrate = bitrate(info.number("audio bitrate", "ice-bitrate", "icy-br"))
	return p
}

// headerInfo is what fields of a header say, by name.
type headerInfo map[string]string

// parse takes the pairs of an ice-audio-info, such as samplerate=44100, whose
// names some sources begin with ice-.
func (i headerInfo) parse(value string) {
	for pair := range strings.SplitSeq(value, ";") {
		name, v, ok := strings.Cut(pair, "=")
		if ok {
			name = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "ice-")
			i["audio "+name] = v
		}
	}
}

// text returns the first of the named that there is.
func (i headerInfo) text(names ...string) string {
	for _, name := range names {
		if v := i[name]; v != "" {
			return v
		}
	}
	return ""
}

// number returns the first of the named that is a positive number, 0 if none is.
// Of a list it takes the first item.
func (i headerInfo) number(names ...string) int {
	for _, name := range names {
		first, _, _ := strings.Cut(i[name], ",")
		if n, err := strconv.ParseUint(strings.TrimSpace(first), 10, 31); err == nil && n > 0 {
			return int(n)
		}
	}
	return 0
}

// bitrate returns bits a second. Sources and servers give kilobits, but some of
// them give bits: no stream that has these fields has so few bits or so many
// kilobits that they could be confused.
func bitrate(n int) int {
	if n < 4000 {
		return n * 1000
	}
	return n
}

// headerText returns a value of a header as UTF-8: what is not is taken for
// Latin-1, which such fields often are.
func headerText(s string) string {
	s = strings.TrimSpace(s)
	if utf8.ValidString(s) {
		return s
	}
	text := make([]rune, 0, len(s))
	for _, c := range []byte(s) {
		text = append(text, rune(c))
	}
	return string(text)
}
