//go:build !linux

// Command bench compares httpout with other servers. It needs Linux.
package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "bench: runs on Linux only (this is %s): it reads the CPU clocks of other\n"+
		"processes and the kernel's arrival times of packets, which are Linux interfaces\n", runtime.GOOS)
	os.Exit(2)
}
