package backplane

import (
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A negative PublishTimeout is for those who do not want to wait for a Redis that is away.
func TestWithoutPatienceARedisThatIsThereIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		line := s.line()
		a := node(t, line, Options{PublishTimeout: -1})
		ready(t, a)
		c := newClient("c", "alice")
		defer c.end()
		succeed(t, a.Connected(t.Context(), c))
		succeed(t, a.AddToGroup(t.Context(), "c", "g"))
		succeed(t, a.Send(t.Context(), toAll(), message("m")))

		line.partition()
		time.Sleep(time.Minute) // it is noticed
		synctest.Wait()
		began := time.Now()
		for name, err := range map[string]error{
			"send": a.Send(t.Context(), toAll(), message("m")),
			"join": a.AddToGroup(t.Context(), "c", "other"),
		} {
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s while Redis is away: error %v, want ErrUnavailable", name, err)
			}
		}
		if took := time.Since(began); took > publisherSlack*2 {
			t.Errorf("they took %v", took)
		}
		line.heal()
	})
}

// PUBLISH has no key for go-redis, which would send those of a pipeline to all masters at once.
func TestMessagesOfOneSenderKeepTheirOrderOnACluster(t *testing.T) {
	c := startCluster(t)
	var mu sync.Mutex
	var got []uint32
	open := func(name string, receive func([]byte)) *Bus {
		client := c.clusterClient()
		b, err := NewBus(client, &BusOptions{Name: "bus", ServerName: name, Receive: receive})
		succeed(t, err)
		t.Cleanup(func() { _, _ = b.Close(), client.Close() })
		succeed(t, b.Ready(t.Context()))
		return b
	}
	open("b", func(p []byte) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, binary.BigEndian.Uint32(p))
	})
	a := open("a", func([]byte) {})
	const n = 5000
	for i := range uint32(n) {
		payload := binary.BigEndian.AppendUint32(nil, i)
		err := a.Publish(payload, nil)
		for errors.Is(err, ErrBusFull) {
			succeed(t, a.Await(t.Context()))
			err = a.Publish(payload, nil)
		}
		succeed(t, err)
	}
	eventually(t, "all have come", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(got) < n {
			return errors.New("some are missing")
		}
		return nil
	})
	for i, x := range got {
		if x != uint32(i) {
			t.Fatalf("message %d comes as number %d", x, i)
		}
	}
}
