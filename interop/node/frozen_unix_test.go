//go:build unix

package main

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// A process that is stopped keeps its connections, to Redis and to other nodes.
func TestAFrozenNodeIsGivenUpAndExecutesNothingLater(t *testing.T) {
	if !harness.OwnNode() {
		t.Skip("the node of HUBWIRE_NODE has no --direct")
	}
	command := harness.NodeCommand(t) + " --nodes 2 --direct true --disconnect-timeout-ms 600000 --redis " + harness.Redis(t)
	a, b := harness.StartNode(t, command), harness.StartNode(t, command)
	atA := poll(t, a.URL)
	atB := b.URL + strings.TrimPrefix(atA, a.URL)
	var got struct{ Directly uint64 }
	for end := time.Now().Add(time.Minute); got.Directly < 40; { // both nodes of b know the owner: each gets a random half
		if status, _, text := ask(t, "POST", atB, "{\"type\":6}\x1e"); status != 200 {
			t.Fatalf("a send: %d %s", status, text)
		}
		_, _, text := ask(t, "GET", b.URL+"/api/forwards", "")
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatalf("after a minute: %+v", got)
		}
	}
	call := func(text string) string {
		return `{"type":1,"target":"Echo","arguments":["` + text + `"],"invocationId":"` + text + "\"}\x1e"
	}
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
	status, _, text := ask(t, "POST", atB, call("frozen"))
	if status != 503 {
		t.Errorf("a send while the owner is frozen: %d %s", status, text)
	}
	t.Logf("given up after %v", time.Since(began))
	signal(syscall.SIGCONT)
	if status, _, text := ask(t, "POST", atB, call("after")); status != 200 {
		t.Errorf("a send once it goes on: %d %s", status, text)
	}
	answers := ""
	for !strings.Contains(answers, "after") {
		status, _, text := ask(t, "GET", atB, "")
		if status != 200 {
			t.Fatalf("a poll: %d %s", status, text)
		}
		answers += text
	}
	if strings.Contains(answers, "frozen") || strings.Count(answers, `"invocationId":"after"`) != 1 {
		t.Errorf("the polls have brought %q", answers)
	}
	if status, _, text := ask(t, "DELETE", atB, ""); status != 202 {
		t.Errorf("the end: %d %s", status, text)
	}
}
