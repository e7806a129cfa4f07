package backplane

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Clients come and go while a node connects again. What it waits for is what is
// still wanted: one that has left meanwhile, before its channels were subscribed
// to, must not keep the node from being ready.
func TestANodeIsReadyAgainThoughClientsLeftWhileItConnected(t *testing.T) {
	for name, leaves := range map[string]func(i int) bool{
		"all":    func(int) bool { return true },
		"some":   func(i int) bool { return i%3 == 0 },
		"one":    func(i int) bool { return i == 700 },
		"nobody": func(int) bool { return false },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newMemoryRedis(t)
				r := node(t, s, Options{})
				ready(t, r)
				var clients []*fakeClient
				for i := range changesAtOnce { // of two channels each: a part of them waits for the first command
					clients = append(clients, client(t, r, fmt.Sprint("c", i), fmt.Sprint("user ", i)))
				}
				readyAfter(t, func() {
					var greetings atomic.Int64
					s.pauseAt(func(args []string) bool { // go-redis connects once by itself
						return args[0] == "hello" && greetings.Add(1) > 1
					})
					s.killSubscribers()
					time.Sleep(lastPause)
					synctest.Wait() // the node waits for the greeting of its new connection
					if r.Stats().Losses != 1 || greetings.Load() != 2 {
						t.Errorf("%d losses, %d greetings", r.Stats().Losses, greetings.Load())
					}
					for i, c := range slices.Backward(clients) {
						if leaves(i) {
							goes(r, c)
							clients = slices.Delete(clients, i, i+1)
						}
					}
					s.resume()
				}, r)
				synctest.Wait()
				if got, want := len(s.channels()), r.Stats().Subscriptions; got != want || want < 2*len(clients) {
					t.Errorf("subscribed to %d channels, the node wants %d, its %d clients need two each", got, want, len(clients))
				}
			})
		})
	}
}

// The writer may be held up by the network while all but one channel are confirmed.
func TestANodeIsReadyWhenTheLastChannelThatItMissesIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newMemoryRedis(t).node(t, Options{})
		ready(t, r)
		synctest.Wait()
		r.state.set(Health{State: Degraded})
		r.mu.Lock()
		s := r.channelLocked("left")
		s.initial, r.link.told = true, false
		r.link.missing++
		r.markLocked(s)
		r.mu.Unlock()
		synctest.Wait()
		if h := r.Health(); h.State != Ready {
			t.Errorf("health %+v", h)
		}
	})
}
