package azure

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/rescue"
	"github.com/hubwire/hubwire/internal/seam"
)

var _ seam.Remote = (*service)(nil)

// Leave implements seam.Remote. Only the first call has an effect; others wait for
// it.
func (s *service) Leave(ctx context.Context, gently bool) {
	s.leaving.Do(func() { s.leave(ctx, gently) })
}

func (s *service) leave(ctx context.Context, gently bool) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Shutdown.Timeout)
	defer cancel()
	mode := s.opts.Shutdown.Mode
	if gently && mode == ShutdownOff {
		mode = ShutdownWaitForClients // otherwise the service drops them
	}
	s.sayGoodbye(ctx, mode)
	switch {
	case mode == ShutdownOff:
		for _, cl := range s.all(func(*client) bool { return true }) {
			cl.mu.Lock()
			cl.left = true // the service drops them by itself
			cl.mu.Unlock()
		}
	case !gently:
		s.callHooks(ctx)
		s.awaitClients(ctx)
	}
}

// sayGoodbye tells the primary endpoints that this server takes no more clients, and
// waits until each of its connections has the answer, or has ended.
func (s *service) sayGoodbye(ctx context.Context, mode ShutdownMode) {
	fin := &wire.Ping{Messages: []string{pingShutdown, "fin:" + strconv.Itoa(int(mode))}}
	var all sync.WaitGroup
	for _, p := range s.pools {
		if p.secondary {
			continue
		}
		for _, c := range p.all() {
			all.Go(func() { c.sayGoodbye(ctx, fin) })
		}
	}
	all.Wait()
}

func (c *conn) sayGoodbye(ctx context.Context, fin *wire.Ping) {
	again := time.NewTicker(finInterval)
	defer again.Stop()
	for range finTries {
		c.control(fin)
		select {
		case <-c.finack:
			return
		case <-c.done:
			return
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

func (s *service) callHooks(ctx context.Context) {
	for _, hook := range s.opts.Shutdown.Hooks {
		_ = rescue.Call(s.log, "GracefulShutdown.Hooks", func() error { hook(ctx, s.clientsOf()); return nil })
	}
}

// awaitClients waits until all clients have left.
func (s *service) awaitClients(ctx context.Context) {
	s.mu.Lock()
	if len(s.clients) == 0 {
		s.mu.Unlock()
		return
	}
	gone := make(chan struct{})
	s.gone = gone
	s.mu.Unlock()
	select {
	case <-gone:
	case <-ctx.Done():
	}
}

// Close implements seam.Remote: the service connections are closed with code 1000.
func (s *service) Close() {
	s.stop()
	s.tasks.Wait()
	s.opts.Transport.CloseIdleConnections()
}
