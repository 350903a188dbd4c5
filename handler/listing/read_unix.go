//go:build unix && !aix

package listing

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// read implements Read with one fstatat per entry, relative to the open
// directory: the kernel walks no path, and the result is not boxed in an
// os.FileInfo. The type that came with the name is of no use, since size and
// time are needed anyway.
func read(root *os.Root, rel string, skip func(name string) bool) ([]Entry, error) {
	// O_DIRECTORY, as opening a pipe would wait for its other end
	dir, err := root.OpenFile(rel, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	conn, err := dir.SyscallConn()
	if err != nil {
		return nil, err
	}

	entries := make([]Entry, 0, len(names))
	err = conn.Control(func(fd uintptr) {
		var st unix.Stat_t
		for _, name := range names {
			if skip(name) || statAt(int(fd), name, &st) != nil {
				continue
			}
			switch st.Mode & unix.S_IFMT {
			case unix.S_IFREG, unix.S_IFDIR:
				sec, nsec := st.Mtim.Unix()
				entries = append(entries, Entry{
					Name:    name,
					Size:    st.Size,
					ModTime: time.Unix(sec, nsec).UTC(),
					Dir:     st.Mode&unix.S_IFMT == unix.S_IFDIR,
				})
			case unix.S_IFLNK:
				if e, ok := readLink(root, rel, name); ok {
					entries = append(entries, e)
				}
			}
		}
	})
	return entries, err
}

// statAt is lstat of name in the directory fd. File systems in user space may
// interrupt it.
func statAt(fd int, name string, st *unix.Stat_t) error {
	for {
		if err := unix.Fstatat(fd, name, st, unix.AT_SYMLINK_NOFOLLOW); err != unix.EINTR {
			return err
		}
	}
}
