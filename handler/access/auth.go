package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"runtime"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// verifiedTTL is how long a password that was right is taken to be right
	// without computing its hash again.
	verifiedTTL = 5 * time.Minute

	// maxVerified is how many right passwords are remembered.
	maxVerified = 4096

	// maxFlights is how many passwords may be waiting to be checked, or be
	// checked, at a time.
	maxFlights = 1024
)

var (
	// ErrUnauthorized is returned for a wrong password and for a user that
	// does not exist alike (401).
	ErrUnauthorized = errors.New("wrong user name or password")

	// ErrTooManyFailures is what a *TooManyFailuresError is.
	ErrTooManyFailures = errors.New("too many failed logins")

	// ErrBusy is returned when too many passwords are waiting to be checked
	// (503).
	ErrBusy = errors.New("too many logins at a time")
)

// TooManyFailuresError is returned to a client that has failed too often, and
// also if the password is the right one this time: it is not looked at (429).
type TooManyFailuresError struct {
	// How long the client has to wait until it may try again (RFC 9110
	// section 10.2.3).
	RetryAfter time.Duration
}

func (e *TooManyFailuresError) Error() string {
	return fmt.Sprintf("%v, try again after %v", ErrTooManyFailures, e.RetryAfter)
}

// Unwrap returns ErrTooManyFailures.
func (e *TooManyFailuresError) Unwrap() error { return ErrTooManyFailures }

// Authenticator checks passwords. Players send theirs with every segment, and
// bcrypt is slow on purpose, so right ones are remembered for five minutes; a
// change of the stored password ends that at once. Wrong ones are not
// remembered but counted: a client may fail ten times, and then once in six
// seconds.
//
// It has no users of its own, so that one can serve all sites and outlive
// their configurations. It needs no closing.
type Authenticator struct {
	macs     sync.Pool // of *mac, all with the same random key
	verified *lru.Cache[digest, time.Time]
	failures *failures

	// slots has a place for each password being checked, one for every two
	// processors: the others are for those who have logged in.
	slots chan struct{}

	// compare is (*credential).matches, except in tests.
	compare func(c *credential, password string) bool

	mu      sync.Mutex // guards flights and the clients of each flight
	flights map[digest]*flight
}

// NewAuthenticator returns an Authenticator that remembers nothing yet.
func NewAuthenticator() *Authenticator {
	var key [sha256.Size]byte
	rand.Read(key[:]) // never fails

	verified, err := lru.New[digest, time.Time](maxVerified)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &Authenticator{
		macs:     sync.Pool{New: func() any { return &mac{hash: hmac.New(sha256.New, key[:])} }},
		verified: verified,
		failures: newFailures(),
		slots:    make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		compare:  (*credential).matches,
		flights:  make(map[digest]*flight),
	}
}

// Verify checks the password of a user for a client. It returns nil if it is
// right, or ErrUnauthorized, a *TooManyFailuresError, ErrBusy or, if the client
// left before its turn came, the error of the context. users may be nil.
//
// How long it takes does not tell whether the user exists.
func (a *Authenticator) Verify(ctx context.Context, users *Users, client netip.Addr, user, password string) error {
	cred, known := users.lookup(user)
	id := a.digest(user, password, &cred, known)
	client = clientKey(client)

	for {
		// Before the memory is asked, which would tell right from wrong
		// without end otherwise.
		if wait := a.failures.check(client); wait > 0 {
			return &TooManyFailuresError{RetryAfter: wait}
		}
		if a.isVerified(id) {
			return nil
		}

		f, leads, settled, err := a.join(id, client)
		switch {
		case err != nil:
			return err
		case settled != nil:
			select {
			case <-settled:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		case leads:
			return a.check(ctx, f, &cred, known, password)
		}

		select {
		case <-f.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		switch f.outcome {
		case right:
			return nil
		case wrong:
			return ErrUnauthorized
		case unchecked:
			// whoever led left the queue; go on without
		}
	}
}

// flight is the check of one password, on behalf of all requests that ask for
// it at the same time.
type flight struct {
	id      digest
	clients map[netip.Addr]*bucket // where a token is reserved

	done    chan struct{} // closed when outcome is set
	outcome outcome
}

type outcome uint8

const (
	unchecked outcome = iota
	right
	wrong
)

// join returns the flight for a password, and whether it is new and so for the
// caller to check. If the client has as many checks under way as it has tokens,
// it returns a channel to wait for instead.
func (a *Authenticator) join(id digest, client netip.Addr) (f *flight, leads bool, settled <-chan struct{}, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, ok := a.flights[id]
	if ok && f.clients[client] != nil {
		return f, false, nil, nil
	}
	if !ok && len(a.flights) >= maxFlights {
		return nil, false, nil, ErrBusy
	}
	b, settled, wait := a.failures.reserve(client)
	if wait > 0 {
		return nil, false, nil, &TooManyFailuresError{RetryAfter: wait}
	}
	if settled != nil {
		return nil, false, settled, nil
	}
	if !ok {
		f = &flight{id: id, clients: make(map[netip.Addr]*bucket), done: make(chan struct{})}
		a.flights[id] = f
	}
	f.clients[client] = b
	return f, !ok, nil, nil
}

// check checks the password of a flight and settles it. Only while it waits
// for its turn does it heed the context; afterwards the others depend on it,
// and whether the client fails must not be for the client to decide.
func (a *Authenticator) check(ctx context.Context, f *flight, cred *credential, known bool, password string) error {
	outcome := unchecked
	defer func() { a.settle(f, outcome) }()

	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if a.isVerified(f.id) { // since the caller looked
		outcome = right
		return nil
	}
	// Comparing comes first: it takes as long for an unknown user.
	if a.compare(cred, password) && known {
		outcome = right
		a.verified.Add(f.id, time.Now().Add(verifiedTTL))
		return nil
	}
	outcome = wrong
	return ErrUnauthorized
}

// settle ends a flight.
func (a *Authenticator) settle(f *flight, outcome outcome) {
	a.mu.Lock()
	delete(a.flights, f.id)
	a.mu.Unlock()

	// Nobody can join any more.
	for _, b := range f.clients {
		a.failures.settle(b, outcome == wrong)
	}
	f.outcome = outcome
	close(f.done)
}

// isVerified reports whether a password was right a short time ago.
func (a *Authenticator) isVerified(id digest) bool {
	until, ok := a.verified.Get(id)
	return ok && time.Now().Before(until)
}

// digest stands for a user, a password and what that is checked against, so
// that no password is kept: without the key of the process one cannot even try
// whether a digest is that of a guess.
type digest [sha256.Size]byte

// mac computes digests. Its buffers are kept, as one is needed per request.
type mac struct {
	hash hash.Hash
	buf  []byte
	sum  []byte
}

// digest returns the HMAC-SHA256 (RFC 2104) of its arguments. As the stored
// hash is one of them, the digest changes with the password of the user.
func (a *Authenticator) digest(user, password string, cred *credential, known bool) digest {
	m := a.macs.Get().(*mac)
	defer a.macs.Put(m)

	// The lengths make sure that different arguments never read the same.
	m.buf = binary.BigEndian.AppendUint64(m.buf[:0], uint64(len(user)))
	m.buf = append(m.buf, user...)
	m.buf = binary.BigEndian.AppendUint64(m.buf, uint64(len(cred.stored)))
	m.buf = append(m.buf, cred.stored...)
	if known {
		m.buf = append(m.buf, 1)
	} else {
		m.buf = append(m.buf, 0)
	}
	m.buf = append(m.buf, password...)

	m.hash.Reset()
	m.hash.Write(m.buf)
	m.sum = m.hash.Sum(m.sum[:0])
	clear(m.buf) // the password
	return digest(m.sum)
}
