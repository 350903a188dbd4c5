//go:build linux

package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// heldWriter waits in its first flush, when the listener has joined.
type heldWriter struct {
	*httptest.ResponseRecorder
	joined, goOn chan struct{}
}

func (w *heldWriter) Flush() {
	select {
	case <-w.joined:
	default:
		close(w.joined)
		<-w.goOn
	}
}

func TestLiveFloorCutsOffSlowListeners(t *testing.T) {
	most := len(liveFloor{}.pieces)
	for _, tc := range []struct {
		behind  int
		want    int
		wantErr error
	}{
		{most, most, nil},
		{most + 1, 0, http.ErrAbortHandler},
	} {
		f := newLiveFloor()
		f.set(func() { f.open = true })
		w := &heldWriter{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
		ended := make(chan any, 1)
		go func() {
			defer func() { ended <- recover() }()
			f.ServeHTTP(w, httptest.NewRequest("GET", mountPath, nil))
		}()
		<-w.joined
		for range tc.behind {
			f.add([]byte("x"))
		}
		f.set(func() { f.open = false })
		close(w.goOn)
		if got, _ := (<-ended).(error); !errors.Is(got, tc.wantErr) || w.Body.Len() != tc.want {
			t.Errorf("%d pieces behind: got %d pieces and %v, want %d and %v", tc.behind, w.Body.Len(), got, tc.want, tc.wantErr)
		}
	}
}

func TestLiveFloorWithoutSource(t *testing.T) {
	f := newLiveFloor()
	for _, path := range []string{mountPath, "/other"} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 404 {
			t.Errorf("%s: got status %d, want 404", path, w.Code)
		}
	}
}
