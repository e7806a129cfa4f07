package server

import (
	"runtime"
	"testing"
)

func TestAManagerIsBoundOnceAndForgottenWithItsHub(t *testing.T) {
	var table managerTable
	m := NewLifetimeManager()
	first, second := &Hub{name: "first"}, &Hub{name: "second"}
	if table.bind(m, first) != nil || table.bind(m, second) != first || table.owner(m) != first {
		t.Errorf("the manager serves %v, want the first hub alone", table.owner(m))
	}
	table.release(m, second) // it is not the second's
	if table.owner(m) != first {
		t.Error("a hub has released the manager of another")
	}
	table.release(m, first)
	if table.bind(m, second) != nil {
		t.Error("a manager that was released is refused")
	}
	runtime.KeepAlive(first)
	runtime.KeepAlive(second)
	left := func() int {
		table.mu.Lock()
		defer table.mu.Unlock()
		return len(table.hubs)
	}
	for left() > 0 { // for ever, if something keeps the hub
		runtime.GC()
		runtime.Gosched()
	}
	if third := (&Hub{name: "third"}); table.bind(m, third) != nil {
		t.Error("a manager whose hub is gone is refused")
	}
}

func TestManagersThatCannotBeToldApartServeAnyHub(t *testing.T) {
	type empty struct{ LifetimeManager }
	type none struct{}
	var table managerTable
	for range 2 {
		if other := table.bind(empty{NewLifetimeManager()}, &Hub{}); other != nil {
			t.Errorf("a manager that is no pointer serves %v", other)
		}
	}
	if _, known := addressOf(&struct {
		none
		LifetimeManager
	}{}); !known {
		t.Error("a pointer to fields is not known")
	}
}
