package notifier

// Tests of one system hold only what that system alone does. This file has what
// TestMain and others read from Linux's /proc.

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// openDescriptors returns what each of the process's descriptors is. Those of
// the runtime's own netpoller are made by the first file that needs it.
func openDescriptors() map[int]string {
	if r, w, err := os.Pipe(); err == nil {
		_, _ = r.Close(), w.Close()
	}
	open := map[int]string{}
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return open
	}
	for _, entry := range list {
		fd, _ := strconv.Atoi(entry.Name())
		// The directory's own descriptor is gone by now.
		if file, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil {
			open[fd] = file
		}
	}
	return open
}

// descriptorsOf returns a doorbell's.
func descriptorsOf(bell doorbell) []int {
	switch bell := bell.(type) {
	case *eventFD:
		return []int{bell.fd}
	case *pipe:
		return []int{bell.fd, bell.w}
	}
	return nil
}

// tasks returns the names of the process's threads.
func tasks() []string {
	var names []string
	list, _ := os.ReadDir("/proc/self/task")
	for _, entry := range list {
		if name, err := os.ReadFile("/proc/self/task/" + entry.Name() + "/comm"); err == nil {
			names = append(names, strings.TrimSpace(string(name)))
		}
	}
	return names
}

// foreignTasks describes the threads of internal/foreign that are alive.
func foreignTasks() string {
	n := 0
	for _, name := range tasks() {
		if name == "foreign" {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d foreign threads\n", n)
}
