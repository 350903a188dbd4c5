package handler

import (
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

func TestParseRequestLog(t *testing.T) {
	for _, tc := range []struct {
		value string
		want  requestLog
		bad   bool
	}{
		{value: ""},
		{value: "GET", want: requestLog{methods: []string{"GET"}}},
		{value: "GET,PUT", want: requestLog{methods: []string{"GET", "PUT"}}},
		{value: " get , Put ", want: requestLog{methods: []string{"GET", "PUT"}}},
		{value: "*", want: requestLog{all: true}},
		{value: "REC", want: requestLog{rec: true}},
		{value: "*,REC", want: requestLog{all: true, rec: true}},
		{value: "-*", want: requestLog{all: true, startOnly: true}},
		{value: "-GET,rec", want: requestLog{rec: true, startOnly: true, methods: []string{"GET"}}},
		{value: "-", want: requestLog{startOnly: true}},
		{value: "SOURCE,PATCH,HEAD,POST,DELETE,OPTIONS", want: requestLog{methods: []string{"SOURCE", "PATCH", "HEAD", "POST", "DELETE", "OPTIONS"}}},
		{value: "BREW", bad: true},
		{value: "GET,-PUT", bad: true},
		{value: "GET PUT", bad: true},
	} {
		got, err := parseRequestLog(tc.value)
		if tc.bad {
			if err == nil {
				t.Errorf("%q: got %+v, want an error", tc.value, got)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%q: got %+v, %v, want %+v", tc.value, got, err, tc.want)
		}
	}
}

// messages returns what was logged at info.
func (s *site) messages() []string {
	var all []string
	for _, e := range s.logs.FilterLevelExact(zap.InfoLevel).All() {
		all = append(all, e.Message)
	}
	return all
}

func TestRequestsAreLogged(t *testing.T) {
	const started, ended, opened, closed, deleted, patched = "request started", "request ended", "file opened", "file closed", "file deleted", "file patched"
	for _, tc := range []struct {
		reqlog, method, target, body string
		header                       []string
		want                         []string
	}{
		{"", "GET", "/a", "", nil, nil},
		{"GET", "GET", "/a", "", nil, []string{started, ended}},
		{"GET", "HEAD", "/a", "", nil, nil},
		{"PUT", "GET", "/a", "", nil, nil},
		{"-GET", "GET", "/a", "", nil, []string{started}},
		{"*", "GET", "/missing", "", nil, []string{started, ended}},
		{"*", "BREW", "/a", "", nil, []string{started, ended}},
		{"*", "PUT", "/new", "x", nil, []string{started, ended}},
		{"*", "DELETE", "/a", "", nil, []string{started, ended}},
		{"REC", "GET", "/a", "", nil, nil},
		{"REC", "PUT", "/new", "x", nil, []string{opened, closed}},
		{"REC", "PATCH", "/a", "x", []string{"Content-Range: bytes 0-0/*"}, []string{patched}},
		{"REC", "DELETE", "/a", "", nil, []string{deleted}},
		{"REC", "DELETE", "/missing", "", nil, nil},
		{"REC", "PUT", "/d", "x", nil, nil},
		{"*,REC", "PUT", "/new", "x", nil, []string{started, opened, closed, ended}},
		{"-PUT,REC", "PUT", "/new", "x", nil, []string{started, opened, closed}},
	} {
		t.Run(tc.reqlog+" "+tc.method+" "+tc.target, func(t *testing.T) {
			o := readWrite
			o.ReqLog = tc.reqlog
			s := newSite(t, o, map[string]string{"www/a": "a", "www/d/": ""})
			s.do(tc.method, tc.target, tc.body, tc.header...)
			if got := s.messages(); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestFieldsOfRequestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := readWrite
		o.ReqLog = "*,REC"
		s := newSite(t, o, map[string]string{"www/a": "0123456789"})

		s.get("/a?token=secret", "Range: bytes=1-4")
		body, client := newPipe()
		x := s.start(from(chunked(http.MethodPut, "/d/b", body), "[2001:db8::1]:9"))
		client.send(t, strings.Repeat("x", 1000))
		time.Sleep(2 * time.Second)
		client.Close()
		x.wait()
		s.get("/missing")

		var ids []any
		want := []map[string]any{
			{"msg": "request started", "client_ip": "192.0.2.1", "method": "GET", "path": "/a", "range": "bytes=1-4", "chunked": false},
			{
				"msg": "request ended", "client_ip": "192.0.2.1", "method": "GET", "path": "/a", "range": "bytes=1-4", "chunked": false,
				"status": int64(206), "bytes": int64(4), "duration": time.Duration(0), "rate": 0.0,
			},
			{"msg": "request started", "client_ip": "2001:db8::1", "method": "PUT", "path": "/d/b", "chunked": true},
			{"msg": "file opened", "client_ip": "2001:db8::1", "path": "/d/b", "file": filepath.Join(s.root, "www", "d", "b")},
			{"msg": "file closed", "client_ip": "2001:db8::1", "path": "/d/b", "file": filepath.Join(s.root, "www", "d", "b")},
			{
				"msg": "request ended", "client_ip": "2001:db8::1", "method": "PUT", "path": "/d/b", "chunked": true,
				"status": int64(201), "bytes": int64(1000), "duration": 2 * time.Second, "rate": 4000.0,
			},
			{"msg": "request started", "client_ip": "192.0.2.1", "method": "GET", "path": "/missing", "chunked": false},
			{
				"msg": "request ended", "client_ip": "192.0.2.1", "method": "GET", "path": "/missing", "chunked": false,
				"status": int64(404), "bytes": int64(len("Not found\n")), "duration": time.Duration(0), "rate": 0.0,
			},
		}
		logged := s.logs.FilterLevelExact(zap.InfoLevel).All()
		if len(logged) != len(want) {
			t.Fatalf("got %q, want %d lines", s.messages(), len(want))
		}
		for i, e := range logged {
			got := e.ContextMap()
			got["msg"] = e.Message
			if id, ok := got["id"]; ok {
				ids = append(ids, id)
				delete(got, "id")
			}
			if !reflect.DeepEqual(got, want[i]) {
				t.Errorf("line %d: got %v, want %v", i, got, want[i])
			}
		}
		if len(ids) != 6 || ids[0] != ids[1] || ids[2] != ids[3] || ids[4] != ids[5] || ids[0] == ids[2] || ids[2] == ids[4] {
			t.Errorf("got ids %v, want one for each request", ids)
		}
	})
}

func TestAbortedRequestIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := readWrite
		o.ReqLog = "GET,REC"
		s := newSite(t, o, nil)
		u := s.upload("a", "", "half")
		x := s.start(newRequest(http.MethodGet, "/a", ""))
		x.has(t, "GET", "half")
		u.Discard(errProducer)
		equal(t, "aborted", x.wait().aborted, true)
		logged := s.logs.FilterMessage("request ended").All()
		if len(logged) != 1 {
			t.Fatalf("got %q, want the end of the request", s.messages())
		}
		fields := logged[0].ContextMap()
		equal[any](t, "status", fields["status"], int64(200))
		equal[any](t, "bytes", fields["bytes"], int64(4))
	})
}
