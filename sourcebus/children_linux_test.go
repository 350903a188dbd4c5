package sourcebus

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// children returns our child processes, those that were not waited for
// included.
func children() []string {
	var list []string
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has just ended
		}
		// pid (name) state ppid …
		head, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) {
			list = append(list, fmt.Sprintf("%s) %s", head, f[0]))
		}
	}
	return list
}

// isAlive tells whether a process runs. One that nobody has waited for does not.
func isAlive(pid string) bool {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}
