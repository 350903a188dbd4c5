package encoding

import "strings"

// Encoding is a content coding (RFC 9110 section 8.4.1).
type Encoding uint8

// The content codings, the ones that are preferred first. Identity is none at
// all, and the zero value.
const (
	Identity Encoding = iota
	Zstd              // RFC 8878
	Gzip              // RFC 1952
	Deflate           // the zlib format of RFC 1950, not bare RFC 1951

	count
)

var names = [count]string{"identity", "zstd", "gzip", "deflate"}

// String returns the coding's name, as in Content-Encoding.
func (e Encoding) String() string {
	if e >= count {
		return "unknown"
	}
	return names[e]
}

// Negotiate returns the content coding to use for a request with the given
// Accept-Encoding (RFC 9110 section 12.5.3; several lines of it are joined by
// commas): the acceptable one of the greatest weight, and of equal ones zstd
// before gzip before deflate. It is Identity if there is none, if the client
// gives identity a greater weight, or if the field is missing; a client that
// refuses even that gets it all the same.
//
// Items that are malformed or unknown are ignored; of items that name the same
// coding the last one counts.
func Negotiate(acceptEncoding string) Encoding {
	const notListed = -1
	weights := [count]int{notListed, notListed, notListed, notListed}
	others := notListed // of "*"

	for rest := acceptEncoding; rest != ""; {
		var item string
		item, rest, _ = strings.Cut(rest, ",")
		coding, params, hasParams := strings.Cut(item, ";")
		coding = trim(coding)
		q := 1000
		if hasParams {
			var ok bool
			if q, ok = weight(params); !ok {
				continue
			}
		}
		if coding == "*" {
			others = q
		} else if e, ok := byName(coding); ok {
			weights[e] = q
		}
	}

	best, most := Identity, 0
	for e := Zstd; e < count; e++ {
		w := weights[e]
		if w == notListed {
			w = others
		}
		if w > most {
			best, most = e, w
		}
	}
	// a "*" alone says nothing of identity: it is to allow codings
	if weights[Identity] > most {
		return Identity
	}
	return best
}

// byName returns the encoding of a name in Accept-Encoding.
func byName(coding string) (e Encoding, ok bool) {
	switch len(coding) {
	case len("gzip"):
		if strings.EqualFold(coding, "gzip") {
			return Gzip, true
		}
		return Zstd, strings.EqualFold(coding, "zstd")
	case len("x-gzip"): // RFC 9110 section 8.4.1.3
		return Gzip, strings.EqualFold(coding, "x-gzip")
	case len("deflate"):
		return Deflate, strings.EqualFold(coding, "deflate")
	case len("identity"):
		return Identity, strings.EqualFold(coding, "identity")
	}
	return 0, false
}

// weight returns a qvalue in thousandths, and false if the parameters are
// anything but one (RFC 9110 section 12.4.2).
func weight(params string) (thousandths int, ok bool) {
	params = trim(params)
	if len(params) < len("q=0") || params[0]|0x20 != 'q' || params[1] != '=' {
		return 0, false
	}
	value := params[2:]
	if len(value) > len("0.000") || len(value) > 1 && value[1] != '.' {
		return 0, false
	}
	unit := 1000
	for i := range len(value) {
		if i == 1 {
			continue
		}
		c := value[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		thousandths += int(c-'0') * unit
		unit /= 10
	}
	return thousandths, thousandths <= 1000
}

// trim removes optional white space (RFC 9110 section 5.6.3).
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
