// Package icy knows the header fields in which Icecast, SHOUTcast and their
// encoders and players say what a stream is: icy-* and ice-*, and ice-audio-info.
package icy

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// Properties returns what the header of a source, or of a response to a
// listener, says of the stream. What cannot be understood is left out.
func Properties(h http.Header) sinkbus.Properties {
	var p sinkbus.Properties
	for key, values := range h {
		name := strings.ToLower(key)
		if !strings.HasPrefix(name, "ice-") && !strings.HasPrefix(name, "icy-") || len(values) == 0 {
			continue
		}
		value := strings.TrimSpace(values[0])
		if value == "" {
			continue
		}
		switch name {
		case "ice-name", "icy-name":
			p.ServiceName = value
		case "ice-audio-info", "ice-video-info":
			info(&p, value)
		case "icy-br", "ice-bitrate":
			// kb/s, of which some list several
			first, _, _ := strings.Cut(value, ",")
			if n := number(first); p.Bitrate == 0 {
				p.Bitrate = n * 1000
			}
		case "icy-sr":
			p.SampleRate = number(value)
		case "icy-metaint", "icy-metadata", "icy-pub":
			// of one connection, not of the stream
		default:
			if p.Meta == nil {
				p.Meta = make(map[string]string)
			}
			p.Meta["ice-"+name[len("ice-"):]] = value
		}
	}
	return p
}

// info reads a list such as "samplerate=44100;channels=2;bitrate=128000", whose
// names some encoders put "ice-" before. Bit rates below 5000 are in kb/s, as
// those encoders write them.
func info(p *sinkbus.Properties, list string) {
	for item := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ';' || r == ',' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		n := number(value)
		if n == 0 {
			continue
		}
		switch strings.TrimPrefix(strings.ToLower(name), "ice-") {
		case "samplerate":
			p.SampleRate = n
		case "channels":
			p.Channels = n
		case "bitrate":
			if n < 5000 {
				n *= 1000
			}
			p.Bitrate = n
		case "width":
			p.Width = n
		case "height":
			p.Height = n
		}
	}
}

// number returns a positive number, 0 for anything else.
func number(text string) int {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
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
