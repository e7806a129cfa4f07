package server

import (
	"reflect"
	"runtime"
	"sync"
	"weak"
)

// managers knows which LifetimeManager serves which hub: two hubs that share
// one would send to each other's clients. A manager is known by its address,
// which is its own as long as its hub lives, since the hub holds it. Hubs are
// known by weak pointers: one that is no longer used is collected, and its
// entry is removed.
var managers managerTable

type managerTable struct {
	mu   sync.Mutex
	hubs map[uintptr]weak.Pointer[Hub]
}

// addressOf returns what identifies a manager. Those that are no pointers cannot
// be told apart, and those without fields cannot know any connection.
func addressOf(m LifetimeManager) (address uintptr, known bool) {
	v := reflect.ValueOf(m)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Type().Elem().Size() == 0 {
		return 0, false
	}
	return v.Pointer(), true
}

// owner returns the hub that m serves, or nil.
func (t *managerTable) owner(m LifetimeManager) *Hub {
	t.mu.Lock()
	defer t.mu.Unlock()
	address, _ := addressOf(m)
	return t.hubs[address].Value()
}

// bind says that m, which h holds, serves h from now on. It returns another hub
// that m serves, if there is one.
func (t *managerTable) bind(m LifetimeManager, h *Hub) (other *Hub) {
	address, known := addressOf(m)
	if !known {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if other := t.hubs[address].Value(); other != nil {
		return other
	}
	if t.hubs == nil {
		t.hubs = map[uintptr]weak.Pointer[Hub]{}
	}
	own := weak.Make(h)
	t.hubs[address] = own
	runtime.AddCleanup(h, func(own weak.Pointer[Hub]) { t.forget(address, own) }, own)
	return nil
}

// release lets another hub than h have m.
func (t *managerTable) release(m LifetimeManager, h *Hub) {
	if address, known := addressOf(m); known {
		t.forget(address, weak.Make(h))
	}
}

// forget removes the entry of a hub, unless another one has the address by now.
func (t *managerTable) forget(address uintptr, of weak.Pointer[Hub]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hubs[address] == of {
		delete(t.hubs, address)
	}
}
