package httpout

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-httpout/httpout/handler"
)

// errEmpty is returned for a value that must not be empty.
var errEmpty = errors.New("the value is empty")

// setter stores the arguments of an option.
type setter = func(s *settings, args []string) error

// boolean returns the setter of a switch.
func boolean(field func(*handler.Options) *bool) setter {
	return func(s *settings, args []string) error {
		v, err := parseBool(args)
		if err != nil {
			return err
		}
		*field(&s.Options) = v
		return nil
	}
}

// size returns the setter of a number of bytes.
func size(field func(*handler.Options) **int64) setter {
	return func(s *settings, args []string) error {
		v, err := parseSize(args[0])
		if err != nil {
			return err
		}
		*field(&s.Options) = &v
		return nil
	}
}

// number returns the setter of a count.
func number(field func(*handler.Options) **int) setter {
	return func(s *settings, args []string) error {
		v, err := parseCount(args[0])
		if err != nil {
			return err
		}
		*field(&s.Options) = &v
		return nil
	}
}

// headerValue returns the setter of a text that is sent in a header field.
func headerValue(field func(*handler.Options) *string) setter {
	return func(s *settings, args []string) error {
		if args[0] == "" {
			return errEmpty
		}
		if !httpguts.ValidHeaderFieldValue(args[0]) {
			return fmt.Errorf("%q cannot be the value of a header field", args[0])
		}
		*field(&s.Options) = args[0]
		return nil
	}
}

// text returns the setter of a file, a directory or a name: any text but none.
func text(field func(*settings) *string) setter {
	return func(s *settings, args []string) error {
		if args[0] == "" {
			return errEmpty
		}
		*field(s) = args[0]
		return nil
	}
}

// setReadDirs sets rdirs.
func setReadDirs(s *settings, args []string) error {
	for _, dir := range args {
		switch dir {
		case "":
			return errEmpty
		case "gmem":
			return unavailableError("rdirs gmem")
		}
	}
	s.ReadDirs = args
	return nil
}

// setMode sets hmode.
func setMode(s *settings, args []string) error {
	switch args[0] {
	case modeDefault, modeSource:
		s.Mode = args[0]
		return nil
	case "push":
		return unavailableError("hmode push")
	default:
		return fmt.Errorf("unknown mode '%s': want default, push or source", args[0])
	}
}

// setCORS sets cors.
func setCORS(s *settings, args []string) error {
	if len(args) == 0 {
		s.CORS = "on"
		return nil
	}
	switch args[0] {
	case "off", "on", "auto":
		s.CORS = args[0]
	case "true", "yes":
		s.CORS = "on"
	case "false", "no":
		s.CORS = "off"
	default:
		return fmt.Errorf("unknown value '%s': want off, on or auto", args[0])
	}
	return nil
}

// setRanges sets ranges.
func setRanges(s *settings, args []string) error {
	switch args[0] {
	case "concat", "multipart":
		s.Ranges = args[0]
		return nil
	default:
		return fmt.Errorf("unknown value '%s': want concat or multipart", args[0])
	}
}

// setHeaders adds fields to hdrs. A name that is given again gets a second
// value, as some fields may be repeated in a response.
func setHeaders(s *settings, args []string) error {
	if len(args)%2 != 0 {
		return fmt.Errorf("want pairs of a name and a value, got %d words", len(args))
	}
	for i := 0; i < len(args); i += 2 {
		name, value := args[i], args[i+1]
		if err := checkHeader(name, value); err != nil {
			return err
		}
		if s.Headers == nil {
			s.Headers = make(http.Header)
		}
		s.Headers.Add(name, value)
	}
	return nil
}

// setTimeout sets timeout.
func setTimeout(s *settings, args []string) error {
	d, err := parseDuration(args[0])
	if err != nil {
		return err
	}
	v := caddy.Duration(d)
	s.Timeout = &v
	return nil
}

// setReqLog sets reqlog. Several arguments are one list.
func setReqLog(s *settings, args []string) error {
	list, err := parseReqLog(strings.Join(args, ","))
	if err != nil {
		return err
	}
	s.ReqLog = list
	return nil
}

// setHide sets hide.
func setHide(s *settings, args []string) error {
	for _, pattern := range args {
		if pattern == "" {
			return errEmpty
		}
		if _, err := filepath.Match(pattern, ""); err != nil {
			return fmt.Errorf("'%s' is not a pattern: %v", pattern, err)
		}
	}
	s.Hide = args
	return nil
}

// setPorts sets port.
func setPorts(s *settings, args []string) error {
	ports, err := parsePorts(args)
	if err != nil {
		return err
	}
	s.ports = ports
	return nil
}
