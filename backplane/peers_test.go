package backplane

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// lonely is a publisher that has counted nodes, and has lost Redis since.
func lonely(t *testing.T, m *memoryRedis, nodes int64) *Redis {
	r := &Redis{opts: &Options{PublishTimeout: time.Minute}, client: m.client()}
	t.Cleanup(func() { _ = r.client.Close() })
	r.channels.Hub = "H"
	r.peers.nodes = nodes
	r.peers.lost.Store(true)
	return r
}

// A cluster of two is lost, and one node comes back late: what the other one
// has waiting goes out when both are there.
func TestAfterALossSendsWaitUntilTheOtherNodesAreBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lonely(t, newMemoryRedis(t), 2)
		first, second := r.client.Subscribe(t.Context(), r.channels.Groups()), r.client.Subscribe(t.Context())
		defer first.Close()
		defer second.Close()
		start := time.Now()
		late := make(chan error, 1)
		time.AfterFunc(peersGrace/4, func() { late <- second.Subscribe(t.Context(), r.channels.Groups()) })
		if !r.awaitPeers(t.Context()) {
			t.Fatal("awaitPeers says that Redis was lost")
		}
		if took := time.Since(start); took < peersGrace/4 || took > peersGrace/4+peersPause {
			t.Errorf("waited for %v, the second node was there after %v", took, peersGrace/4)
		}
		if err := <-late; err != nil {
			t.Fatal(err)
		}
		if start = time.Now(); !r.awaitPeers(t.Context()) || time.Since(start) > 0 {
			t.Errorf("without a loss it takes %v", time.Since(start))
		}
	})
}

func TestNodesThatDoNotComeBackAreNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lonely(t, newMemoryRedis(t), 3)
		short, cancel := context.WithTimeout(t.Context(), peersGrace/10)
		defer cancel()
		start := time.Now()
		if r.awaitPeers(short) {
			t.Error("the time of a send is over, and it is told to go on")
		}
		if !r.awaitPeers(t.Context()) {
			t.Error("awaitPeers says that Redis was lost")
		}
		if took := time.Since(start); took != peersGrace {
			t.Errorf("waited for %v, not for %v", took, peersGrace)
		}
	})
}
