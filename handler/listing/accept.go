package listing

import "strings"

// WantsJSON reports whether a listing is to be JSON rather than HTML, from the
// values of a request's Accept header (RFC 9110 section 12.5.1). JSON it is
// when its weight is the greater one, or the same while JSON is named more
// precisely: for "application/json, */*", but neither for "*/*" nor for
// "text/html, application/json". Ranges that are malformed are ignored.
func WantsJSON(accept []string) bool {
	var html, json preference
	for _, line := range accept {
		for item := range strings.SplitSeq(line, ",") {
			mediaRange, params, _ := strings.Cut(item, ";")
			mediaRange = strings.Trim(mediaRange, " \t")
			q, ok := weight(params)
			if !ok {
				continue
			}
			switch {
			case strings.EqualFold(mediaRange, "text/html"):
				html.note(exact, q)
			case strings.EqualFold(mediaRange, "application/json"):
				json.note(exact, q)
			case strings.EqualFold(mediaRange, "text/*"):
				html.note(anySubtype, q)
			case strings.EqualFold(mediaRange, "application/*"):
				json.note(anySubtype, q)
			case mediaRange == "*/*":
				html.note(anyType, q)
				json.note(anyType, q)
			}
		}
	}
	if json.q != html.q {
		return json.q > html.q
	}
	return json.q > 0 && json.precision > html.precision
}

// The precisions of a media range, the least first.
const (
	anyType = iota + 1
	anySubtype
	exact
)

// preference is what an Accept header says of one media type.
type preference struct {
	precision int
	q         int // thousandths
}

// note takes a media range into account: the most precise one decides, of equal
// ones the greatest weight.
func (p *preference) note(precision, q int) {
	if precision > p.precision || precision == p.precision && q > p.q {
		*p = preference{precision, q}
	}
}

// weight returns the value of the parameter q in thousandths, 1000 without one,
// and false if it is not a valid one (RFC 9110 section 12.4.2).
func weight(params string) (thousandths int, ok bool) {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.Trim(param, " \t"), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		if len(value) == 0 || len(value) > len("0.000") || len(value) > 1 && value[1] != '.' {
			return 0, false
		}
		q, unit := 0, 1000
		for i := range len(value) {
			if i == 1 {
				continue
			}
			if !isDigit(value[i]) {
				return 0, false
			}
			q += int(value[i]-'0') * unit
			unit /= 10
		}
		return q, q <= 1000
	}
	return 1000, true
}
