//go:build unix

package main

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// A process that is stopped keeps its connections, to Redis and to other nodes.
func TestAFrozenNodeIsGivenUpAndExecutesNothingLater(t *testing.T) {
	a, _, atB := twoProcesses(t)
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(a.PID(), s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	var is syscall.WaitStatus
	for err := syscall.EINTR; err == syscall.EINTR; { // it goes on for a moment
		_, waited := syscall.Wait4(a.PID(), &is, syscall.WUNTRACED, nil)
		err, _ = waited.(syscall.Errno)
	}
	if !is.Stopped() {
		t.Fatalf("the node is not stopped: %v", is)
	}
	began := time.Now()
	status, _, text := ask(t, "POST", atB, calls("frozen"))
	if status != 503 {
		t.Errorf("a send while the owner is frozen: %d %s", status, text)
	}
	t.Logf("given up after %v", time.Since(began))
	signal(syscall.SIGCONT)
	if status, _, text := ask(t, "POST", atB, calls("after")); status != 200 {
		t.Errorf("a send once it goes on: %d %s", status, text)
	}
	answers := polls(t, atB, "after")
	if strings.Contains(answers, "frozen") || strings.Count(answers, `"invocationId":"after"`) != 1 {
		t.Errorf("the polls have brought %q", answers)
	}
	if status, _, text := ask(t, "DELETE", atB, ""); status != 202 {
		t.Errorf("the end: %d %s", status, text)
	}
}
