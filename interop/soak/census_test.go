package soak

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// A census is what a process has, and its nodes at Redis.
type census struct {
	goroutines    map[string]int // by their functions
	all           int
	heap          uint64   // bytes, after a collection
	descriptors   []string // what they are, without connections to Redis
	subscriptions []string
	subscribers   int    // connections to Redis with subscriptions
	pooled        int    // connections to Redis without
	pools         int    // how many of these the nodes may have, at any time
	redisClients  string // as Redis lists them
}

// heapSlack is how much more heap is no leak: the runtime's own tables, and what
// pools happen to hold.
const heapSlack = 4 << 20

func (s *soak) census() census {
	s.t.Helper()
	// A node has two pools of poolSize, one of them for pipelines. go-redis also keeps
	// connections that came after a send had given up waiting for them, at most as many
	// again, until they are used.
	c := census{pools: 2 * 2 * poolSize * len(s.nodes)}
	c.goroutines, c.all = goroutines()
	runtime.GC()
	runtime.GC() // pools are empty after two
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.heap = m.HeapAlloc
	c.descriptors = descriptors(s.redis.Addr)
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	channels, err := s.nodes[0].redis.PubSubChannels(ctx, "*").Result()
	if err != nil {
		return c // Redis has just come back; the next census is compared
	}
	slices.Sort(channels)
	c.subscriptions = channels
	list, _ := s.nodes[0].redis.ClientList(ctx).Result() // as above
	for line := range strings.Lines(list) {
		if strings.Contains(line, " sub=0 psub=0 ssub=0 ") {
			c.pooled++
		} else {
			c.subscribers++
		}
	}
	c.redisClients = list
	return c
}

// grown returns what now has more of than c.
func (c census) grown(now census) (what []string) {
	for functions, n := range now.goroutines {
		if was := c.goroutines[functions]; n > was {
			what = append(what, fmt.Sprintf("%d goroutines, before %d: %s", n, was, functions))
		}
	}
	if now.heap > c.heap+heapSlack {
		what = append(what, fmt.Sprintf("%d bytes of heap, before %d", now.heap, c.heap))
	}
	if len(now.descriptors) > len(c.descriptors) {
		what = append(what, fmt.Sprintf("%d descriptors, before %d:\n\t%s\nbefore:\n\t%s", len(now.descriptors), len(c.descriptors),
			strings.Join(now.descriptors, "\n\t"), strings.Join(c.descriptors, "\n\t")))
	}
	if !slices.Equal(now.subscriptions, c.subscriptions) {
		what = append(what, fmt.Sprintf("subscriptions %q, before %q", now.subscriptions, c.subscriptions))
	}
	if now.subscribers > c.subscribers {
		what = append(what, fmt.Sprintf("%d connections with subscriptions, before %d", now.subscribers, c.subscribers))
	}
	if now.pooled > now.pools { // fewer may have been needed before
		what = append(what, fmt.Sprintf("%d connections in pools of %d", now.pooled, now.pools))
	}
	return what
}

// compare is a table of both.
func compare(before, after census) string {
	var b strings.Builder
	b.WriteString("| | before | after |\n|---|---|---|\n")
	fmt.Fprintf(&b, "| goroutines | %d | %d |\n", before.all, after.all)
	fmt.Fprintf(&b, "| heap, KiB | %d | %d |\n", before.heap>>10, after.heap>>10)
	fmt.Fprintf(&b, "| descriptors | %d | %d |\n", len(before.descriptors), len(after.descriptors))
	fmt.Fprintf(&b, "| subscriptions | %d | %d |\n", len(before.subscriptions), len(after.subscriptions))
	fmt.Fprintf(&b, "| connections with subscriptions | %d | %d |\n", before.subscribers, after.subscribers)
	fmt.Fprintf(&b, "| other connections to Redis | %d | %d |\n", before.pooled, after.pooled)
	return b.String()
}

var (
	countLine    = regexp.MustCompile(`^(\d+) @`)
	functionLine = regexp.MustCompile(`^#\s+0x[0-9a-f]+\s+(\S+?)\+0x`)
)

// goroutines returns how many there are, by the functions on their stacks.
func goroutines() (byStack map[string]int, all int) {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // into memory
	byStack = map[string]int{}
	for block := range strings.SplitSeq(profile.String(), "\n\n") {
		var n int
		var functions []string
		for line := range strings.SplitSeq(block, "\n") {
			if m := countLine.FindStringSubmatch(line); m != nil {
				_, _ = fmt.Sscan(m[1], &n) // digits
			} else if m := functionLine.FindStringSubmatch(line); m != nil {
				functions = append(functions, m[1])
			}
		}
		if n == 0 {
			continue
		}
		stack := strings.Join(functions, " < ")
		if strings.Contains(stack, "runtime/pprof.") { // this one
			continue
		}
		byStack[stack] += n
		all += n
	}
	return byStack, all
}
