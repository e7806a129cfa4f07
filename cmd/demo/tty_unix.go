//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// ignoreBackgroundReads lets the demo run behind an & of a shell: a read of the
// terminal then fails, instead of stopping the program.
func ignoreBackgroundReads() { signal.Ignore(syscall.SIGTTIN) }
