package transport

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNegotiatedButNeverConnectedIsForgotten(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		url := n.negotiate()
		for range 14 {
			time.Sleep(time.Second)
			if r := n.do("POST", url, "x"); r.status != 400 { // does not prolong it
				t.Fatalf("POST = %v", r)
			}
		}
		time.Sleep(3 * time.Second)
		if r := n.do("POST", url, "x"); r.status != 404 || r.body != notFound {
			t.Errorf("POST after the disconnect timeout = %v", r)
		}
		if len(n.apps) != 0 {
			t.Error("an App was made")
		}
	})
}

func TestAppIsTickedOnceASecondUntilItsEnd(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		p := n.upgrade("/hub")
		a := n.app()
		time.Sleep(10*time.Second + time.Millisecond)
		a.mu.Lock()
		ticks := a.ticks
		a.mu.Unlock()
		if ticks != 10 {
			t.Errorf("%d ticks in 10 s", ticks)
		}
		a.conn.Finish()
		p.expect(opClose, `1000 ""`)
		time.Sleep(3 * time.Second)
		if a.ticks != ticks {
			t.Error("the App was ticked after Finish")
		}
	})
}

func TestFiveThousandConnectsInAMoment(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	const clients, each = 20, 250
	n := serve(t, defaults(), nil)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for range each {
				p := n.upgrade("/hub")
				p.send(opText, "x")
				p.expect(opText, "x")
				p.send(opClose, "\x03\xe8")
				p.expect(opClose, `1000 ""`)
				_ = p.conn.Close()
			}
		})
	}
	group.Wait()
	eventually(t, "all are forgotten", func() bool { return n.connections() == 0 })
	if len(n.apps) != clients*each {
		t.Errorf("%d Apps were made, want %d", len(n.apps), clients*each)
	}
}

func TestUnusedEndpointHasNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		e := NewEndpoint(defaults(), nil)
		c, _ := e.newConn(0, false, nil)
		e.remove(c)
		e.remove(c)
		synctest.Wait()
		if e.ticking {
			t.Error("the sweeper runs though the table is empty")
		}
	})
}
