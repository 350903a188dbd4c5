package sourcebus

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// As the first process of a container, orphans become our children.
func TestExecReapsOrphans(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	// newRig checks afterwards that there are no children
	r := newRig(t, shell("(sleep 1000 & echo $!); (sleep 0 &); sleep 1001", ""))
	t.Cleanup(func() {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0); err != nil {
			t.Error(err)
		}
	})
	e := begun(t, r)
	pid := r.line(e.Reader)
	if list := children(); len(list) < 2 {
		t.Errorf("got children %v, want the program and an orphan", list)
	}
	r.stop()
	r.next(sinkbus.Completed)
	if isAlive(pid) {
		t.Error("the orphan goes on")
	}
	if list := children(); len(list) > 0 {
		t.Errorf("got children %v, want none", list)
	}
}
