//go:build !unix && !windows && !wasip1

package notifier

// This file stands for the systems that have no memory to share with foreign code.

func mapBlock() (b *block, wiped bool, err error) { return nil, false, errUnsupported }

func unmapBlock(*block) {}
