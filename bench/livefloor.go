//go:build linux

package main

import (
	"net/http"
	"sync"
)

// liveFloor is what a Go programmer would write for an endless stream: a source's
// PUT, and a GET that writes and flushes each piece that comes from it.
type liveFloor struct {
	mu     sync.Mutex // guards what follows
	more   sync.Cond
	pieces [512][]byte // the latest, each at its number modulo the length
	next   int         // number of the piece that will come next
	open   bool        // there is a source
}

func newLiveFloor() *liveFloor {
	f := &liveFloor{}
	f.more.L = &f.mu
	return f
}

// ServeHTTP implements http.Handler.
func (f *liveFloor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != mountPath:
		http.NotFound(w, r)
	case r.Method == http.MethodPut:
		f.put(w, r)
	default:
		f.listen(w, r)
	}
}

func (f *liveFloor) put(w http.ResponseWriter, r *http.Request) {
	f.set(func() { f.open = true })
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Body.Read(buf)
		if n > 0 {
			f.add(append([]byte(nil), buf[:n]...))
		}
		if err != nil {
			break
		}
	}
	f.set(func() { f.open = false })
	w.WriteHeader(http.StatusCreated)
}

// add hands a piece to the listeners.
func (f *liveFloor) add(piece []byte) {
	f.set(func() {
		f.pieces[f.next%len(f.pieces)] = piece
		f.next++
	})
}

// set changes the state and wakes the listeners.
func (f *liveFloor) set(change func()) {
	f.mu.Lock()
	change()
	f.mu.Unlock()
	f.more.Broadcast()
}

func (f *liveFloor) listen(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	next, open := f.next, f.open
	f.mu.Unlock()
	if !open {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	rc := http.NewResponseController(w)
	for {
		if rc.Flush() != nil {
			return
		}
		f.mu.Lock()
		for f.open && next == f.next {
			f.more.Wait()
		}
		if next == f.next { // the source has ended
			f.mu.Unlock()
			return
		}
		if f.next-next > len(f.pieces) {
			f.mu.Unlock()
			panic(http.ErrAbortHandler) // too slow
		}
		piece := f.pieces[next%len(f.pieces)]
		f.mu.Unlock()
		if _, err := w.Write(piece); err != nil {
			return
		}
		next++
	}
}
