package access

import (
	"io"
	"strings"
)

// Groups is who belongs to which group. It is not changed after it was parsed,
// so it can be read from many goroutines.
type Groups struct {
	members map[string]map[string]struct{} // by group, by user
}

// Has reports whether user is in group. A nil Groups has no members.
func (g *Groups) Has(group, user string) bool {
	if g == nil {
		return false
	}
	_, ok := g.members[group][user]
	return ok
}

// Len returns the number of groups.
func (g *Groups) Len() int {
	if g == nil {
		return 0
	}
	return len(g.members)
}

// LoadGroups reads a file for ParseGroups.
func LoadGroups(filename string) (*Groups, error) {
	return loadFile(filename, ParseGroups)
}

// ParseGroups parses an htgroup file, as Apache's mod_authz_groupfile reads
// it: lines of "group: user user", where a group that occurs again gets more
// users. Errors start with "filename:line: ".
func ParseGroups(r io.Reader, filename string) (*Groups, error) {
	g := &Groups{members: make(map[string]map[string]struct{})}
	lines := newLineReader(r, filename)
	for lines.next() {
		group, users, ok := strings.Cut(lines.text, ":")
		group = strings.TrimSpace(group)
		if !ok || group == "" || strings.ContainsAny(group, " \t,") {
			return nil, lines.errorf(`got %q, want "group: user user"`, lines.text)
		}
		if strings.Contains(users, ",") {
			return nil, lines.errorf("group %q: comma in the list (separate users with spaces)", group)
		}
		g.add(group, strings.Fields(users))
	}
	if err := lines.err(); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *Groups) add(group string, users []string) {
	members := g.members[group]
	if members == nil {
		members = make(map[string]struct{}, len(users))
		g.members[group] = members
	}
	for _, user := range users {
		members[user] = struct{}{}
	}
}
