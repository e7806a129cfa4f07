package server

import (
	"reflect"
	"runtime"
	"sync"
	"unsafe"
	"weak"
)

// managers knows which LifetimeManager serves which hub: two hubs that share one
// would send to each other's clients. Only pointers are known, and weakly: a
// hub that nobody uses goes without a word, and takes its entry with it.
var managers managerTable

type managerTable struct {
	mu   sync.Mutex
	hubs map[weak.Pointer[byte]]string
}

// pointerOf returns what identifies a manager, or nil. Those without fields
// cannot know any connection.
func pointerOf(m LifetimeManager) *byte {
	v := reflect.ValueOf(m)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Type().Elem().Size() == 0 {
		return nil
	}
	return (*byte)(unsafe.Pointer(v.UnsafePointer()))
}

// owner returns the name of the hub that m serves, or "".
func (t *managerTable) owner(m LifetimeManager) string {
	p := pointerOf(m)
	if p == nil {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hubs[weak.Make(p)]
}

// bind says that m serves hub from now on. It reports false if m serves another.
func (t *managerTable) bind(m LifetimeManager, hub string) bool {
	p := pointerOf(m)
	if p == nil {
		return true
	}
	key := weak.Make(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hubs[key] != "" {
		return false
	}
	if t.hubs == nil {
		t.hubs = map[weak.Pointer[byte]]string{}
	}
	t.hubs[key] = hub
	runtime.AddCleanup(p, t.forget, key)
	return true
}

// release lets another hub have m.
func (t *managerTable) release(m LifetimeManager) {
	if p := pointerOf(m); p != nil {
		t.forget(weak.Make(p))
	}
}

func (t *managerTable) forget(key weak.Pointer[byte]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.hubs, key)
}
