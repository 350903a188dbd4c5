// Package icy knows the header fields in which Icecast, SHOUTcast and their
// encoders and players say what a stream is: icy-* and ice-*, and ice-audio-info.
package icy

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// Properties returns what the header of a source, or of a response to a
// listener, says of the stream. Names come back as sources write them, in lower
// case: ice-genre for icy-genre, too. What cannot be understood is left out, and
// so is what only concerns the connection.
func Properties(h http.Header) sinkbus.Properties {
	said := make(saying)
	for _, prefix := range []string{"icy-", "ice-"} { // the latter count if there are both
		for key, values := range h {
			name, ok := strings.CutPrefix(strings.ToLower(key), prefix)
			if ok && len(values) > 0 {
				if value := Text(values[0]); value != "" {
					said[name] = value
				}
			}
		}
	}
	said.pairs("audio-info")
	said.pairs("video-info")
	p := sinkbus.Properties{
		ServiceName: said["name"],
		SampleRate:  said.number("audio-info samplerate", "samplerate", "sr"),
		Channels:    said.number("audio-info channels", "channels"),
		Bitrate:     bitrate(said.number("audio-info bitrate", "bitrate", "br")),
		Width:       said.number("video-info width"),
		Height:      said.number("video-info height"),
	}
	for name, value := range said {
		switch name {
		case "name", "audio-info", "video-info", "samplerate", "sr", "channels", "bitrate", "br",
			"metaint", "metadata", "reset", "pub", "notice1", "notice2":
			continue
		}
		if strings.Contains(name, " ") {
			continue // of the pairs
		}
		if p.Meta == nil {
			p.Meta = make(map[string]string)
		}
		p.Meta["ice-"+name] = value
	}
	return p
}

// saying is what fields of a header say, by their names without a prefix.
type saying map[string]string

// pairs takes the pairs of a field such as samplerate=44100;channels=2, whose
// names some sources begin with ice-.
func (s saying) pairs(field string) {
	for pair := range strings.SplitSeq(s[field], ";") {
		name, value, ok := strings.Cut(pair, "=")
		if ok {
			name = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "ice-")
			s[field+" "+name] = value
		}
	}
}

// number returns the first of the named that is a positive number, 0 if none is.
// Of a list it takes the first item.
func (s saying) number(names ...string) int {
	for _, name := range names {
		first, _, _ := strings.Cut(s[name], ",")
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

// Text returns a value of a header, or a title, as UTF-8: what is not is taken for Latin-1,
// which such fields often are.
func Text(s string) string {
	s = strings.TrimSpace(s)
	if utf8.ValidString(s) {
		return s
	}
	runes := make([]rune, 0, len(s))
	for _, c := range []byte(s) {
		runes = append(runes, rune(c))
	}
	return string(runes)
}

// SetHeader sets what is known of a stream in the header of a response, with the
// names in lower case, as players look for them.
func SetHeader(h http.Header, known sinkbus.Properties) {
	set := func(name, value string) {
		if value != "" && httpguts.ValidHeaderFieldName(name) && httpguts.ValidHeaderFieldValue(value) {
			h[name] = []string{value}
		}
	}
	for name, value := range known.Meta {
		if !strings.HasPrefix(name, "ice-") {
			continue
		}
		set(name, value)
		switch name {
		case "ice-genre", "ice-description", "ice-url":
			set("icy-"+name[len("ice-"):], value) // as players know them
		}
	}
	set("icy-name", known.ServiceName)
	set("icy-pub", "1")
	if known.Bitrate > 0 {
		set("icy-br", strconv.Itoa((known.Bitrate+500)/1000))
	}
	set("ice-audio-info", list("samplerate", known.SampleRate, "channels", known.Channels, "bitrate", known.Bitrate))
	set("ice-video-info", list("width", known.Width, "height", known.Height))
}

// list writes the values that are known, of pairs of a name and a value.
func list(pairs ...any) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		v, _ := pairs[i+1].(int)
		if v <= 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(';')
		}
		b.WriteString(pairs[i].(string) + "=" + strconv.Itoa(v))
	}
	return b.String()
}
