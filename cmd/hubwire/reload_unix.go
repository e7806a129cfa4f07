//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyReload delivers the signal that says that the settings have changed.
func notifyReload(c chan<- os.Signal) { signal.Notify(c, syscall.SIGHUP) }
