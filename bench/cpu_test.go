//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary stand in for the children that tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "floor":
			main()
			return
		case "burn":
			burnChild()
			return
		}
	}
	os.Exit(m.Run())
}

// burnChild uses some CPU time on two threads each time it gets a line, and
// answers with what the kernel's other account, getrusage, says that it used.
func burnChild() {
	used := func() int64 {
		var ru unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
			panic(err)
		}
		return ru.Utime.Nano() + ru.Stime.Nano()
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		before := used()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for used()-before < int64(300*time.Millisecond) {
					firstDiff(noise, noise)
				}
			})
		}
		wg.Wait()
		fmt.Println(used() - before)
	}
}

func TestProcessCPUOfBusyChild(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "burn")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	answers := bufio.NewReader(out)
	burn := func() time.Duration {
		t.Helper()
		io.WriteString(in, "\n")
		line, err := answers.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		ns, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(ns)
	}
	burn() // start-up is over

	m := meter{pids: []int{cmd.Process.Pid}}
	if err := m.start(); err != nil {
		t.Fatal(err)
	}
	want := burn()
	u, err := m.stop()
	if err != nil {
		t.Fatal(err)
	}
	if want < 300*time.Millisecond {
		t.Fatalf("child says it used %v", want)
	}
	if diff := (u.server - want).Abs(); diff > want/10 {
		t.Errorf("got %v of CPU time, child says %v", u.server, want)
	}
	if u.client > want/2 {
		t.Errorf("got %v of CPU time for this process, which only waited", u.client)
	}

	if err := m.start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if u, err = m.stop(); err != nil {
		t.Fatal(err)
	}
	if u.server > 20*time.Millisecond {
		t.Errorf("got %v of CPU time for an idle child", u.server)
	}
}

func TestProcessCPUOfNobody(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Skip(err)
	}
	if d, err := processCPU(cmd.Process.Pid); err == nil {
		t.Errorf("got %v for a process that has ended, want an error", d)
	}
}

func TestProcessTree(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sleep 60 & echo $!; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	grandchild, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := processTree(cmd.Process.Pid), []int{cmd.Process.Pid, grandchild}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !slices.Contains(processTree(os.Getpid()), grandchild) {
		t.Error("a grandchild is not found")
	}
	unix.Kill(grandchild, unix.SIGKILL)
	cmd.Wait()
}
