package rate

import "container/list"

// A Table has a value for each key: while it is held, and after that until the
// table has more than so many that are not. Its owner locks it.
type Table[V any] struct {
	most   int
	byKey  map[string]*Entry[V]
	unheld list.List // of *Entry[V], the one that was held last in front
}

// An Entry is the value of one key.
type Entry[V any] struct {
	Value V

	key     string
	holders int
	at      *list.Element // in unheld
}

// NewTable returns a table that keeps most entries that nobody holds.
func NewTable[V any](most int) *Table[V] {
	return &Table[V]{most: most, byKey: map[string]*Entry[V]{}}
}

// Hold returns the entry of key, which stays until each Hold had its Release.
func (t *Table[V]) Hold(key string) *Entry[V] {
	e := t.byKey[key]
	switch {
	case e == nil:
		e = &Entry[V]{key: key}
		t.byKey[key] = e
	case e.at != nil:
		t.unheld.Remove(e.at)
		e.at = nil
	}
	e.holders++
	return e
}

// Release ends a Hold. The entry that has not been held for the longest time is
// forgotten where there are too many; forget says that of e nothing need be
// remembered.
func (t *Table[V]) Release(e *Entry[V], forget bool) {
	if e.holders--; e.holders > 0 {
		return
	}
	if forget {
		delete(t.byKey, e.key)
		return
	}
	e.at = t.unheld.PushFront(e)
	if t.unheld.Len() > t.most {
		last := t.unheld.Remove(t.unheld.Back()).(*Entry[V])
		delete(t.byKey, last.key)
	}
}

// Len is how many keys have an entry.
func (t *Table[V]) Len() int { return len(t.byKey) }
