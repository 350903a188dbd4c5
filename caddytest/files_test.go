package caddytest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// file is the name on disk of a file that is served.
func (s *server) file(name string) string {
	return filepath.Join(s.root, filepath.FromSlash(name))
}

// read returns the content of a file that is served, and whether it is there.
func (s *server) read(t testing.TB, name string) (string, bool) {
	t.Helper()
	data, err := os.ReadFile(s.file(name))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return "", false
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(data), true
}

// readWhole reads a file.
func readWhole(name string) (string, error) {
	data, err := os.ReadFile(name)
	return string(data), err
}

// wantFile checks the content of a file that is served.
func (s *server) wantFile(t testing.TB, name, want string) {
	t.Helper()
	got, ok := s.read(t, name)
	if !ok {
		t.Errorf("file %s: got none, want %v", name, shorten(want))
		return
	}
	equal(t, "file "+name, got, want)
}

// wantNoFile checks that a file is not there.
func (s *server) wantNoFile(t testing.TB, name string) {
	t.Helper()
	if _, err := os.Lstat(s.file(name)); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("file %s: it exists (%v), want none", name, err)
	}
}

// tree lists every file and every empty folder below the one that is served,
// sorted.
func (s *server) tree(t testing.TB) []string {
	t.Helper()
	names, err := listTree(s.root)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func listTree(root string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed meanwhile
			}
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if e.IsDir() {
			if entries, err := os.ReadDir(name); err == nil && len(entries) == 0 && rel != "." {
				names = append(names, filepath.ToSlash(rel)+"/")
			}
			return nil
		}
		names = append(names, filepath.ToSlash(rel))
		return nil
	})
	slices.Sort(names)
	return names, err
}

// temporaries lists the temporary files of uploads.
func temporaries(root string) ([]string, error) {
	names, err := listTree(root)
	return slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasPrefix(name[strings.LastIndexByte(name, '/')+1:], ".httpout-")
	}), err
}

// wantNoTemporaries waits until no temporary files are left.
func (s *server) wantNoTemporaries(t testing.TB) {
	t.Helper()
	await(t, 10*time.Second, "temporary files to go", func() error {
		names, err := temporaries(s.root)
		if err == nil && len(names) > 0 {
			err = fmt.Errorf("there are %q", names)
		}
		return err
	})
}

// writeFile writes a file and the folders above it. A name that ends in a slash
// is that of a folder.
func writeFile(t testing.TB, name, content string) {
	t.Helper()
	if strings.HasSuffix(name, "/") {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
