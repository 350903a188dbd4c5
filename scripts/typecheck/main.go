// Command typecheck checks that packages compile for other operating systems:
//
//	go run ./scripts/typecheck -tags a,b -os darwin,windows,freebsd ./...
//
// It does what `go vet` does first, but on the sources of all dependencies. For
// `go vet` they have to be compiled, which takes minutes for each system, as
// Caddy is among them; this takes seconds. Tests are checked as well.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

func main() {
	tags := flag.String("tags", "", "build tags, separated by commas")
	systems := flag.String("os", "darwin,windows,freebsd", "operating systems, separated by commas")
	flag.Parse()
	failed := false
	for system := range strings.SplitSeq(*systems, ",") {
		n, errs := check(system, *tags, flag.Args())
		for _, err := range errs {
			fmt.Fprintf(os.Stderr, "%s: %v\n", system, err)
			failed = true
		}
		fmt.Printf("%s: %d packages\n", system, n)
	}
	if failed {
		os.Exit(1)
	}
}

// listed is what `go list` tells of a package.
type listed struct {
	ImportPath string
	Name       string
	Dir        string
	GoFiles    []string
	ImportMap  map[string]string
	DepOnly    bool
	Module     *struct{ GoVersion string }

	files []*ast.File
	errs  []error
	err   error
}

// check checks the packages for a system. It returns how many there were, not
// counting what they depend on.
func check(system, tags string, patterns []string) (int, []error) {
	args := []string{"list", "-deps", "-test", "-json=ImportPath,Name,Dir,GoFiles,ImportMap,DepOnly,Module", "-tags", tags, "--"}
	cmd := exec.Command("go", append(args, patterns...)...)
	cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, []error{fmt.Errorf("listing packages: %v", err)}
	}
	var all []*listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		p := new(listed)
		if err := dec.Decode(p); err == io.EOF {
			break
		} else if err != nil {
			return 0, []error{fmt.Errorf("listing packages: %v", err)}
		}
		// the programs that run tests are made up by the go command
		if !strings.HasSuffix(p.ImportPath, ".test") && p.ImportPath != "unsafe" {
			all = append(all, p)
		}
	}

	fset := token.NewFileSet()
	parse(fset, all)
	checked := map[string]*types.Package{"unsafe": types.Unsafe}
	var errs []error
	n := 0
	for _, p := range all { // in order of their dependencies
		conf := types.Config{
			Importer:         importer{checked, p.ImportMap},
			IgnoreFuncBodies: p.DepOnly,
			Sizes:            types.SizesFor("gc", runtime.GOARCH),
			Error:            func(err error) { p.errs = append(p.errs, err) },
		}
		if p.Module != nil && p.Module.GoVersion != "" {
			conf.GoVersion = "go" + p.Module.GoVersion
		}
		path, _, _ := strings.Cut(p.ImportPath, " ")
		pkg, _ := conf.Check(path, fset, p.files, nil)
		checked[p.ImportPath] = pkg
		errs = append(errs, p.errs...)
		if p.err != nil {
			errs = append(errs, p.err)
		}
		if !p.DepOnly {
			n++
		}
	}
	return n, errs
}

// parse parses the files of packages.
func parse(fset *token.FileSet, all []*listed) {
	var wg sync.WaitGroup
	running := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, p := range all {
		running <- struct{}{}
		wg.Go(func() {
			defer func() { <-running }()
			for _, name := range p.GoFiles {
				if !filepath.IsAbs(name) {
					name = filepath.Join(p.Dir, name)
				}
				f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
				if err != nil {
					p.err = errors.Join(p.err, err)
				}
				if f != nil {
					p.files = append(p.files, f)
				}
			}
		})
	}
	wg.Wait()
}

// importer imports packages that were checked before.
type importer struct {
	checked map[string]*types.Package
	names   map[string]string // from how they are imported to what is meant
}

// Import implements types.Importer.
func (im importer) Import(path string) (*types.Package, error) {
	if name, ok := im.names[path]; ok {
		path = name
	}
	if pkg := im.checked[path]; pkg != nil {
		return pkg, nil
	}
	return nil, fmt.Errorf("package %s was not listed", path)
}
