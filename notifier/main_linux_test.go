package notifier

// Tests of one system hold only what that system alone does. This file has what
// TestMain and others read from Linux's /proc.

import (
	"fmt"
	"os"
	"strings"
)

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
