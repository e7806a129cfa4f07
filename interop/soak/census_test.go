package soak

import (
	"bytes"
	"context"
	"fmt"
	"os"
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
	heap          uint64 // bytes, after a collection
	descriptors   int
	subscriptions []string
	redisClients  int
}

// heapSlack is how much more heap is no leak: the runtime's own tables, and what
// pools happen to hold.
const heapSlack = 4 << 20

func (s *soak) census() census {
	s.t.Helper()
	for _, n := range s.nodes {
		n.fillPool(s.t.Context())
	}
	var c census
	c.goroutines, c.all = goroutines()
	runtime.GC()
	runtime.GC() // pools are empty after two
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.heap = m.HeapAlloc
	if open, err := os.ReadDir("/proc/self/fd"); err == nil { // Linux; elsewhere they are not counted
		c.descriptors = len(open)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	channels, err := s.nodes[0].redis.PubSubChannels(ctx, "*").Result()
	if err != nil {
		return c // Redis has just come back; the next census is compared
	}
	slices.Sort(channels)
	c.subscriptions = channels
	list, _ := s.nodes[0].redis.ClientList(ctx).Result() // as above
	c.redisClients = strings.Count(list, "\n")
	return c
}

// fillPool makes all connections to Redis that the node may have: a pool that is
// not full, after a restart of Redis, would grow later and look like a leak.
func (n *node) fillPool(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for range poolSize {
		conn := n.redis.Conn()
		for range 2 * poolSize { // the pool may have some that the last restart has cut
			if conn.Ping(ctx).Err() == nil || ctx.Err() != nil {
				break // if Redis has just gone, the next census fills it
			}
			_ = conn.Close()
			conn = n.redis.Conn()
		}
		defer func() { _ = conn.Close() }()
	}
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
	if now.descriptors > c.descriptors {
		what = append(what, fmt.Sprintf("%d descriptors, before %d", now.descriptors, c.descriptors))
	}
	if !slices.Equal(now.subscriptions, c.subscriptions) {
		what = append(what, fmt.Sprintf("subscriptions %q, before %q", now.subscriptions, c.subscriptions))
	}
	if now.redisClients > c.redisClients {
		what = append(what, fmt.Sprintf("%d connections to Redis, before %d", now.redisClients, c.redisClients))
	}
	return what
}

// compare is a table of both.
func compare(before, after census) string {
	var b strings.Builder
	b.WriteString("| | before | after |\n|---|---|---|\n")
	fmt.Fprintf(&b, "| goroutines | %d | %d |\n", before.all, after.all)
	fmt.Fprintf(&b, "| heap, KiB | %d | %d |\n", before.heap>>10, after.heap>>10)
	fmt.Fprintf(&b, "| descriptors | %d | %d |\n", before.descriptors, after.descriptors)
	fmt.Fprintf(&b, "| subscriptions | %d | %d |\n", len(before.subscriptions), len(after.subscriptions))
	fmt.Fprintf(&b, "| connections to Redis | %d | %d |\n", before.redisClients, after.redisClients)
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
