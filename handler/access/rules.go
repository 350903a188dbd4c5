package access

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// The words that stand for users in the lists of a rule file.
const (
	anyone = "$ALL"
	nobody = "$NONE"
)

// Rules is a parsed rule file. It is not changed after Validate, so it can be
// read from many goroutines.
type Rules struct {
	// The file it was parsed from, as it was given.
	Filename string

	// The sections that apply to httpout, in the order of the file.
	Sections []*Section

	byDir  map[string]*Section // keys are made by dirKey
	byName map[string]*Section
}

// Section is what a rule file says about one directory and all below it.
type Section struct {
	// The directory, absolute and cleaned. It need not exist.
	Dir string

	// The URL prefix that the directory is served under, without slashes at
	// its ends and not escaped. Empty: it is served at the root.
	Name string

	// Who may read and who may write. Most callers want CanRead, CanWrite.
	Read, Write Permission

	// Whether the directory did not exist when the rules were validated. The
	// section then serves nothing and protects the URLs below its name.
	Virtual bool

	// The line of the section's header, from 1.
	Line int

	filename string
}

// ParseRules parses a rule file:
//
//	# who may watch the films
//	[films]
//	name = movies
//	ru   = bob, eve
//	rg   = staff
//
//	[films/incoming]
//	wu = $ALL
//
// A section is a directory, relative to the folder of filename. The keys are
// name (the URL prefix), ru and rg (users and groups that may read), wu and wg
// (those that may write) and filters (a section that names filters, but none
// of "*", "all" and "httpout", is for somebody else and is left out). Lists
// are separated by commas; $ALL is anyone, $NONE is nobody.
//
// expand resolves the placeholders of section names; nil means there are none.
//
// Everything that is not understood is an error, because a right that is
// silently not applied leaves a door open; so is a file in which no section
// applies. Errors start with "filename:line: ".
func ParseRules(r io.Reader, filename string, expand func(string) string) (*Rules, error) {
	base, err := filepath.Abs(filepath.Dir(filename))
	if err != nil {
		return nil, fmt.Errorf("locating %s: %w", filename, err)
	}

	rules := &Rules{
		Filename: filename,
		byDir:    make(map[string]*Section),
		byName:   make(map[string]*Section),
	}
	p := ruleParser{rules: rules, lines: newLineReader(r, filename), base: base, expand: expand}
	for p.lines.next() {
		if err := p.parseLine(); err != nil {
			return nil, err
		}
	}
	if err := p.lines.err(); err != nil {
		return nil, err
	}
	if err := p.endSection(); err != nil {
		return nil, err
	}
	if len(rules.Sections) == 0 {
		return nil, fmt.Errorf("%s: no section applies to httpout", filename)
	}
	return rules, nil
}

// Validate checks that every directory either exists or has a name, and
// records in Virtual which ones do not exist. It must be called before the
// rules are shared.
func (r *Rules) Validate(exists func(dir string) bool) error {
	for _, s := range r.Sections {
		s.Virtual = !exists(s.Dir)
		if s.Virtual && s.Name == "" {
			return errorAt(r.Filename, s.Line, "directory %q does not exist (create it, or add a name to protect the URLs below that)", s.Dir)
		}
	}
	return nil
}

// HasWrite reports whether any section gives or refuses write rights, and so
// has a write side.
func (r *Rules) HasWrite() bool {
	return slices.ContainsFunc(r.Sections, (*Section).HasWrite)
}

// ruleParser is the state of ParseRules.
type ruleParser struct {
	rules  *Rules
	lines  *lineReader
	base   string // the folder that sections are relative to
	expand func(string) string

	sec     *Section       // the current section, nil before the first
	keys    map[string]int // its keys and their lines
	applies bool           // whether it is for httpout
}

func (p *ruleParser) parseLine() error {
	dir, isHeader, err := p.lines.header()
	if err != nil {
		return err
	}
	if isHeader {
		if err := p.endSection(); err != nil {
			return err
		}
		return p.beginSection(dir)
	}

	key, value, ok := strings.Cut(p.lines.text, "=")
	if !ok {
		return p.lines.errorf(`got %q, want "[directory]" or "key = value"`, p.lines.text)
	}
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if p.sec == nil {
		return p.lines.errorf("key %q before the first section", key)
	}
	if first, ok := p.keys[key]; ok {
		return p.lines.errorf("key %q is already set in line %d", key, first)
	}
	p.keys[key] = p.lines.line

	switch key {
	case "name":
		p.sec.Name, err = parseName(value)
	case "ru":
		p.sec.Read.Users, err = parseList(value)
	case "rg":
		p.sec.Read.Groups, err = parseList(value)
	case "wu":
		p.sec.Write.Users, err = parseList(value)
	case "wg":
		p.sec.Write.Groups, err = parseList(value)
	case "filters":
		p.applies, err = parseFilters(value)
	default:
		return p.lines.errorf("unknown key %q (want name, ru, rg, wu, wg or filters)", key)
	}
	if err != nil {
		return p.lines.errorf("%s: %v", key, err)
	}
	return nil
}

func (p *ruleParser) beginSection(dir string) error {
	text := dir
	if p.expand != nil {
		dir = strings.TrimSpace(p.expand(dir))
	}
	if dir == "" || strings.ContainsRune(dir, 0) {
		return p.lines.errorf("section %q does not expand to a directory", text)
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(p.base, dir)
	}
	p.sec = &Section{Dir: Resolve(filepath.Clean(dir)), Line: p.lines.line, filename: p.lines.filename}
	p.keys = make(map[string]int)
	p.applies = true
	return nil
}

// endSection adds the current section to the rules. Sections for other filters
// are left out here, and not earlier, so that their lines are checked too.
func (p *ruleParser) endSection() error {
	s := p.sec
	if s == nil || !p.applies {
		return nil
	}
	if err := s.Read.resolve(); err != nil {
		return errorAt(s.filename, s.Line, "ru and rg: %v", err)
	}
	if err := s.Write.resolve(); err != nil {
		return errorAt(s.filename, s.Line, "wu and wg: %v", err)
	}
	if other := p.rules.byDir[dirKey(s.Dir)]; other != nil {
		return errorAt(s.filename, s.Line, "directory %q has a section in line %d already", s.Dir, other.Line)
	}
	p.rules.byDir[dirKey(s.Dir)] = s
	if s.Name != "" {
		if other := p.rules.byName[s.Name]; other != nil {
			return errorAt(s.filename, s.Line, "name %q is used by the section in line %d already", s.Name, other.Line)
		}
		p.rules.byName[s.Name] = s
	}
	p.rules.Sections = append(p.rules.Sections, s)
	return nil
}

// parseName returns a URL prefix without the slashes at its ends.
func parseName(value string) (string, error) {
	name := strings.Trim(value, "/")
	if name == "" {
		return "", errors.New("empty name (leave the key out to serve the directory at the root)")
	}
	if strings.Contains(name, `\`) {
		return "", fmt.Errorf(`%q contains a backslash (separate folders with "/")`, value)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("%q contains the component %q", value, part)
		}
	}
	return name, nil
}

// parseList returns the users or groups of a list, of which there is at least
// one. A name with a space inside is refused: it is a forgotten comma or a
// comment behind the value far more often than a name.
func parseList(value string) ([]string, error) {
	var list []string
	for item := range strings.SplitSeq(value, ",") {
		item = strings.TrimSpace(item)
		switch {
		case item == "":
			return nil, fmt.Errorf("empty name in the list (%s is anyone, %s is nobody)", anyone, nobody)
		case strings.ContainsAny(item, " \t"):
			return nil, fmt.Errorf("%q contains a space (separate names with commas)", item)
		case item[0] == '$' && item != anyone && item != nobody:
			return nil, fmt.Errorf("unknown word %q (want %s or %s)", item, anyone, nobody)
		}
		list = append(list, item)
	}
	return list, nil
}

// parseFilters reports whether a list of filter names includes httpout.
func parseFilters(value string) (bool, error) {
	list := strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })
	if len(list) == 0 {
		return false, errors.New("empty list")
	}
	return slices.ContainsFunc(list, func(name string) bool {
		return name == "*" || name == "all" || name == "httpout"
	}), nil
}

// foldPaths is whether file names that differ only in case are the same file.
// Without regard to that, a section for "private" would not cover a request
// for "PRIVATE", which the system answers with the same file.
var foldPaths = runtime.GOOS == "windows" || runtime.GOOS == "darwin" || runtime.GOOS == "ios"

// dirKey returns the form of a cleaned path under which directories are
// compared.
func dirKey(dir string) string {
	if !foldPaths {
		return dir
	}
	// Both ways, as some letters have two lower-case forms.
	return strings.ToLower(strings.ToUpper(dir))
}
