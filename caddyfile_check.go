package httpout

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddy-httpout/httpout/handler"
)

// errNothing is returned for options that serve nothing.
var errNothing = errors.New("nothing to serve: set rdirs, wdir or input")

// check looks at all options of a block together, without touching the disk. o
// are the options that hold: those of the block, or of the server that it names.
// It returns what has no effect, and an error for what cannot work.
func (s *settings) check(o *handler.Options) (void []string, err error) {
	if (s.cert == "") != (s.pkey == "") {
		return nil, errors.New("cert and pkey go together: set both or neither")
	}
	if s.Server != "" {
		for _, name := range s.given {
			switch name {
			case "server", "input", "dst", "cert", "pkey":
			default:
				return nil, fmt.Errorf("%s cannot be set here, as the options of server '%s' are those of the global options", name, s.Server)
			}
		}
	}
	if err := checkServed(o, s.Destination); err != nil {
		if s.Server != "" {
			err = fmt.Errorf("server '%s': %w", s.Server, err)
		}
		return nil, err
	}
	return voidOptions(o, s.Destination), nil
}

// modeOf returns the mode that options make: hmode, where wdir lets it be.
func modeOf(o *handler.Options) string {
	if o.Mode == modeSource && o.WriteDir == "" {
		return modeSource
	}
	return modeDefault
}

// checkServed refuses options that serve nothing, or what does not go together,
// at a destination.
func checkServed(o *handler.Options, d handler.Destination) error {
	source := modeOf(o) == modeSource
	switch {
	case source && d.Input == "":
		return errors.New("hmode source needs an input to feed: write 'input <name>'")
	case d.Dst != "" && d.Input == "":
		return errors.New("dst is where an input appears: write 'input <name>', too")
	case source && len(o.ReadDirs) > 0:
		return errors.New("rdirs and hmode source cannot be in one block: put rdirs into an httpout block of its own")
	case d.Input != "" && len(o.ReadDirs) > 0:
		return fmt.Errorf("%w; to serve files beside a live stream, put rdirs into an httpout block of its own, and give the one with input a matcher, as in 'httpout /live.mp3 {'",
			unavailableError("storing an input in rdirs"))
	case d.Input != "" && o.WriteDir != "":
		return fmt.Errorf("%w; put wdir into an httpout block of its own, and give the one with input a matcher, as in 'httpout /live.mp3 {'",
			unavailableError("wdir beside an input"))
	case d.Input == "" && len(o.ReadDirs) == 0 && o.WriteDir == "":
		return errNothing
	}
	return checkMounts(o.ReadDirs)
}

// What has no effect: without an input, for live streams, and in source mode.
var (
	voidForFiles   = []string{"hold", "reopen", "ice", "ext", "mime", "max_async_buf", "blockio", "block_size"}
	voidForStreams = []string{"dlist", "norange", "ranges", "zmax", "cache_control", "users", "groups", "fsync"}
	voidForSinks   = []string{"maxs"}
	voidForSources = []string{"reopen", "ice", "ext", "mime", "max_async_buf", "blockio"}
)

// voidOptions tells which options have no effect because of others.
func voidOptions(o *handler.Options, d handler.Destination) []string {
	var void []string
	if o.Mode != "" && o.WriteDir != "" {
		void = append(void, "hmode is ignored, as wdir is set")
	}
	switch {
	case modeOf(o) == modeSource:
		if d.Dst != "" {
			void = append(void, "dst is ignored, as hmode is source")
		}
		void = append(void, ignored(o, "hmode is source", voidForStreams, voidForSources)...)
	case d.Input != "":
		void = append(void, ignored(o, "only a live stream is served", voidForStreams, voidForSinks)...)
	default:
		void = append(void, ignored(o, "there is no input", voidForFiles)...)
		if o.NoRange {
			void = append(void, ignored(o, "norange is set", []string{"ranges"})...)
		}
	}
	return void
}

// ignored says of those of the options that are set that they have no effect,
// and why.
func ignored(o *handler.Options, why string, names ...[]string) []string {
	set := setOptions(o)
	list := slices.DeleteFunc(slices.Concat(names...), func(name string) bool { return !set[name] })
	switch len(list) {
	case 0:
		return nil
	case 1:
		return []string{list[0] + " is ignored, as " + why}
	default:
		return []string{strings.Join(list, ", ") + " are ignored, as " + why}
	}
}

// setOptions returns the names of the options that are not as by default.
func setOptions(o *handler.Options) map[string]bool {
	var fields map[string]json.RawMessage
	text, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(text, &fields)
	}
	if err != nil {
		return nil // the configuration will not load, which says why
	}
	set := make(map[string]bool, len(fields))
	for name := range fields {
		set[name] = true
	}
	return set
}

// checkMounts reports folders that would be mounted under the same name. What
// only the disk can tell is left to the handler: whether an entry is a rule
// file, which has no mount point of its own, or what a link leads to.
func checkMounts(dirs []string) error {
	seen := make(map[string]string, len(dirs))
	for _, dir := range dirs {
		clean := filepath.Clean(dir)
		base := filepath.Base(clean)
		other, ok := seen[base]
		switch {
		case strings.Contains(base, "{"), base == "..":
			continue // not known before it is expanded
		case !ok:
			seen[base] = clean
		case other == clean:
			return fmt.Errorf("rdirs names '%s' twice", dir)
		case filepath.Ext(base) == "":
			return fmt.Errorf("rdirs '%s' and '%s' would both be mounted at /%s/: give one of them another name, with 'name' in a rule file", other, dir, base)
		}
	}
	return nil
}
