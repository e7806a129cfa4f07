package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
)

// A fleet is nodes behind a balancer that gives every single request to a random
// one.
type fleet []*node

func newFleet(ctx context.Context, c *config) (fleet, error) {
	switch {
	case c.nodes > 1 && c.redis == "":
		return nil, errors.New("--nodes needs --redis")
	case c.direct && c.nodes <= 1:
		return nil, errors.New("--direct needs --nodes")
	}
	ended := &endings{} // whichever node is asked
	var f fleet
	for range max(c.nodes, 1) {
		n, err := newNode(ctx, c, ended)
		if err != nil {
			return nil, errors.Join(err, f.shutdown(context.Background()))
		}
		f = append(f, n)
	}
	for _, n := range f {
		n.routes.handle("GET", "/api/forwards", http.HandlerFunc(f.forwards))
	}
	return f, nil
}

// forwards answers with the sums of all nodes.
func (f fleet) forwards(w http.ResponseWriter, _ *http.Request) {
	var sum struct {
		Forwarded uint64 `json:"forwarded"`
		Directly  uint64 `json:"directly"`
		Served    uint64 `json:"served"`
	}
	for _, n := range f {
		if n.bus != nil {
			s := n.bus.Stats()
			sum.Forwarded, sum.Directly, sum.Served = sum.Forwarded+s.Forwarded, sum.Directly+s.ForwardedDirectly, sum.Served+s.ServedForOthers
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	// An error means that the client has disconnected.
	_ = json.NewEncoder(w).Encode(sum)
}

// ServeHTTP implements http.Handler.
func (f fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f[rand.IntN(len(f))].routes.ServeHTTP(w, r)
}

// shutdown ends all nodes side by side.
func (f fleet) shutdown(ctx context.Context) error {
	ends := make(chan error, len(f))
	for _, n := range f {
		go func() { ends <- n.shutdown(ctx) }()
	}
	var errs []error
	for range f {
		errs = append(errs, <-ends)
	}
	return errors.Join(errs...)
}
