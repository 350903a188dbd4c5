package encoding

import (
	"bytes"
	"math"
	"strconv"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"
)

// Key identifies one version of a file in one encoding.
type Key struct {
	// Path tells the file from all others that use the cache, so it is not
	// relative to anything that differs between them.
	Path string

	// ModTime is when the file was changed last, in nanoseconds since the
	// epoch.
	ModTime int64

	// Size is the length of the file in bytes.
	Size int64

	// Encoding is the content coding, not Identity.
	Encoding Encoding
}

// entryOverhead is about how many bytes an entry takes besides its path and
// its content.
const entryOverhead = 200

// scratchMax is the largest buffer in bytes that is kept to compress into.
const scratchMax = 1 << 20

// Cache keeps compressed files up to a number of bytes, those that were used
// last. It also remembers which files do not become smaller. It is safe for
// concurrent use.
type Cache struct {
	max     int64
	flights singleflight.Group
	scratch sync.Pool // of *[]byte

	mu   sync.Mutex // guards what follows
	lru  *simplelru.LRU[Key, []byte]
	size int64
}

// NewCache returns a cache of at most maxBytes, which include the overhead of
// its entries. With 0 or less nothing is kept.
func NewCache(maxBytes int64) *Cache {
	c := &Cache{
		max:     maxBytes,
		scratch: sync.Pool{New: func() any { return new([]byte) }},
	}
	// entries are counted in bytes, by us
	lru, err := simplelru.NewLRU(math.MaxInt, c.evictedLocked)
	if err != nil {
		panic(err) // the size is positive
	}
	c.lru = lru
	return c
}

// Get returns the version of a file that key identifies, encoded. If it is not
// in the cache, load is called for its content; of any number of concurrent
// callers one loads and compresses for all. An error is that of load.
//
// ok is false when the file is to be sent as it is: because it does not become
// smaller, or because what load returned has not the length that the key
// says, in which case the file has changed meanwhile and nothing is remembered.
//
// The result is shared and must not be modified.
func (c *Cache) Get(key Key, load func() ([]byte, error)) (compressed []byte, ok bool, err error) {
	if key.Encoding == Identity || key.Encoding >= count {
		return nil, false, nil
	}
	if compressed, found := c.lookup(key); found {
		return compressed, compressed != nil, nil
	}
	v, err, _ := c.flights.Do(key.String(), func() (any, error) {
		// a flight may have landed since the lookup
		if compressed, found := c.lookup(key); found {
			return compressed, nil
		}
		content, err := load()
		if err != nil {
			return nil, err
		}
		if int64(len(content)) != key.Size {
			return []byte(nil), nil
		}
		compressed := c.compress(content, key.Encoding)
		c.add(key, compressed)
		return compressed, nil
	})
	if err != nil {
		return nil, false, err
	}
	compressed = v.([]byte)
	return compressed, compressed != nil, nil
}

// compress returns content encoded, or nil if that is not smaller.
func (c *Cache) compress(content []byte, e Encoding) []byte {
	scratch := c.scratch.Get().(*[]byte)
	out := Append((*scratch)[:0], content, e)
	var compressed []byte
	if len(out) < len(content) {
		compressed = bytes.Clone(out) // no larger than it must be
	}
	if cap(out) <= scratchMax {
		*scratch = out
		c.scratch.Put(scratch)
	}
	return compressed
}

// lookup returns what is known of key, which is nil if the file is to be sent
// as it is.
func (c *Cache) lookup(key Key) (compressed []byte, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Get(key)
}

// add keeps the result for key, unless it is larger than the whole cache.
func (c *Cache) add(key Key, compressed []byte) {
	size := cost(key, compressed)
	if size > c.max {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Remove(key) // Add would replace it without a word
	for c.size+size > c.max {
		c.lru.RemoveOldest()
	}
	c.lru.Add(key, compressed)
	c.size += size
}

// evictedLocked accounts for an entry that has left. Caller holds mu.
func (c *Cache) evictedLocked(key Key, compressed []byte) { c.size -= cost(key, compressed) }

// Len returns the number of entries, those that say "not smaller" included.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Len()
}

// Size returns how many bytes the entries take.
func (c *Cache) Size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// cost returns how many bytes an entry takes.
func cost(key Key, compressed []byte) int64 {
	return entryOverhead + int64(len(key.Path)) + int64(len(compressed))
}

// String returns the key as text that is like no other key's.
func (k Key) String() string {
	b := make([]byte, 0, len(k.Path)+48)
	b = append(b, k.Encoding.String()...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, k.ModTime, 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, k.Size, 10)
	b = append(b, ' ')
	return string(append(b, k.Path...))
}
