package sourcebus

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-httpout/httpout/handler/mediatype"
	"github.com/caddy-httpout/httpout/sinkbus"
)

// expand replaces the placeholders in an argument of an input, which must not
// be empty.
func expand(name string, value *string) error {
	v, err := caddy.NewReplacer().ReplaceOrErr(*value, true, true)
	if err != nil {
		return fmt.Errorf("expanding %s: %v", name, err)
	}
	if v == "" {
		return fmt.Errorf("%s is missing", name)
	}
	*value = v
	return nil
}

// openSingle opens the stream of an input that has one at a time, under the
// name of the input.
func (in *Input) openSingle(d sinkbus.Declared) (*sinkbus.Stream, error) {
	return in.OpenLive("/"+in.Name, d)
}

// untilDone completes a stream when ctx is done, which also ends a write that
// waits for its readers. The function that it returns undoes that.
func untilDone(ctx context.Context, s *sinkbus.Stream) (undo func() bool) {
	return context.AfterFunc(ctx, s.Complete)
}

// typeOf returns the media type that was declared, if it says anything, or else
// that of the file name.
func typeOf(declared, name string) string {
	if mediatype.Specific(declared) {
		return declared
	}
	return mediatype.ByName(name)
}
