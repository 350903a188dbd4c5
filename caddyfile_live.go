package httpout

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-httpout/httpout/handler"
)

// The modes of operation. In modeSource uploads feed an input.
const (
	modeDefault = "default"
	modeSource  = "source"
)

// sizeAboveZero returns the setter of a number of bytes that cannot be zero.
func sizeAboveZero(field func(*handler.Options) **int64) setter {
	return func(s *settings, args []string) error {
		v, err := parseSize(args[0])
		if err != nil {
			return err
		}
		if v == 0 {
			return errors.New("the size must be more than 0")
		}
		*field(&s.Options) = &v
		return nil
	}
}

// setInput sets input.
func setInput(s *settings, args []string) error {
	if args[0] == "" {
		return errEmpty
	}
	if err := checkInputName(args[0]); err != nil {
		if strings.ContainsAny(args[0], "/:") {
			return fmt.Errorf("%w; what produces it is declared in the global options, as in 'httpout { input <name> http <url> }'", err)
		}
		return err
	}
	s.Input = args[0]
	return nil
}

// setDst sets dst.
func setDst(s *settings, args []string) error {
	dst := args[0]
	switch {
	case dst == "":
		return errEmpty
	case strings.Contains(dst, "://"):
		return unavailableError("dst with a URL, for hmode push,")
	case !strings.HasPrefix(dst, "/") && !strings.HasPrefix(dst, "{"):
		return fmt.Errorf("'%s' is not a path: write '/%s'", dst, dst)
	}
	s.Dst = dst
	return nil
}

// setExt sets ext.
func setExt(s *settings, args []string) error {
	ext, err := parseExt(args[0])
	if err != nil {
		return err
	}
	s.Ext = ext
	return nil
}

// setMediaType sets mime.
func setMediaType(s *settings, args []string) error {
	if err := parseMediaType(args[0]); err != nil {
		return err
	}
	s.MediaType = args[0]
	return nil
}
