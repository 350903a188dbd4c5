package sourcebus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

const (
	inotifyEvents = unix.IN_CREATE | unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_DELETE |
		unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR | unix.IN_EXCL_UNLINK

	// inotifyHeader is the size of an event without its name.
	inotifyHeader = 16

	// checkFolder is how often it is looked whether the folder is still there.
	// The system tells that only once nobody has it open.
	checkFolder = time.Second
)

// inotify is the notifier of Linux. It is used by itself, not through a package
// for all systems, because only it tells when a writer closes a file.
type inotify struct {
	file   *os.File
	fd     int // of file
	raw    syscall.RawConn
	dir    string
	root   *os.Root
	logger *zap.Logger

	self    fs.FileInfo      // the folder
	checked time.Time        // when it was there
	folders map[int32]string // those that are watched, by watch descriptor
	events  []fileEvent
	gone    bool
	buf     [64 << 10]byte
}

// newNotifier returns what tells of changes in a folder, and of the files that
// are there already if all is set.
func newNotifier(dir string, root *os.Root, all bool, logger *zap.Logger) (notifier, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		logger.Warn("cannot be told what happens in the folder, looking at it instead", zap.Error(err))
		return newScanner(dir, root, all)
	}
	n := &inotify{
		file: os.NewFile(uintptr(fd), "inotify"), fd: fd,
		dir: dir, root: root, logger: logger, folders: make(map[int32]string),
	}
	if err := n.start(all); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *inotify) start(all bool) (err error) {
	if n.raw, err = n.file.SyscallConn(); err != nil {
		return err
	}
	if n.self, err = n.root.Stat("."); err != nil {
		return err
	}
	n.checked = time.Now()
	var op fileOp
	if all {
		op = fileFound
	}
	return n.watch(".", op)
}

// watch adds a folder and those within it. What is in them already is told as
// the given event, unless that is 0.
func (n *inotify) watch(name string, op fileOp) error {
	mask := uint32(inotifyEvents)
	if name == "." {
		mask |= unix.IN_MOVE_SELF
	} else {
		mask |= unix.IN_DONT_FOLLOW
	}
	wd, err := unix.InotifyAddWatch(n.fd, filepath.Join(n.dir, filepath.FromSlash(name)), mask)
	if err != nil {
		return fmt.Errorf("watching folder %s: %w", name, err)
	}
	n.folders[int32(wd)] = name
	entries, err := fs.ReadDir(n.root.FS(), name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		below := path.Join(name, e.Name())
		switch {
		case passedOver(e.Name()):
		case e.IsDir():
			n.watchBelow(below, op)
		case op != 0:
			n.events = append(n.events, fileEvent{op, below})
		}
	}
	return nil
}

// watchBelow is watch for a folder within the folder, which may be gone again.
func (n *inotify) watchBelow(name string, op fileOp) {
	if err := n.watch(name, op); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
		n.logger.Warn("cannot watch a folder", zap.Error(err))
	}
}

// unwatch takes a folder away, and those within it.
func (n *inotify) unwatch(name string) {
	for wd, folder := range n.folders {
		if folder == name || strings.HasPrefix(folder, name+"/") {
			delete(n.folders, wd)
			// it fails for a folder that is gone, whose watch is gone with it
			_, _ = unix.InotifyRmWatch(n.fd, uint32(wd))
		}
	}
}

// wait implements notifier.
func (n *inotify) wait(ctx context.Context, d time.Duration) ([]fileEvent, error) {
	if n.check(); len(n.events) > 0 || n.gone {
		d = 0
	}
	if d < 0 || d > checkFolder {
		d = checkFolder
	}
	var deadline time.Time
	if d > 0 {
		deadline = time.Now().Add(d)
	}
	if err := n.file.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() {
		// it can only fail for a file that is closed, which ends the wait too
		_ = n.file.SetReadDeadline(time.Unix(1, 0))
	})()

	var size int
	var failed error
	err := n.raw.Read(func(fd uintptr) bool {
		size, failed = unix.Read(int(fd), n.buf[:])
		return d == 0 || failed != unix.EAGAIN
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded), failed == unix.EAGAIN, failed == unix.EINTR:
		size = 0
	case err != nil:
		return nil, err
	case failed != nil:
		return nil, os.NewSyscallError("read", failed)
	}
	n.take(n.buf[:max(0, size)])
	if n.gone && len(n.events) == 0 {
		return nil, errFolderGone
	}
	events := n.events
	n.events = nil
	return events, nil
}

// check looks whether the folder is still there, now and then.
func (n *inotify) check() {
	if time.Since(n.checked) < checkFolder {
		return
	}
	n.checked = time.Now()
	if self, err := os.Stat(n.dir); err != nil || !os.SameFile(self, n.self) {
		n.gone = true
	}
}

// take adds the events that the system has put into p.
func (n *inotify) take(p []byte) {
	for len(p) >= inotifyHeader {
		wd := int32(binary.NativeEndian.Uint32(p))
		mask := binary.NativeEndian.Uint32(p[4:])
		end := inotifyHeader + int(binary.NativeEndian.Uint32(p[12:]))
		if end > len(p) {
			return
		}
		name, _, _ := bytes.Cut(p[inotifyHeader:end], []byte{0})
		p = p[end:]
		n.event(wd, mask, string(name))
	}
}

// event adds what an event of the system means.
func (n *inotify) event(wd int32, mask uint32, name string) {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		n.events = append(n.events, fileEvent{op: eventsLost})
		if err := n.watch(".", 0); err != nil {
			n.gone = true
		}
		return
	}
	folder, ok := n.folders[wd]
	switch {
	case !ok:
		return // it has been taken away
	case mask&(unix.IN_MOVE_SELF|unix.IN_UNMOUNT|unix.IN_IGNORED) != 0:
		delete(n.folders, wd)
		n.gone = n.gone || folder == "."
		return
	case name == "":
		return
	}
	name = path.Join(folder, name)
	if mask&unix.IN_ISDIR != 0 {
		n.folderEvent(mask, name)
		return
	}
	if passedOver(name) {
		return
	}
	for _, e := range [...]struct {
		mask uint32
		op   fileOp
	}{
		{unix.IN_CREATE | unix.IN_MODIFY, fileWritten},
		{unix.IN_CLOSE_WRITE, fileClosed},
		{unix.IN_MOVED_TO, fileMoved},
		{unix.IN_MOVED_FROM | unix.IN_DELETE, fileRemoved},
	} {
		if mask&e.mask != 0 {
			n.events = append(n.events, fileEvent{e.op, name})
		}
	}
}

func (n *inotify) folderEvent(mask uint32, name string) {
	switch {
	case mask&(unix.IN_MOVED_FROM|unix.IN_DELETE) != 0:
		n.unwatch(name)
		n.events = append(n.events, fileEvent{folderRemoved, name})
	case passedOver(name):
	case mask&unix.IN_CREATE != 0:
		n.watchBelow(name, fileFound)
	case mask&unix.IN_MOVED_TO != 0:
		n.watchBelow(name, fileMoved)
	}
}

// tellsClose implements notifier. A file with several names may have got this
// one without being opened, as a symbolic link does.
func (n *inotify) tellsClose(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 1
}

// Close implements notifier.
func (n *inotify) Close() error { return n.file.Close() }
