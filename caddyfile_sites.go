package httpout

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-httpout/httpout/handler"
)

// The adapter lets a directive neither add a warning nor tell which site it
// stands in, though its Helper knows both. The functions below read them from
// the Helper's unexported fields, check what they find, and do without where a
// later Caddy has other fields: warnings then go to the log, and blocks are
// independent. Tests notice when that happens.

// state is what the directives of one adaptation tell each other.
type state struct {
	blocks map[blockKey]*block
	warned map[string]bool // texts that one warning is enough for
}

// blockKey is what makes two blocks share a server.
type blockKey struct {
	scope   uintptr // see scopeOf
	matcher string
	mode    string
}

// block is the first block of its key.
type block struct {
	token  caddyfile.Token
	helper httpcaddyfile.Helper // keeps the scope alive, so that it stays unique

	handler      handler.Handler  // what it has become
	options      *handler.Options // those that hold
	destinations []placed         // its own, and those of the blocks that share its server
}

// placed is the destination of a block, and where that stands.
type placed struct {
	handler.Destination
	token caddyfile.Token
}

// stateOf returns the state of the adaptation.
func stateOf(h httpcaddyfile.Helper) *state {
	const key = "httpout"
	st, ok := h.State[key].(*state)
	if !ok {
		st = &state{blocks: make(map[blockKey]*block), warned: make(map[string]bool)}
		h.State[key] = st
	}
	return st
}

// firstBlock returns the block whose server the one at tok shares: that of the
// same mode and the same matcher in the same site, or in the same handle or
// route block. When the block at tok is the first, it is not found but made.
func firstBlock(h httpcaddyfile.Helper, tok caddyfile.Token, matcher caddy.ModuleMap, mode string) (b *block, found bool, err error) {
	scope := scopeOf(h)
	if scope == 0 {
		return new(block), false, nil
	}
	text, err := json.Marshal(matcher)
	if err != nil {
		return nil, false, err
	}
	key := blockKey{scope: scope, matcher: string(text), mode: mode}
	st := stateOf(h)
	if b, ok := st.blocks[key]; ok {
		return b, true, nil
	}
	b = &block{token: tok, helper: h}
	st.blocks[key] = b
	return b, false, nil
}

// join makes a further block, which is at tok, share the server of the first:
// it adds a destination.
func (b *block) join(h httpcaddyfile.Helper, tok caddyfile.Token, matcher caddy.ModuleMap, s *settings) ([]httpcaddyfile.ConfigValue, error) {
	at := fmt.Sprintf("the httpout block at %s:%d", b.token.File, b.token.Line)
	if modeOf(b.options) == modeSource {
		return nil, errorAt(tok, fmt.Errorf("this block with hmode source is never reached, as %s takes all uploads: give both of them matchers, as in 'httpout /a/* {'", at))
	}

	adds := s.Input != ""
	if adds || s.Dst != "" {
		if err := checkServed(b.options, s.Destination); err != nil {
			return nil, errorAt(tok, fmt.Errorf("this block shares the server of %s: %w", at, err))
		}
	}
	for _, d := range b.destinations {
		switch {
		case !adds || cleanDst(d.Dst) != cleanDst(s.Dst):
		case d.Input == s.Input:
			adds = false
		case !strings.HasSuffix(cleanDst(s.Dst), "/"):
			return nil, errorAt(tok, fmt.Errorf("dst '%s' is that of the httpout block at %s:%d, too", s.Dst, d.token.File, d.token.Line))
		}
	}

	var ignored []string
	for _, name := range s.given {
		switch {
		case adds && (name == "input" || name == "dst"):
		case name == "server" && s.Server == b.handler.Server:
		case name == "hmode" && s.Mode == modeOf(b.options):
		default:
			ignored = append(ignored, name)
		}
	}
	text := "this block shares the server of " + at
	if !adds {
		text += " and adds nothing"
	}
	if len(ignored) > 0 {
		text += "; ignored: " + strings.Join(ignored, ", ")
	}
	if !adds || len(ignored) > 0 {
		warn(h, tok, text)
	}
	if !adds {
		return nil, nil
	}

	further := b.handler
	further.Destination = s.Destination
	further.Share = further.Server == ""
	b.destinations = append(b.destinations, placed{s.Destination, tok})
	return h.NewRoute(matcher, &further), nil
}

// begin keeps what the block has become, for those that share its server. o are
// the options that hold for it.
func (b *block) begin(hd handler.Handler, o *handler.Options) {
	b.handler, b.options = hd, o
	b.destinations = []placed{{hd.Destination, b.token}}
}

// cleanDst returns a dst by which two can be compared.
func cleanDst(dst string) string {
	clean := path.Clean("/" + dst)
	if strings.HasSuffix(dst, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// scopeOf identifies the block of directives that a directive stands in. Each
// has its own set of matcher definitions, whose address tells it from others.
// It is 0 when there is none to be found.
func scopeOf(h httpcaddyfile.Helper) uintptr {
	f := reflect.ValueOf(h).FieldByName("matcherDefs")
	if f.Kind() != reflect.Map {
		return 0
	}
	return f.Pointer()
}

// nested reports whether a directive stands in the block of another one, and
// not in the site itself.
func nested(h httpcaddyfile.Helper) bool {
	return reflect.ValueOf(h.BlockState).Pointer() != reflect.ValueOf(h.State).Pointer()
}

// warnOnce adds a warning, unless one with the same text was added already.
func warnOnce(h httpcaddyfile.Helper, tok caddyfile.Token, text string) {
	st := stateOf(h)
	if !st.warned[text] {
		st.warned[text] = true
		warn(h, tok, text)
	}
}

// warn adds a warning to those of the adapter.
func warn(h httpcaddyfile.Helper, tok caddyfile.Token, text string) {
	f := reflect.ValueOf(h).FieldByName("warnings")
	if !f.IsValid() || f.Type() != reflect.TypeFor[*[]caddyconfig.Warning]() || f.IsNil() {
		caddy.Log().Named("httpout").Warn(text, zap.String("file", tok.File), zap.Int("line", tok.Line))
		return
	}
	list := reflect.NewAt(f.Type().Elem(), f.UnsafePointer()).Interface().(*[]caddyconfig.Warning)
	*list = append(*list, caddyconfig.Warning{
		File:      tok.File,
		Line:      tok.Line,
		Directive: "httpout",
		Message:   text,
	})
}
