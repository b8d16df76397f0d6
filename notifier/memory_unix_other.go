//go:build unix && !linux

package notifier

// This file stands for the unixes that are not asked for small pages.

func preferSmallPages([]byte) {}
