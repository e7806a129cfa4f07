package backplane

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func (l life) String() string { return [...]string{"alive", "doubted", "dead"}[l] }
func (d duty) String() string { return [...]string{"rest", "ask", "probe"}[d] }

// Each transition of a pulse, by what happens to it: "heartbeat", "hear" (and
// what the reader does then), "late" (it does so after it has heard), "probed"
// and "lost".
func TestThePulseOfALink(t *testing.T) {
	silence := slices.Repeat([]string{"heartbeat"}, silentAfter)
	for name, test := range map[string]struct {
		events []string
		said   string // duties of the heartbeats, and what was told
		want   life
	}{
		"a new link is alive":                           {nil, "", alive},
		"what is heard needs no PING":                   {[]string{"hear", "heartbeat", "hear", "hear", "heartbeat"}, "rest rest", alive},
		"a silent one is asked":                         {silence[1:], "ask ask ask ask", alive},
		"and is doubted, and probed once":               {append(silence[:len(silence):len(silence)], "heartbeat", "heartbeat"), "ask ask ask ask told probe rest rest", doubted},
		"an answer in time starts again":                {slices.Concat(silence[1:], []string{"hear", "heartbeat"}, silence[1:]), "ask ask ask ask rest ask ask ask ask", alive},
		"a doubted one that is heard is alive":          {append(silence[:len(silence):len(silence)], "hear"), "ask ask ask ask told probe revived", alive},
		"and is doubted no sooner than a new one":       {slices.Concat(silence, []string{"hear", "heartbeat"}, silence), "ask ask ask ask told probe revived rest ask ask ask ask told probe", doubted},
		"silent though others are answered, it is dead": {append(silence[:len(silence):len(silence)], "probed"), "ask ask ask ask told probe died", dead},
		"the dead stay dead":                            {slices.Concat(silence, []string{"probed", "hear", "late", "heartbeat", "probed", "lost"}), "ask ask ask ask told probe died rest", dead},
		"a probe does not end what lives":               {slices.Concat(silence, []string{"hear", "probed"}), "ask ask ask ask told probe revived", alive},
		"a lost one is dead":                            {[]string{"hear", "lost"}, "died", dead},
		"and a probe of it finds nothing to end":        {slices.Concat(silence, []string{"lost", "probed"}), "ask ask ask ask told probe died", dead},
	} {
		t.Run(name, func(t *testing.T) {
			var p pulse
			var said []string
			say := func(text string) { said = append(said, text) }
			for _, event := range test.events {
				died := false
				switch event {
				case "heartbeat":
					say(p.heartbeat(func() { say("told") }).String())
				case "hear":
					if p.hear() {
						p.revive(func() { say("revived") })
					}
				case "late":
					p.revive(func() { say("revived") })
				case "probed":
					died = p.die(true)
				case "lost":
					died = p.die(false)
				}
				if died {
					say("died")
				}
			}
			if got := strings.Join(said, " "); got != test.said || p.life() != test.want {
				t.Errorf("%q, %v, want %q, %v", got, p.life(), test.said, test.want)
			}
		})
	}
}

// What is heard while the link becomes doubted ends the doubt, whether the
// reader has looked before it began or after; and what is reported last is how
// it is.
func TestALinkIsNotLeftDoubtedThoughItIsHeard(t *testing.T) {
	var p pulse
	heard := p.heard.Load() // the writer has looked
	if p.hear() {
		t.Fatal("the reader has seen a doubt")
	}
	if p.doubt(heard) || p.life() != alive {
		t.Fatalf("it was heard meanwhile, and is %v", p.life())
	}

	p.silent = silentAfter - 1
	p.seen = p.heard.Load()
	var told []string
	revived := make(chan struct{})
	p.heartbeat(func() {
		go func() {
			defer close(revived)
			if p.hear() {
				p.revive(func() { told = append(told, "alive") })
			}
		}()
		for range 1000 { // let it be first, if it can
			runtime.Gosched()
		}
		told = append(told, "doubted")
	})
	<-revived
	if !slices.Equal(told, []string{"doubted", "alive"}) || p.life() != alive {
		t.Errorf("told %q, it is %v", told, p.life())
	}
}

// The same under the clock: when the state of a node changes, by what Redis does.
func TestTheStateOfANodeWhoseRedisIsSilent(t *testing.T) {
	const doubt = (1 + silentAfter) * heartbeat
	for name, test := range map[string]struct {
		trouble func(m *memoryRedis, l line)
		want    string
	}{
		"nothing happens": {func(*memoryRedis, line) {}, ""},
		"others talk, and no PING is answered": {func(m *memoryRedis, _ line) {
			m.pauseAt(func(args []string) bool { return args[0] == "ping" })
			go func() {
				for range 59 {
					time.Sleep(heartbeat)
					m.publish("App.Hub:all", nil)
				}
			}()
		}, ""},
		"an answer takes as long as it may": {func(m *memoryRedis, _ line) {
			m.slow(func(args []string) time.Duration { return (silentAfter - 2) * heartbeat })
		}, ""},
		"a pause is over before the doubt": {func(m *memoryRedis, _ line) { m.pause(doubt - heartbeat/2) }, ""},
		"a pause is over after it":         {func(m *memoryRedis, _ line) { m.pause(10 * time.Second) }, fmt.Sprint(doubt, " degraded 10s ready")},
		"the network is away for a while": {func(_ *memoryRedis, l line) {
			l.partition()
			time.AfterFunc(20*time.Second, l.heal)
		}, fmt.Sprint(doubt, " degraded 20s ready")},
		"the network has forgotten the connection": {func(_ *memoryRedis, l line) { l.strand() },
			fmt.Sprint(doubt, " degraded ", doubt+probeGrace+firstPause, " ready")},
		"it comes back in the last moment": {func(m *memoryRedis, _ line) {
			var asked atomic.Bool // the probe is answered
			m.pauseAt(func(args []string) bool { return args[0] == "ping" && asked.CompareAndSwap(false, true) })
			time.AfterFunc(doubt+probeGrace/2, m.resume)
		}, fmt.Sprint(doubt, " degraded ", doubt+probeGrace/2, " ready")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemoryRedis(t)
				l := m.line()
				start := time.Now()
				var mu sync.Mutex
				var told []string
				r := node(t, l, Options{OnStateChange: func(h Health) {
					mu.Lock()
					defer mu.Unlock()
					if time.Since(start) > 0 {
						told = append(told, fmt.Sprint(time.Since(start), " ", h.State))
					}
				}})
				ready(t, r)
				synctest.Wait()
				test.trouble(m, l)
				time.Sleep(time.Minute)
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				if got := strings.Join(told, " "); got != test.want {
					t.Errorf("%q, want %q", got, test.want)
				}
			})
		})
	}
}
