package blog

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hubwire/hubwire/server"
)

// A Person is somebody who is here.
type Person struct {
	ID        string `json:"id" msgpack:"id"` // of the connection
	Name      string `json:"name" msgpack:"name"`
	Node      string `json:"node" msgpack:"node"`
	Transport string `json:"transport" msgpack:"transport"`
}

// People is a register of who is here, on all nodes that share it. It is safe
// for concurrent use.
type People interface {
	// Put adds a person, or replaces the one with the same ID.
	Put(ctx context.Context, p Person) error

	// Remove removes a person, if there is such a one.
	Remove(ctx context.Context, id string) error

	// All returns everyone, in any order.
	All(ctx context.Context) ([]Person, error)
}

const (
	longestName = 30  // letters
	mostPeople  = 100 // in a PeopleChanged
)

// personKey is where Call.Items has the caller's Person.
type personKey struct{}

// Enter says who the caller is, and answers who that is to others. It may be
// called again, with another name.
func (h PostHub) Enter(call *server.Call, name string) (Person, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n == 0 || n > longestName {
		return Person{}, server.NewHubError("a name has 1 to %d letters", longestName)
	}
	p := Person{ID: call.ConnectionID(), Name: name, Node: h.node, Transport: call.Transport().String()}
	call.Items().Store(personKey{}, p)
	if err := h.people.Put(call.Context(), p); err != nil {
		return Person{}, err
	}
	return p, TellPeople(call.Context(), call.Clients().All(), h.people)
}

// OnDisconnected takes the caller from the register.
func (h PostHub) OnDisconnected(call *server.Call, _ error) {
	p := caller(call)
	if p.ID == "" {
		return // has never entered
	}
	// The call's own context has ended with the connection.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(call.Context()), 5*time.Second)
	defer cancel()
	err := h.people.Remove(ctx, p.ID)
	if err == nil {
		err = TellPeople(ctx, call.Clients().All(), h.people)
	}
	if err != nil {
		call.Logger().Warn("somebody who has left is still said to be here", "error", err)
	}
}

// TellPeople tells clients who is here, the first hundred by name.
func TellPeople(ctx context.Context, clients server.ClientProxy, people People) error {
	all, err := people.All(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b Person) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return PeopleChanged.Send(ctx, clients, all[:min(len(all), mostPeople)])
}

// caller is what Enter has stored.
func caller(call *server.Call) Person {
	p, _ := call.Items().Load(personKey{})
	person, ok := p.(Person)
	if !ok {
		return Person{Name: "somebody"}
	}
	return person
}

// NewPeople returns a register of one process.
func NewPeople() People { return &people{all: map[string]Person{}} }

type people struct {
	mu  sync.Mutex
	all map[string]Person
}

func (r *people) Put(_ context.Context, p Person) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[p.ID] = p
	return nil
}

func (r *people) Remove(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, id)
	return nil
}

func (r *people) All(context.Context) ([]Person, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.all)), nil
}
