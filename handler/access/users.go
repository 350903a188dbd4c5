package access

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Bounds of the files that are read.
const (
	maxFileSize = 16 << 20 // bytes

	// htpasswd offers no higher cost than 17, which takes some ten seconds
	// for a login already.
	maxBcryptCost = 17
)

// Users is the users of a site and what their passwords are checked against.
// It is not changed after it was parsed, so it can be read from many
// goroutines.
type Users struct {
	groups      *Groups
	index       map[string]int // by name, into credentials
	credentials []credential
	seed        maphash.Seed
}

// credential is what one password is checked against.
type credential struct {
	// The stored form as it is in the file: a bcrypt hash or, if salted is
	// not nil, the two fields of a salted one. It changes with the password.
	stored string

	salted *saltedHash
}

type saltedHash struct {
	sum, salt [sha256.Size]byte
}

// Len returns the number of users.
func (u *Users) Len() int {
	if u == nil {
		return 0
	}
	return len(u.index)
}

// Groups returns the groups that the users file itself names. It is nil for an
// htpasswd file.
func (u *Users) Groups() *Groups {
	if u == nil {
		return nil
	}
	return u.groups
}

// lookup returns what the password of a user is checked against. For a user
// that does not exist it is another user's, so that the check takes as long as
// one that a user of this file could have; always the same one, so that asking
// twice shows nothing either. It is empty if there are no users at all.
func (u *Users) lookup(name string) (c credential, known bool) {
	if u == nil || len(u.credentials) == 0 {
		return credential{}, false
	}
	if i, ok := u.index[name]; ok {
		return u.credentials[i], true
	}
	i := maphash.String(u.seed, name) % uint64(len(u.credentials))
	return u.credentials[i], false
}

// matches reports whether the password is the right one. It takes as long for
// a wrong password as for the right one.
func (c *credential) matches(password string) bool {
	switch {
	case c.salted != nil:
		h := sha256.New()
		h.Write([]byte(password))
		h.Write([]byte{'@'})
		h.Write(c.salted.salt[:])
		return subtle.ConstantTimeCompare(h.Sum(nil), c.salted.sum[:]) == 1
	case c.stored != "":
		return bcrypt.CompareHashAndPassword([]byte(c.stored), []byte(password)) == nil
	default:
		return false
	}
}

// LoadUsers reads a file for ParseUsers.
func LoadUsers(filename string) (*Users, error) {
	return loadFile(filename, ParseUsers)
}

// ParseUsers parses a file of users and their passwords. It is an htpasswd
// file with bcrypt hashes ("name:$2y$..."), or the credentials file of the
// reference if its first significant line starts with "[": a section for each
// user, with the keys password and salt, and a section "groups" with lines of
// "group=user,user".
//
// A file without users is fine, as it is what removing the last one leaves.
// Errors start with "filename:line: " and never hold a hash.
func ParseUsers(r io.Reader, filename string) (*Users, error) {
	u := &Users{index: make(map[string]int), seed: maphash.MakeSeed()}
	lines := newLineReader(r, filename)
	if lines.next() {
		parse := u.parseHtpasswd
		if lines.text[0] == '[' {
			parse = u.parseSections
		}
		if err := parse(lines); err != nil {
			return nil, err
		}
	}
	if err := lines.err(); err != nil {
		return nil, err
	}
	return u, nil
}

// parseHtpasswd parses the current line and those after it.
func (u *Users) parseHtpasswd(lines *lineReader) error {
	for more := true; more; more = lines.next() {
		name, hash, ok := strings.Cut(lines.text, ":")
		if !ok {
			return lines.errorf(`got a line without ":", want "name:hash"`)
		}
		if name == "" || name != strings.TrimSpace(name) {
			return lines.errorf("user name %q is empty or ends in a space", name)
		}
		if _, ok := u.index[name]; ok {
			return lines.errorf("user %q is listed twice", name)
		}
		if problem := checkBcrypt(hash); problem != "" {
			return lines.errorf("password of user %q %s", name, problem)
		}
		u.add(name, credential{stored: hash})
	}
	return nil
}

func (u *Users) add(name string, c credential) {
	u.index[name] = len(u.credentials)
	u.credentials = append(u.credentials, c)
}

// checkBcrypt returns what is wrong with a bcrypt hash in its usual form
// "$2y$<cost>$<22 characters of salt><31 of hash>", or an empty string. It is
// stricter than the library, which finds some errors only when it compares.
func checkBcrypt(hash string) (problem string) {
	const set = `(set it again with "htpasswd -B")`
	switch {
	case hash == "":
		return "is empty " + set
	case strings.HasPrefix(hash, "$apr1$"), strings.HasPrefix(hash, "$1$"):
		return "is an MD5 hash, only bcrypt is accepted " + set
	case strings.HasPrefix(hash, "{SHA}"):
		return "is a SHA-1 hash, only bcrypt is accepted " + set
	case strings.HasPrefix(hash, "$5$"), strings.HasPrefix(hash, "$6$"):
		return "is a SHA-2 crypt hash, only bcrypt is accepted " + set
	}
	if len(hash) < 4 || hash[:2] != "$2" || hash[3] != '$' || !strings.ContainsRune("aby", rune(hash[2])) {
		return "is not a bcrypt hash, only bcrypt is accepted " + set
	}
	if len(hash) != 60 || hash[6] != '$' || strings.ContainsFunc(hash[7:], notBcryptBase64) {
		return "is a damaged bcrypt hash " + set
	}
	cost, err := strconv.ParseUint(hash[4:6], 10, 8) // unlike the library, without a sign
	if err != nil || cost < uint64(bcrypt.MinCost) || cost > maxBcryptCost {
		return fmt.Sprintf("has bcrypt cost %q, want %02d to %d %s", hash[4:6], bcrypt.MinCost, maxBcryptCost, set)
	}
	return ""
}

func notBcryptBase64(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '.' || c > '9') // "./" are before "0"
}

// parseSections parses the reference's credentials file. Its current line is
// the first section.
func (u *Users) parseSections(lines *lineReader) error {
	var (
		sec  *userSection
		seen = make(map[string]int)
	)
	for more := true; more; more = lines.next() {
		name, isHeader, err := lines.header()
		if err != nil {
			return err
		}
		if isHeader {
			if err := u.endUser(sec, lines.filename); err != nil {
				return err
			}
			if first, ok := seen[name]; ok {
				return lines.errorf("section %q is in line %d already", name, first)
			}
			seen[name] = lines.line
			sec = &userSection{name: name, line: lines.line, keys: make(map[string]string)}
			if name == groupsSection {
				u.groups = &Groups{members: make(map[string]map[string]struct{})}
			}
			continue
		}
		if err := u.parseKey(lines, sec); err != nil {
			return err
		}
	}
	if lines.err() != nil {
		return nil //nolint:nilerr // the section is incomplete; the caller returns the error
	}
	return u.endUser(sec, lines.filename)
}

// groupsSection is the one section that is not a user.
const groupsSection = "groups"

type userSection struct {
	name    string
	line    int
	keys    map[string]string
	ignored bool // whether the last key was of no interest
}

func (u *Users) parseKey(lines *lineReader, sec *userSection) error {
	key, value, ok := strings.Cut(lines.text, "=")
	if !ok {
		if sec.ignored {
			return nil // the reference goes on with the value
		}
		return lines.errorf("got a line without \"=\" in section %q, want \"key=value\"", sec.name)
	}
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	sec.ignored = sec.name != groupsSection && key != "password" && key != "salt"
	if strings.HasPrefix(value, "@") && (value == "@" || !strings.HasSuffix(value, "@")) {
		// The reference reads on to a line that ends in "@". Whatever is in
		// between must not be taken for keys and sections.
		return lines.errorf("key %q: values of several lines are not supported", key)
	}
	if sec.ignored {
		return nil
	}
	if _, ok := sec.keys[key]; ok {
		return lines.errorf("key %q is set twice in section %q", key, sec.name)
	}
	sec.keys[key] = value
	if sec.name != groupsSection {
		return nil
	}
	if key == "" {
		return lines.errorf("group without a name")
	}
	var members []string
	for user := range strings.SplitSeq(value, ",") {
		if user = strings.TrimSpace(user); user != "" {
			members = append(members, user)
		}
	}
	u.groups.add(key, members)
	return nil
}

// endUser adds the user of a section that is complete. sec may be nil.
func (u *Users) endUser(sec *userSection, filename string) error {
	if sec == nil || sec.name == groupsSection {
		return nil
	}
	h := new(saltedHash)
	for _, field := range []struct {
		key string
		dst *[sha256.Size]byte
	}{{"password", &h.sum}, {"salt", &h.salt}} {
		b, err := hex.DecodeString(sec.keys[field.key])
		if err != nil || len(b) != len(field.dst) {
			return errorAt(filename, sec.line, "user %q has no %s of %d hexadecimal digits", sec.name, field.key, 2*len(field.dst))
		}
		copy(field.dst[:], b)
	}
	u.add(sec.name, credential{stored: sec.keys["password"] + sec.keys["salt"], salted: h})
	return nil
}

// readFile returns the content of a regular file of at most maxFileSize bytes,
// and its state from before it was read.
func readFile(filename string) ([]byte, os.FileInfo, error) {
	// Asked for before it is opened, as opening a pipe may wait for ever.
	info, err := os.Stat(filename)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, info, fmt.Errorf("%s: not a regular file", filename)
	}
	f, err := os.Open(filename)
	if err != nil {
		return nil, info, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, info, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, info, err
	}
	if len(data) > maxFileSize {
		return nil, info, fmt.Errorf("%s: larger than %d bytes", filename, maxFileSize)
	}
	return data, info, nil
}

func loadFile[T any](filename string, parse func(io.Reader, string) (*T, error)) (*T, error) {
	data, _, err := readFile(filename)
	if err != nil {
		return nil, err
	}
	return parse(bytes.NewReader(data), filename)
}
