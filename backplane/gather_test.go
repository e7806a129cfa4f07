package backplane

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A cluster of two is lost, and one node comes back late: what the other one
// has waiting goes out when both are there.
func TestAfterALossSendsWaitUntilTheOtherNodesAreBack(t *testing.T) {
	r := &Redis{opts: &Options{PublishTimeout: time.Minute}, client: redis.NewClient(&redis.Options{Addr: startRedis(t).addr})}
	defer r.client.Close()
	r.channels.Hub = "H"
	r.gathering.nodes = 2
	r.gathering.lost.Store(true)
	first, second := r.client.Subscribe(t.Context(), r.channels.Groups()), r.client.Subscribe(t.Context())
	defer first.Close()
	defer second.Close()
	start := time.Now()
	late := make(chan error, 1)
	time.AfterFunc(gatherTime/4, func() { late <- second.Subscribe(t.Context(), r.channels.Groups()) })
	if !r.gather(t.Context()) {
		t.Fatal("gather says that Redis was lost")
	}
	if took := time.Since(start); took < gatherTime/4 {
		t.Errorf("gathered after %v, before the second node was there", took)
	}
	if err := <-late; err != nil {
		t.Fatal(err)
	}
	if start = time.Now(); !r.gather(t.Context()) || time.Since(start) > gatherTime/4 {
		t.Errorf("without a loss it takes %v", time.Since(start))
	}
}

func TestNodesThatDoNotComeBackAreNotWaitedForLong(t *testing.T) {
	r := &Redis{opts: &Options{PublishTimeout: time.Minute}, client: redis.NewClient(&redis.Options{Addr: startRedis(t).addr})}
	defer r.client.Close()
	r.gathering.nodes = 3
	r.gathering.lost.Store(true)
	short, cancel := context.WithTimeout(t.Context(), gatherTime/10)
	defer cancel()
	start := time.Now()
	if r.gather(short) {
		t.Error("the time of a send is over, and it is told to go on")
	}
	if !r.gather(t.Context()) {
		t.Error("gather says that Redis was lost")
	}
	if took := time.Since(start); took < gatherTime || took > 5*gatherTime {
		t.Errorf("waited for %v, not for %v", took, gatherTime)
	}
}
