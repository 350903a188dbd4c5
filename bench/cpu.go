//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// processCPU returns the CPU time that a process has used so far: all of its
// threads, those that have ended included, in nanoseconds. The tick counters of
// /proc/PID/stat step by 10 ms, as much as a thousand requests cost.
func processCPU(pid int) (time.Duration, error) {
	// The clock's number is made of the process's: see clock_getcpuclockid(3).
	const cpuclockSched = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuclockSched), &ts); err != nil {
		return 0, fmt.Errorf("reading the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// cpuOf adds up the CPU time of several processes.
func cpuOf(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		d, err := processCPU(pid)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// machineCPU returns the CPU time that the whole machine has spent on anything
// but waiting. It steps by 10 ms for each CPU, good enough to notice neighbours.
func machineCPU() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	var sum int64
	for i, f := range bytes.Fields(line) {
		switch i {
		case 1, 2, 3, 6, 7: // user, nice, system, irq, softirq
			n, _ := strconv.ParseInt(string(f), 10, 64)
			sum += n
		}
	}
	return time.Duration(sum) * (time.Second / 100) // USER_HZ is 100 on every Linux
}

// processTree returns a process and all of its descendants.
func processTree(root int) []int {
	parent := map[int]int{}
	names, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		// the command's name, in parentheses, may hold anything
		if f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]); len(f) > 1 {
			parent[pid], _ = strconv.Atoi(string(f[1]))
		}
	}
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		for pid, p := range parent {
			if p == tree[i] {
				tree = append(tree, pid)
			}
		}
	}
	return tree
}

// peakMemory returns the largest resident size that the processes have had, in
// bytes. Pages that they share are counted for each of them.
func peakMemory(pids []int) int64 { return memoryOf(pids, "VmHWM:") }

// residentMemory returns the resident size that the processes have now.
func residentMemory(pids []int) int64 { return memoryOf(pids, "VmRSS:") }

func memoryOf(pids []int, field string) (sum int64) {
	for _, pid := range pids {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range bytes.Lines(b) {
			if v, ok := bytes.CutPrefix(line, []byte(field)); ok {
				n, _ := strconv.ParseInt(string(bytes.Fields(v)[0]), 10, 64)
				sum += n << 10
			}
		}
	}
	return sum
}

// meter measures what a piece of work costs the server and everybody else.
type meter struct {
	pids    []int
	server  time.Duration
	client  time.Duration
	machine time.Duration
	began   time.Time
}

// usage is what happened between start and stop of a meter.
type usage struct {
	wall   time.Duration
	server time.Duration // CPU of the server's processes
	client time.Duration // CPU of this process
	other  time.Duration // CPU of everything else on the machine
}

// settle is how long a meter waits for the server to finish what it does after
// the last byte of an answer, and to go to sleep.
const settle = 10 * time.Millisecond

// start begins a measurement. The server must be idle.
func (m *meter) start() (err error) {
	time.Sleep(settle)
	if m.server, err = cpuOf(m.pids); err != nil {
		return err
	}
	if m.client, err = processCPU(os.Getpid()); err != nil {
		return err
	}
	m.machine = machineCPU()
	m.began = time.Now()
	return nil
}

// stop ends it. The server must have answered everything.
func (m *meter) stop() (u usage, err error) {
	u.wall = time.Since(m.began)
	time.Sleep(settle)
	server, err := cpuOf(m.pids)
	if err != nil {
		return u, err
	}
	client, err := processCPU(os.Getpid())
	if err != nil {
		return u, err
	}
	u.server, u.client = server-m.server, client-m.client
	u.other = max(0, machineCPU()-m.machine-u.server-u.client)
	return u, nil
}
