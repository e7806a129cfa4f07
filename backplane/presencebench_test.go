package backplane

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

const (
	upkeepNodes   = 10
	upkeepMembers = 10_000 // of each node
	upkeepGroups  = 100
)

// BenchmarkUpkeepOfPresence measures what 100,000 members of groups on ten nodes
// cost a redis-server, over one renewal of the lease each time: while nothing
// happens, and while one in a thousand clients comes anew each second.
func BenchmarkUpkeepOfPresence(b *testing.B) {
	s := startRedis(b)
	var nodes []*Redis
	for i := range upkeepNodes {
		nodes = append(nodes, benchmarkNode(b, s, Options{ServerName: fmt.Sprint("n", i), Presence: &PresenceOptions{}}))
	}
	members := make([][]*fakeClient, upkeepNodes)
	comes := func(node, member int, id string) {
		c := &fakeClient{id: id, user: fmt.Sprint("user ", member), codec: protocol.JSON{}, ctx: b.Context(), end: func() {}}
		if err := nodes[node].Connected(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		if err := nodes[node].AddToGroup(b.Context(), id, fmt.Sprint("g", member%upkeepGroups)); err != nil {
			b.Fatal(err)
		}
		members[node][member] = c
	}
	for i := range nodes {
		members[i] = make([]*fakeClient, upkeepMembers)
		for k := range members[i] {
			comes(i, k, fmt.Sprintf("%d-%d", i, k))
		}
	}
	for counts := (FleetCounts{}); counts.Connections < upkeepNodes*upkeepMembers || counts.Groups < upkeepGroups; {
		var err error
		if counts, err = nodes[0].Fleet().Counts(b.Context()); err != nil {
			b.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	again := 0 // given out ids
	for name, each := range map[string]int{"idle": 0, "one in a thousand comes anew each second": upkeepMembers / 1000 * int(renewal/time.Second)} {
		b.Run(name, func(b *testing.B) {
			before, start := commandsOf(b, s), time.Now()
			for b.Loop() {
				next := time.Now().Add(renewal)
				for range each {
					for i := range nodes {
						again++
						k := again % upkeepMembers
						goes(nodes[i], members[i][k])
						comes(i, k, fmt.Sprintf("%d-again-%d", i, again))
					}
					time.Sleep(renewal / time.Duration(each) / 2)
				}
				time.Sleep(time.Until(next))
			}
			after, took := commandsOf(b, s), time.Since(start).Seconds()
			b.ReportMetric((after["eval"]-before["eval"])/took, "scripts/s")
			b.ReportMetric((after["all"]-before["all"])/took, "commands/s")
			b.ReportMetric(1e3*(after["cpu"]-before["cpu"])/took, "redis-cpu-ms/s")
			b.ReportMetric(0, "ns/op") // it sleeps
		})
	}
}

// commandsOf returns the calls of each command, of all together, and the seconds of
// CPU that Redis has used.
func commandsOf(b *testing.B, s *redisServer) map[string]float64 {
	client := s.client()
	defer client.Close()
	text, err := client.Info(b.Context(), "commandstats", "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	found := map[string]float64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if command, ok := strings.CutPrefix(name, "cmdstat_"); ok {
			calls, _, _ := strings.Cut(strings.TrimPrefix(value, "calls="), ",")
			n, _ := strconv.ParseFloat(calls, 64)
			found[command] = n
			found["all"] += n
		}
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			n, _ := strconv.ParseFloat(value, 64)
			found["cpu"] += n
		}
	}
	return found
}
