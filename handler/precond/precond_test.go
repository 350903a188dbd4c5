package precond

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

var (
	modTime = time.Date(2026, time.March, 1, 12, 0, 0, 300e6, time.UTC)
	now     = modTime.Add(time.Hour)

	before = httpDate(modTime.Add(-time.Second))
	same   = httpDate(modTime)
	after  = httpDate(modTime.Add(time.Second))
)

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// header makes a header of names and values in turn.
func header(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestEvaluate(t *testing.T) {
	const (
		im    = "If-Match"
		ius   = "If-Unmodified-Since"
		inm   = "If-None-Match"
		ims   = "If-Modified-Since"
		ir    = "If-Range"
		get   = http.MethodGet
		head  = http.MethodHead
		put   = http.MethodPut
		post  = http.MethodPost
		patch = http.MethodPatch
		del   = http.MethodDelete
	)
	var (
		file    = Resource{Exists: true, ETag: `"v1"`, ModTime: modTime, Now: now}
		weak    = Resource{Exists: true, ETag: `W/"v1"`, ModTime: modTime, Now: now}
		noTag   = Resource{Exists: true, ModTime: modTime, Now: now}
		noDate  = Resource{Exists: true, ETag: `"v1"`, Now: now}
		epoch   = Resource{Exists: true, ETag: `"v1"`, ModTime: time.Unix(0, 0), Now: now}
		live    = Resource{Exists: true, Now: now} // a stream: neither tag nor date
		encoded = Resource{Exists: true, ETag: `"v1.gzip"`, ModTime: modTime, Now: now}
		nothing = Resource{Now: now}

		proceed  = Result{}
		useRange = Result{UseRange: true}
	)
	notModified := func(field string) Result { return Result{Outcome: NotModified, Field: field} }
	failed := func(field string) Result { return Result{Outcome: PreconditionFailed, Field: field} }

	for _, tc := range []struct {
		name   string // with the section of RFC 9110
		method string
		header http.Header
		res    Resource
		want   Result
	}{
		{"13.2.2 none", get, nil, file, proceed},
		{"13.2.2 none, write", put, header(), file, proceed},

		// step 1
		{"13.1.1 tag matches", get, header(im, `"v1"`), file, proceed},
		{"13.1.1 tag does not match", get, header(im, `"v2"`), file, failed(im)},
		{"13.1.1 tag does not match, HEAD", head, header(im, `"v2"`), file, failed(im)},
		{"13.1.1 tag does not match, PUT", put, header(im, `"v2"`), file, failed(im)},
		{"13.1.1 tag does not match, POST", post, header(im, `"v2"`), file, failed(im)},
		{"13.1.1 tag does not match, PATCH", patch, header(im, `"v2"`), file, failed(im)},
		{"13.1.1 tag does not match, DELETE", del, header(im, `"v2"`), file, failed(im)},
		{"13.1.1 tag does not match, other method", "SOURCE", header(im, `"v2"`), file, failed(im)},
		{"13.1.1 tag matches, PUT", put, header(im, `"v1"`), file, proceed},
		{"13.1.1 tag matches, DELETE", del, header(im, `"v1"`), file, proceed},
		{"13.1.1 one of the list", put, header(im, `"v0", "v1"`), file, proceed},
		{"5.3 one of the lines", put, header(im, `"v0"`, im, `"v1"`), file, proceed},
		{"13.1.1 none of the list", put, header(im, `"v0", "v2"`), file, failed(im)},
		{"13.1.1 any", put, header(im, `*`), file, proceed},
		{"13.1.1 any, no tag", get, header(im, `*`), live, proceed},
		{"13.1.1 any, nothing there", put, header(im, `*`), nothing, failed(im)},
		{"13.1.1 any, nothing there, PATCH", patch, header(im, `*`), nothing, failed(im)},
		{"13.1.1 any, nothing there, DELETE", del, header(im, `*`), nothing, failed(im)},
		{"13.1.1 tag, nothing there", put, header(im, `"v1"`), nothing, failed(im)},
		{"13.1.1 tag, resource has none", put, header(im, `"v1"`), noTag, failed(im)},
		{"13.1.1 strong comparison, client's is weak", put, header(im, `W/"v1"`), file, failed(im)},
		{"13.1.1 strong comparison, ours is weak", put, header(im, `"v1"`), weak, failed(im)},
		{"13.1.1 strong comparison, both are weak", put, header(im, `W/"v1"`), weak, failed(im)},
		{"13.1.1 malformed", put, header(im, `v1`), file, failed(im)},
		{"13.1.1 malformed, any among tags", put, header(im, `"v0", *`), file, failed(im)},
		{"13.1.1 malformed, any with more", put, header(im, `*, "v0"`), file, failed(im)},
		{"13.1.1 malformed after the match", put, header(im, `"v1", v2`), file, proceed},
		{"13.1.1 malformed before the match", put, header(im, `v2, "v1"`), file, failed(im)},
		{"13.1.1 list of nothing", put, header(im, `,`), file, failed(im)},
		{"13.1.1 empty counts as absent", put, header(im, ` `), file, proceed},
		{"13.1.1 reference's tag without quotes", put, header(im, `1795328325912707`), file, failed(im)},

		// Caddy's encode handler and our own compression
		{"8.8.3.3 If-Match of encode, PUT", put, header(im, `"v1-gzip"`), file, proceed},
		{"8.8.3.3 If-Match of encode, PATCH", patch, header(im, `"v1-zstd"`), file, proceed},
		{"8.8.3.3 If-Match of encode, DELETE", del, header(im, `"v0", "v1-br"`), file, proceed},
		{"8.8.3.3 If-Match of our own encoding, PUT", put, header(im, `"v1.deflate"`), file, proceed},
		{"8.8.3.3 If-Match of encode, other version", put, header(im, `"v2-gzip"`), file, failed(im)},
		{"8.8.3.3 If-Match of encode, weak", put, header(im, `W/"v1-gzip"`), file, failed(im)},
		{"8.8.3.3 If-Match of encode, GET", get, header(im, `"v1-gzip"`), file, failed(im)},
		{"8.8.3.3 If-None-Match of encode, PUT", put, header(inm, `"v1-gzip"`), file, failed(inm)},
		{"8.8.3.3 If-None-Match of encode, GET", get, header(inm, `"v1-gzip"`), file, proceed},
		{"8.8.3.3 If-None-Match of our own encoding, GET", get, header(inm, `"v1.gzip"`), encoded, notModified(inm)},
		{"8.8.3.3 If-None-Match of identity, GET encoded", get, header(inm, `"v1"`), encoded, proceed},
		{"8.8.3.3 If-Range of encode", get, header("Range", "bytes=0-1", ir, `"v1-gzip"`), file, proceed},

		// step 2
		{"13.1.4 not modified", put, header(ius, same), file, proceed},
		{"13.1.4 not modified, later date", put, header(ius, after), file, proceed},
		{"13.1.4 modified", put, header(ius, before), file, failed(ius)},
		{"13.1.4 modified, DELETE", del, header(ius, before), file, failed(ius)},
		{"13.1.4 modified, GET", get, header(ius, before), file, failed(ius)},
		{"13.1.4 modified, HEAD", head, header(ius, before), file, failed(ius)},
		{"13.1.4 invalid date is ignored", put, header(ius, "yesterday"), file, proceed},
		{"13.1.4 two dates are ignored", put, header(ius, before, ius, before), file, proceed},
		{"13.1.4 list of dates is ignored", put, header(ius, before+", "+before), file, proceed},
		{"13.1.4 no date known", put, header(ius, before), noDate, proceed},
		{"13.1.4 epoch is no date", put, header(ius, before), epoch, proceed},
		{"13.1.4 nothing there", put, header(ius, before), nothing, proceed},
		{"13.1.4 If-Match comes first", put, header(im, `"v1"`, ius, before), file, proceed},
		{"13.1.4 If-Match comes first and fails", put, header(im, `"v2"`, ius, after), file, failed(im)},
		{"5.6.7 RFC 850 date", put, header(ius, "Sunday, 01-Mar-26 11:59:59 GMT"), file, failed(ius)},
		{"5.6.7 asctime date", put, header(ius, "Sun Mar  1 11:59:59 2026"), file, failed(ius)},

		// step 3
		{"13.1.2 tag matches", get, header(inm, `"v1"`), file, notModified(inm)},
		{"13.1.2 tag matches, HEAD", head, header(inm, `"v1"`), file, notModified(inm)},
		{"13.1.2 tag matches, PUT", put, header(inm, `"v1"`), file, failed(inm)},
		{"13.1.2 tag matches, POST", post, header(inm, `"v1"`), file, failed(inm)},
		{"13.1.2 tag matches, PATCH", patch, header(inm, `"v1"`), file, failed(inm)},
		{"13.1.2 tag matches, DELETE", del, header(inm, `"v1"`), file, failed(inm)},
		{"13.1.2 tag does not match", get, header(inm, `"v2"`), file, proceed},
		{"13.1.2 tag does not match, PUT", put, header(inm, `"v2"`), file, proceed},
		{"13.1.2 weak comparison, client's is weak", get, header(inm, `W/"v1"`), file, notModified(inm)},
		{"13.1.2 weak comparison, ours is weak", get, header(inm, `"v1"`), weak, notModified(inm)},
		{"13.1.2 one of the list", get, header(inm, `"v0", W/"v1"`), file, notModified(inm)},
		{"5.3 one of the lines, read", get, header(inm, `"v0"`, inm, `"v1"`), file, notModified(inm)},
		{"13.1.2 any", get, header(inm, `*`), file, notModified(inm)},
		{"13.1.2 any, no tag", get, header(inm, `*`), live, notModified(inm)},
		{"13.1.2 any, PUT", put, header(inm, `*`), file, failed(inm)},
		{"13.1.2 any, POST", post, header(inm, `*`), file, failed(inm)},
		{"13.1.2 any, PUT, no tag", put, header(inm, `*`), noTag, failed(inm)},
		{"13.1.2 any, PUT, nothing there", put, header(inm, `*`), nothing, proceed},
		{"13.1.2 tag, PUT, nothing there", put, header(inm, `"v1"`), nothing, proceed},
		{"13.1.2 tag, resource has none", get, header(inm, `"v1"`), live, proceed},
		{"13.1.2 malformed, GET", get, header(inm, `v1`), file, proceed},
		{"13.1.2 malformed, PUT", put, header(inm, `v1`), file, failed(inm)},
		{"13.1.2 malformed, PUT, any with more", put, header(inm, `*, "v0"`), file, failed(inm)},
		{"13.1.2 malformed, PUT, nothing there", put, header(inm, `v1`), nothing, proceed},
		{"13.1.2 malformed after the match, GET", get, header(inm, `"v1", v2`), file, notModified(inm)},

		// step 4
		{"13.1.3 not modified", get, header(ims, same), file, notModified(ims)},
		{"13.1.3 not modified, HEAD", head, header(ims, same), file, notModified(ims)},
		{"13.1.3 not modified, later date", get, header(ims, after), file, notModified(ims)},
		{"13.1.3 date in the future, as net/http", get, header(ims, httpDate(now.Add(time.Hour))), file, notModified(ims)},
		{"13.1.3 modified", get, header(ims, before), file, proceed},
		{"13.1.3 not for PUT", put, header(ims, same), file, proceed},
		{"13.1.3 not for DELETE", del, header(ims, same), file, proceed},
		{"13.1.3 invalid date is ignored", get, header(ims, "0"), file, proceed},
		{"13.1.3 two dates are ignored", get, header(ims, same, ims, same), file, proceed},
		{"13.1.3 no date known", get, header(ims, same), noDate, proceed},
		{"13.1.3 epoch is no date", get, header(ims, same), epoch, proceed},
		{"13.1.3 If-None-Match comes first", get, header(inm, `"v2"`, ims, same), file, proceed},
		{"13.1.3 If-None-Match comes first, malformed", get, header(inm, `v2`, ims, same), file, proceed},
		{"13.1.3 If-None-Match comes first and decides", get, header(inm, `"v1"`, ims, before), file, notModified(inm)},

		// both halves
		{"13.2.2 If-Match passes, If-None-Match decides", get, header(im, `"v1"`, inm, `"v1"`), file, notModified(inm)},
		{"13.2.2 If-Match fails first", get, header(im, `"v2"`, inm, `"v1"`), file, failed(im)},
		{"13.2.2 If-Match passes, If-Modified-Since decides", get, header(im, `"v1"`, ims, same), file, notModified(ims)},
		{"13.2.2 If-Unmodified-Since fails first", get, header(ius, before, ims, after), file, failed(ius)},
		{"13.2.2 both dates pass", get, header(ius, after, ims, before), file, proceed},
		{"13.2.2 304 before 206", get, header("Range", "bytes=0-1", inm, `"v1"`), file, notModified(inm)},
		{"13.2.2 412 before 206", get, header("Range", "bytes=0-1", im, `"v2"`), file, failed(im)},
		{"13.2.2 304 before If-Range", get, header("Range", "bytes=0-1", ims, same, ir, `"v1"`), file, notModified(ims)},
		{"13.2.2 all pass", get, header("Range", "bytes=0-1", im, `"v1"`, inm, `"v2"`, ir, `"v1"`), file, useRange},

		// step 5
		{"14.2 range", get, header("Range", "bytes=0-1"), file, useRange},
		{"14.2 range of a stream", get, header("Range", "bytes=0-1"), live, useRange},
		{"14.2 HEAD as the GET", head, header("Range", "bytes=0-1"), file, useRange},
		{"14.2 range is for GET only, PUT", put, header("Range", "bytes=0-1"), file, proceed},
		{"14.2 empty range", get, header("Range", ""), file, proceed},
		{"13.1.5 without range", get, header(ir, `"v1"`), file, proceed},
		{"13.1.5 tag matches", get, header("Range", "bytes=0-1", ir, `"v1"`), file, useRange},
		{"13.1.5 tag with white space", get, header("Range", "bytes=0-1", ir, ` "v1" `), file, useRange},
		{"13.1.5 tag does not match", get, header("Range", "bytes=0-1", ir, `"v2"`), file, proceed},
		{"13.1.5 strong comparison, client's is weak", get, header("Range", "bytes=0-1", ir, `W/"v1"`), file, proceed},
		{"13.1.5 strong comparison, both are weak", get, header("Range", "bytes=0-1", ir, `W/"v1"`), weak, proceed},
		{"13.1.5 tag, resource has none", get, header("Range", "bytes=0-1", ir, `"v1"`), live, proceed},
		{"13.1.5 list is none", get, header("Range", "bytes=0-1", ir, `"v1", "v2"`), file, proceed},
		{"13.1.5 any is none", get, header("Range", "bytes=0-1", ir, `*`), file, proceed},
		{"13.1.5 two lines", get, header("Range", "bytes=0-1", ir, `"v1"`, ir, `"v1"`), file, proceed},
		{"13.1.5 empty counts as absent", get, header("Range", "bytes=0-1", ir, ``), file, useRange},
		{"13.1.5 date matches", get, header("Range", "bytes=0-1", ir, same), file, useRange},
		{"13.1.5 earlier date", get, header("Range", "bytes=0-1", ir, before), file, proceed},
		{"13.1.5 later date", get, header("Range", "bytes=0-1", ir, after), file, proceed},
		{"13.1.5 invalid date", get, header("Range", "bytes=0-1", ir, "yesterday"), file, proceed},
		{"13.1.5 no date known", get, header("Range", "bytes=0-1", ir, same), noDate, proceed},
		{"13.1.5 epoch is no date", get, header("Range", "bytes=0-1", ir, httpDate(time.Unix(0, 0))), epoch, proceed},
		{
			"8.8.2.2 date a second old is strong", get, header("Range", "bytes=0-1", ir, same),
			Resource{Exists: true, ModTime: modTime, Now: modTime.Add(time.Second)},
			useRange,
		},
		{
			"8.8.2.2 date less than a second old is weak", get, header("Range", "bytes=0-1", ir, same),
			Resource{Exists: true, ModTime: modTime, Now: modTime.Add(time.Second - 1)},
			proceed,
		},
		{
			"8.8.2.2 date in the future is weak", get, header("Range", "bytes=0-1", ir, same),
			Resource{Exists: true, ModTime: modTime, Now: modTime.Add(-time.Hour)},
			proceed,
		},
		{
			"8.8.2.2 date is weak when the time is not known", get, header("Range", "bytes=0-1", ir, same),
			Resource{Exists: true, ModTime: modTime},
			proceed,
		},

		// no preconditions at all
		{"13.2.1 GET of nothing", get, header(im, `*`), nothing, proceed},
		{"13.2.1 HEAD of nothing", head, header(im, `"v1"`, ius, before), nothing, proceed},
		{"13.2.1 OPTIONS", http.MethodOptions, header(im, `"v2"`, inm, `*`), file, proceed},
		{"13.2.1 CONNECT", http.MethodConnect, header(im, `"v2"`), file, proceed},
		{"13.2.1 TRACE", http.MethodTrace, header(im, `"v2"`), file, proceed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Evaluate(tc.method, tc.header, tc.res); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestOutcome(t *testing.T) {
	for _, tc := range []struct {
		name       string
		outcome    Outcome
		want       int
		wantString string
	}{
		{"proceed", Proceed, 0, "proceed"},
		{"not modified", NotModified, http.StatusNotModified, "not modified"},
		{"failed", PreconditionFailed, http.StatusPreconditionFailed, "precondition failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.outcome.Status(); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
			if got := tc.outcome.String(); got != tc.wantString {
				t.Errorf("got %q, want %q", got, tc.wantString)
			}
		})
	}
}

// Every combination of well-formed conditions on a GET must come to what
// net/http makes of it.
func TestEvaluateAgreesWithNetHTTP(t *testing.T) {
	tags := []string{"", `"v1"`, `W/"v1"`, `"v2"`, `"v2", "v1"`, `*`}
	dates := []string{"", before, same, after, "invalid"}
	ranges := []string{"", `"v1"`, `W/"v1"`, `"v2"`, before, same, after}
	res := Resource{Exists: true, ETag: `"v1"`, ModTime: modTime, Now: now}

	for _, im := range tags {
		for _, ius := range dates {
			for _, inm := range tags {
				for _, ims := range dates {
					for _, ir := range ranges {
						h := header("Range", "bytes=0-1")
						for name, value := range map[string]string{
							"If-Match": im, "If-Unmodified-Since": ius, "If-None-Match": inm, "If-Modified-Since": ims, "If-Range": ir,
						} {
							if value != "" {
								h.Set(name, value)
							}
						}
						req := httptest.NewRequest(http.MethodGet, "/", nil)
						req.Header = h
						rec := httptest.NewRecorder()
						rec.Header().Set("ETag", string(res.ETag))
						http.ServeContent(rec, req, "f.bin", modTime, strings.NewReader("0123456789"))

						result := Evaluate(http.MethodGet, h, res)
						got := result.Outcome.Status()
						if result.Outcome == Proceed {
							got = http.StatusOK
							if result.UseRange {
								got = http.StatusPartialContent
							}
						}
						if want := rec.Code; got != want {
							t.Errorf("%v: got %d, want %d", h, got, want)
						}
					}
				}
			}
		}
	}
}
