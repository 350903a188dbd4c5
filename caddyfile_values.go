package httpout

import (
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/net/http/httpguts"

	"github.com/caddyserver/caddy/v2"
)

// parseBool parses the arguments of a switch, which is on when it stands alone.
func parseBool(args []string) (bool, error) {
	if len(args) == 0 {
		return true, nil
	}
	switch args[0] {
	case "on", "true", "yes":
		return true, nil
	case "off", "false", "no":
		return false, nil
	default:
		return false, fmt.Errorf("'%s' is neither on nor off", args[0])
	}
}

// parseSize parses a number of bytes: 50000, 50M, 50MB (both decimal) or 50MiB.
func parseSize(text string) (int64, error) {
	v, err := humanize.ParseBytes(text)
	if err != nil {
		return 0, fmt.Errorf("'%s' is not a size: want bytes, such as 50000, 50MB or 50MiB", text)
	}
	if v > math.MaxInt64 {
		return 0, fmt.Errorf("'%s' is too large", text)
	}
	return int64(v), nil
}

// parseRate parses a number of one or more: 44100, 44.1k or 5M (both decimal).
func parseRate(text string) (int, error) {
	digits, unit := text, 1.0
	switch {
	case strings.HasSuffix(text, "k"), strings.HasSuffix(text, "K"):
		digits, unit = text[:len(text)-1], 1e3
	case strings.HasSuffix(text, "M"):
		digits, unit = text[:len(text)-1], 1e6
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || strings.Trim(digits, "0123456789.") != "" {
		return 0, fmt.Errorf("'%s' is not a number, such as 128000 or 128k", text)
	}
	v = math.Round(v * unit)
	switch {
	case v < 1:
		return 0, fmt.Errorf("'%s' is less than 1", text)
	case v > math.MaxInt32:
		return 0, fmt.Errorf("'%s' is too large", text)
	}
	return int(v), nil
}

// parseMediaType checks a media type, which may have parameters.
func parseMediaType(text string) error {
	name, _, err := mime.ParseMediaType(text)
	if err != nil || !strings.Contains(name, "/") {
		return fmt.Errorf("'%s' is not a media type, such as audio/mpeg", text)
	}
	return nil
}

// parseExt returns a file name extension without its dot.
func parseExt(text string) (string, error) {
	ext := strings.TrimPrefix(text, ".")
	if ext == "" || strings.ContainsAny(ext, "./\\") {
		return "", fmt.Errorf("'%s' is not a file name extension, such as mp3", text)
	}
	return ext, nil
}

// checkInputName refuses what cannot be the name of an input.
func checkInputName(name string) error {
	if name == "" {
		return errors.New("the name of the input is empty")
	}
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.ContainsRune("-_.", c):
		default:
			return fmt.Errorf("'%s' cannot be the name of an input: it may have letters, digits, '-', '_' and '.'", name)
		}
	}
	return nil
}

// parseCount parses a number of things.
func parseCount(text string) (int, error) {
	v, err := strconv.ParseUint(text, 10, 31)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("'%s' is too large", text)
	}
	if err != nil {
		return 0, fmt.Errorf("'%s' is not a number of 0 or more", text)
	}
	return int(v), nil
}

// parseDuration parses plain seconds, as the reference has them, or a duration
// with units, as Caddy has them.
func parseDuration(text string) (time.Duration, error) {
	if strings.Trim(text, "0123456789.") == "" {
		secs, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, fmt.Errorf("'%s' is not a duration: want seconds, such as 30, or 1m30s", text)
		}
		if secs >= math.MaxInt64/float64(time.Second) {
			return 0, fmt.Errorf("'%s' is too large", text)
		}
		return time.Duration(secs * float64(time.Second)), nil
	}
	d, err := caddy.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("'%s' is not a duration: want seconds, such as 30, or 1m30s", text)
	}
	if d < 0 {
		return 0, fmt.Errorf("'%s' is negative", text)
	}
	return d, nil
}

// checkHeader reports whether a field may be set on every response.
func checkHeader(name, value string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return fmt.Errorf("%q is not the name of a header field", name)
	}
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding":
		return fmt.Errorf("%s tells how long the body is, and cannot be set", name)
	}
	if !httpguts.ValidHeaderFieldValue(value) {
		return fmt.Errorf("%q cannot be the value of a header field", value)
	}
	return nil
}

// parseReqLog checks a list of methods, and writes it the way the handler
// reads it: in upper case and without blanks.
func parseReqLog(text string) (string, error) {
	list, noEnd := strings.CutPrefix(strings.TrimSpace(text), "-")
	items := strings.Split(list, ",")
	for i, item := range items {
		item = strings.ToUpper(strings.TrimSpace(item))
		switch item {
		case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodPatch,
			http.MethodDelete, http.MethodOptions, "SOURCE", "REC", "*":
			items[i] = item
		case "":
			return "", errors.New("the list has an empty item")
		default:
			if strings.HasPrefix(item, "-") {
				return "", errors.New("the prefix '-' stands once, before the whole list")
			}
			return "", fmt.Errorf("unknown method '%s': want GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS, SOURCE, REC or *", item)
		}
	}
	list = strings.Join(items, ",")
	if noEnd {
		list = "-" + list
	}
	return list, nil
}

// parsePorts parses one port, or two for HTTP and HTTPS. 0 stands for the default.
func parsePorts(args []string) ([]int, error) {
	var ports []int
	for text := range strings.SplitSeq(strings.Join(args, ","), ",") {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("'%s' is not a port: want a number up to 65535", text)
		}
		ports = append(ports, int(port))
	}
	switch {
	case len(ports) > 2:
		return nil, errors.New("want at most two ports, for HTTP and for HTTPS")
	case len(ports) == 2 && ports[0] == ports[1]:
		return nil, fmt.Errorf("port %d is given twice", ports[0])
	}
	return ports, nil
}

// aliases are words that users of other servers may try.
var aliases = map[string]string{
	"browse":   "dlist",
	"header":   "hdrs",
	"headers":  "hdrs",
	"log":      "reqlog",
	"root":     "rdirs",
	"tls":      "cert",
	"max_size": "maxs",
}

// suggestion returns what a user may have meant by an unknown word, as the end
// of an error text; it is empty if nothing comes close.
func suggestion(word string) string {
	// options separated as on the reference's command line
	if name, value, ok := strings.Cut(word, "="); ok && optionNamed(name) != nil {
		return fmt.Sprintf(", write '%s %s'", name, value)
	}

	return meant(closestOption(word))
}

// meant returns the end of an error text that proposes a name, if it is one.
func meant(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean '%s'?", name)
}

// closestOption returns the option whose name is spelt much like the word, or
// that does what the word means elsewhere; it is empty if there is none.
func closestOption(word string) string {
	if name := aliases[word]; name != "" {
		return name
	}
	names := make([]string, len(options))
	for i := range options {
		names[i] = options[i].name
	}
	return closest(word, names)
}

// closest returns the name that is spelt much like the word, empty if none is.
func closest(word string, names []string) string {
	plain := strings.NewReplacer("-", "", "_", "")
	word = plain.Replace(strings.ToLower(word))
	best, distance := "", 3
	for _, name := range names {
		short := plain.Replace(name)
		// a short name must not be guessed from nothing in common
		limit := min(distance, 1+len(short)/3)
		if d := editDistance(word, short); d < limit {
			best, distance = name, d
		}
	}
	return best
}

// editDistance returns how many letters must be added, removed or replaced to
// turn one word into the other.
func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a) // no name is that long
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
