package httpout

import (
	"encoding/json"
	"reflect"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// The adapter lets a directive neither add a warning nor tell which site it
// stands in, though its Helper knows both. The functions below read them from
// the Helper's unexported fields, check what they find, and do without where a
// later Caddy has other fields: warnings then go to the log, and blocks are
// independent. Tests notice when that happens.

// state is what the directives of one adaptation tell each other.
type state struct {
	blocks   map[blockKey]block
	reported map[string]bool // servers whose void options were warned about
}

// blockKey is what makes two blocks share a server. The mode of operation will
// be part of it as soon as there is more than one.
type blockKey struct {
	scope   uintptr // see scopeOf
	matcher string
}

// block is the first block of its key.
type block struct {
	token  caddyfile.Token
	helper httpcaddyfile.Helper // keeps the scope alive, so that it stays unique
}

// stateOf returns the state of the adaptation.
func stateOf(h httpcaddyfile.Helper) *state {
	const key = "httpout"
	st, ok := h.State[key].(*state)
	if !ok {
		st = &state{blocks: make(map[blockKey]block), reported: make(map[string]bool)}
		h.State[key] = st
	}
	return st
}

// firstBlock returns where the block stands whose server the block at tok
// shares: that of the same matcher in the same site, or in the same handle or
// route block. It is nil when the block at tok is the first.
func firstBlock(h httpcaddyfile.Helper, tok caddyfile.Token, matcher caddy.ModuleMap) (*caddyfile.Token, error) {
	scope := scopeOf(h)
	if scope == 0 {
		return nil, nil
	}
	text, err := json.Marshal(matcher)
	if err != nil {
		return nil, err
	}
	key := blockKey{scope: scope, matcher: string(text)}
	st := stateOf(h)
	if first, ok := st.blocks[key]; ok {
		return &first.token, nil
	}
	st.blocks[key] = block{token: tok, helper: h}
	return nil, nil
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
