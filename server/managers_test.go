package server

import (
	"runtime"
	"testing"
)

func TestAManagerIsBoundOnceAndForgottenWithIt(t *testing.T) {
	var table managerTable
	m := NewLifetimeManager()
	if !table.bind(m, "first") || table.bind(m, "second") || table.owner(m) != "first" {
		t.Errorf("the manager serves %q, want the first hub alone", table.owner(m))
	}
	table.release(m)
	if !table.bind(m, "second") {
		t.Error("a manager that was released is refused")
	}
	runtime.KeepAlive(m)
	left := func() int {
		table.mu.Lock()
		defer table.mu.Unlock()
		return len(table.hubs)
	}
	for left() > 0 { // for ever, if something keeps the manager
		runtime.GC()
		runtime.Gosched()
	}
}
