package access

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Bounds of failed logins, per client.
const (
	// A client may fail this often at once ...
	failureBurst = 10

	// ... and once more in each of these intervals: ten guesses a minute.
	failureInterval = 6 * time.Second

	// How many clients are remembered. The one that was seen longest ago is
	// forgotten first.
	maxClients = 16384
)

// failures bounds how often a client may fail: a token bucket for each, from
// which a failure takes a token.
//
// The number of guesses under way is bounded as well, or a client could make
// any number of them before the first one has failed. So each guess reserves a
// token, which it gives back if it was right; while all tokens are reserved,
// but not spent, others wait instead of being refused. Thus a client with the
// right password is never refused because it opened many connections at once.
type failures struct {
	mu      sync.Mutex // guards the fields below and the buckets
	clients *simplelru.LRU[netip.Addr, *bucket]
}

// bucket is the failures of one client. Every client that has none, of the
// past or under way, has no bucket, and a full one.
type bucket struct {
	client   netip.Addr
	tokens   float64
	filled   time.Time // when tokens was right
	reserved int
	settled  chan struct{} // not nil while somebody waits for a reservation to end
}

func newFailures() *failures {
	clients, err := simplelru.NewLRU[netip.Addr, *bucket](maxClients, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &failures{clients: clients}
}

// check returns how long a client has to wait until it may try again, 0 if it
// need not.
func (f *failures) check(client netip.Addr) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.clients.Len() == 0 {
		return 0
	}
	b, ok := f.clients.Get(client)
	if !ok {
		return 0
	}
	b.fill(time.Now())
	return b.wait()
}

// reserve reserves a token. Exactly one of the results is set: the bucket to
// settle, a channel that is closed when it is worth asking again, or how long
// to wait for a token.
func (f *failures) reserve(client netip.Addr) (*bucket, <-chan struct{}, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	b, ok := f.clients.Get(client)
	if !ok {
		f.forgetLocked(now)
		b = &bucket{client: client, tokens: failureBurst, filled: now}
		f.clients.Add(client, b)
	}
	b.fill(now)
	if wait := b.wait(); wait > 0 {
		return nil, nil, wait
	}
	if b.tokens-float64(b.reserved) < 1 {
		if b.settled == nil {
			b.settled = make(chan struct{})
		}
		return nil, b.settled, 0
	}
	b.reserved++
	return b, nil, 0
}

// settle ends a reservation. The token is spent if the guess was wrong.
func (f *failures) settle(b *bucket, wrong bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b.fill(time.Now())
	b.reserved--
	if wrong {
		b.tokens--
	}
	if b.settled != nil {
		close(b.settled)
		b.settled = nil
	}
	// The bucket may have been evicted and another one taken its place.
	if current, ok := f.clients.Peek(b.client); ok && current == b && b.isFull() {
		f.clients.Remove(b.client)
	}
}

// forgetLocked removes old buckets that have filled up. Two for each one that
// is added are enough to get ahead.
func (f *failures) forgetLocked(now time.Time) {
	for range 2 {
		client, b, ok := f.clients.GetOldest()
		if !ok {
			return
		}
		if b.fill(now); !b.isFull() {
			return
		}
		f.clients.Remove(client)
	}
}

func (b *bucket) fill(now time.Time) {
	b.tokens = min(failureBurst, b.tokens+now.Sub(b.filled).Seconds()/failureInterval.Seconds())
	b.filled = now
}

// wait returns how long it takes until there is a whole token.
func (b *bucket) wait() time.Duration {
	if b.tokens >= 1 {
		return 0
	}
	// At least something, however the division is rounded.
	return max(time.Millisecond, time.Duration((1-b.tokens)*float64(failureInterval)))
}

func (b *bucket) isFull() bool {
	return b.tokens >= failureBurst && b.reserved == 0
}

// clientKey returns what failures of a client are counted by: its address, for
// IPv6 the first 64 bits, as a host can have any address of its network (RFC
// 4291 section 2.5.4). Clients without an address count as one.
func clientKey(client netip.Addr) netip.Addr {
	client = client.Unmap().WithZone("")
	if client.Is6() {
		prefix, err := client.Prefix(64)
		if err != nil {
			return client
		}
		return prefix.Addr()
	}
	return client
}
