package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
)

// A fleet is nodes behind a balancer that gives every single request to a random
// one.
type fleet []*node

func newFleet(c *config) (fleet, error) {
	if c.nodes > 1 && c.redis == "" {
		return nil, errors.New("--nodes needs --redis")
	}
	ended := &endings{} // whichever node is asked
	var f fleet
	for range max(c.nodes, 1) {
		n, err := newNode(c, ended)
		if err != nil {
			return nil, errors.Join(err, f.shutdown(context.Background()))
		}
		f = append(f, n)
	}
	return f, nil
}

// ServeHTTP implements http.Handler. Raw connections stay with one node.
func (f fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i := rand.IntN(len(f))
	if strings.HasPrefix(strings.ToLower(r.URL.Path), "/echo") {
		i = 0
	}
	f[i].routes.ServeHTTP(w, r)
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
