package azure

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/server"
)

// A service that accepts each connection and closes it is called with pauses, as one
// that accepts none; a connection that has lasted is reopened at once.
func TestAServiceThatAcceptsAndClosesIsNotCalledWithoutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		var closes atomic.Bool
		closes.Store(true)
		f.handle = func(c *fakeConn, m wire.Message) {
			if _, first := m.(*wire.HandshakeRequest); first && closes.Load() {
				c.close(int(ws.StatusGoingAway))
			}
		}
		h := f.hub(Options{InitialConnections: 2}, server.Options{})
		calls := func() int {
			synctest.Wait()
			return len(f.all())
		}
		time.Sleep(time.Minute)
		if n := calls(); n < 8 || n > 16 {
			t.Errorf("two connections were opened %d times in a minute", n)
		}
		closes.Store(false)
		time.Sleep(2 * time.Minute)
		if err := Health(h); err != nil {
			t.Fatal(err)
		}
		before := calls()
		for _, c := range f.all() {
			c.close(1006)
		}
		if n := calls(); n != before+2 {
			t.Errorf("%d connections were opened at once in place of two that had lasted", n-before)
		}
	})
}
