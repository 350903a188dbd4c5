package handler

import (
	"sync"
	"time"

	"github.com/caddy-httpout/httpout/handler/access"
	"github.com/caddy-httpout/httpout/handler/encoding"
	"github.com/caddy-httpout/httpout/sinkbus"
)

// compressedBytes bounds what is kept of compressed files, of all sites
// together.
const compressedBytes = 64 << 20

// State is what the handlers of a process share and what outlives their
// configuration: uploads in progress, connections and what they count towards,
// verified passwords, compressed files.
type State struct {
	files      *sinkbus.Files
	conns      *connections
	auth       *access.Authenticator
	compressed *encoding.Cache
	casts      broadcasts
	listeners  tally // clients of live responses

	// drained is closed when everything is to end.
	drained chan struct{}
	taken   tally // connections that were taken over

	// swept are the directories whose left-overs were removed, by path.
	swept sync.Map

	// mu guards what follows.
	mu       sync.Mutex
	draining bool
	bodies   map[*body]struct{} // request bodies that are being read
}

// NewState returns an empty State.
func NewState() *State {
	return &State{
		files:      sinkbus.NewFiles(),
		conns:      newConnections(),
		auth:       access.NewAuthenticator(),
		compressed: encoding.NewCache(compressedBytes),
		bodies:     make(map[*body]struct{}),
		drained:    make(chan struct{}),
	}
}

// Files returns what the process knows of the files that it is writing.
func (s *State) Files() *sinkbus.Files { return s.files }

// Destruct ends all that is in progress: it is called when no configuration
// uses the state any more.
func (s *State) Destruct() error {
	s.Drain()
	return nil
}

// Drain aborts the uploads in progress, and so the responses that follow them,
// because the process is about to exit. No upload begins afterwards. It may be
// called more than once.
func (s *State) Drain() {
	s.mu.Lock()
	if !s.draining {
		close(s.drained)
	}
	s.draining = true
	for b := range s.bodies {
		b.interrupt()
	}
	s.mu.Unlock()
	s.files.Uploads.AbortAll(errStopping)
	// nobody else waits for connections that were taken over
	await(&s.taken, time.After(lastWords))
}

// lastWords is how long clients have to take the end of a live response before
// the process exits.
const lastWords = time.Second

// AwaitListeners waits until no client of a live response is left, or done is
// closed. It tells which.
func (s *State) AwaitListeners(done <-chan struct{}) bool {
	return await(&s.listeners, done)
}

// beginBody notes that a body is being read, so that Drain interrupts it. It
// returns false when there is to be no more of that.
func (s *State) beginBody(b *body) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining {
		s.bodies[b] = struct{}{}
	}
	return !s.draining
}

// endBody is called before the request of a body is over: it is not touched
// afterwards.
func (s *State) endBody(b *body) {
	s.mu.Lock()
	delete(s.bodies, b)
	s.mu.Unlock()
}

// firstSweep tells, once for each directory, that it has not been swept yet.
func (s *State) firstSweep(dir string) bool {
	_, done := s.swept.LoadOrStore(dir, struct{}{})
	return !done
}
