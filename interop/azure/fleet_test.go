package azure

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/interop/harness"
	"github.com/redis/go-redis/v9"
)

// startFleet starts two gateways with a Redis.
func startFleet(t *testing.T) [2]*harness.Gateway {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: harness.Redis(t)})
	t.Cleanup(func() { _ = client.Close() })
	fleet := [2]*harness.Gateway{harness.StartGatewayWith(t, gateway.Options{Redis: client}), harness.StartGatewayWith(t, gateway.Options{Redis: client})}
	until(t, "the gateways to meet", func() bool {
		return fleet[0].Stats().Peers == 1 && fleet[1].Stats().Peers == 1
	})
	return fleet
}

// until waits for what processes come to by themselves.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(waitTime); !yes(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %s", what)
		}
	}
}

// comeToBoth starts clients until each gateway has two.
func comeToBoth(t *testing.T, clients *officialClients, fleet [2]*harness.Gateway, url string) (names []string) {
	t.Helper()
	for i := 0; fleet[0].Stats().Clients < 2 || fleet[1].Stats().Clients < 2; i++ {
		if i == 30 {
			t.Fatal("of 30 clients not two are at each gateway")
		}
		name, mode := fmt.Sprintf("c%d", i), modes[i%len(modes)]
		clients.start(name, url+"/hub", mode[0], mode[1])
		clients.call(name, "Join", "everybody")
		names = append(names, name)
	}
	return names
}

// reachEachOther has each client send to all and to the group: each comes once.
func reachEachOther(t *testing.T, clients *officialClients, names []string) {
	t.Helper()
	for i, from := range names {
		for kind, args := range map[string][]any{"SendAll": {"M"}, "SendGroup": {"everybody", "M"}} {
			text := fmt.Sprint(kind, i)
			clients.call(from, kind, append(args, text)...)
			for _, name := range names {
				if got := clients.event(name, "M").Args; fmt.Sprint(got) != "["+text+"]" { // what came before came once
					t.Errorf("%s got %v, want %s", name, got, text)
				}
			}
		}
	}
}

// One address for all gateways: haproxy with the file of deploy/gateway.
func TestAppServersWithOneAddressReachClientsOfBothGateways(t *testing.T) {
	if testing.Short() {
		t.Skip("starts haproxy, Redis and an ASP.NET Core app; not with -short")
	}
	fleet := startFleet(t)
	config, err := os.ReadFile("../../deploy/gateway/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		"bind :8888", "bind ADDR", "gateway1:8888", strings.TrimPrefix(fleet[0].URL(), "http://"), "gateway2:8888", strings.TrimPrefix(fleet[1].URL(), "http://"),
		" resolvers compose init-addr libc,none", "",
	).Replace(string(config))
	door := harness.ConnectionString(harness.Proxy(t, "haproxy", text))
	node, clients := harness.StartNode(t, sdkCommand(t, door), "--connections", "4"), startClients(t)
	t.Cleanup(node.Kill) // at its own end the SDK waits for 30 seconds
	names := comeToBoth(t, clients, fleet, node.URL)
	reachEachOther(t, clients, names)

	// A gateway that was killed and comes back has no app server: it is sent one.
	fleet[1].Kill()
	until(t, "the app to be at the first gateway alone", func() bool { return fleet[0].Stats().ServerConnections >= 4 })
	fleet[1].StartAgain(t)
	until(t, "the app to come to the second gateway", func() bool { return fleet[1].Stats().ServerConnections > 0 })
}

// An endpoint for each gateway: the SDK itself sends to both, and nothing comes twice.
func TestAppServersWithAnEndpointForEachGatewayReachClientsOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Redis and an ASP.NET Core app; not with -short")
	}
	fleet := startFleet(t)
	second := fleet[1].ConnectionString()
	node, clients := harness.StartNode(t, sdkCommand(t, fleet[0].ConnectionString())+" --azure2 "+second, "--connections", "2"), startClients(t)
	t.Cleanup(node.Kill)
	// What the app says while it is at one gateway comes to the other once.
	var before [2]gateway.Stats
	for i, w := range fleet {
		until(t, fmt.Sprintf("the app to be at gateway %d", i), func() bool { return w.Stats().ServerConnections >= 2 })
	}
	for i, w := range fleet {
		before[i] = w.Stats()
	}
	names := comeToBoth(t, clients, fleet, node.URL)
	reachEachOther(t, clients, names)
	for i, w := range fleet { // the clients may have a message before it comes from the other gateway, too
		harness.Await(t, fmt.Sprintf("the messages that came to gateway %d twice", i), waitTime, func() error {
			s := w.Stats()
			received, twice := s.FleetReceived-before[i].FleetReceived, s.FleetTwice-before[i].FleetTwice
			if twice == 0 || twice != received {
				return fmt.Errorf("of %d of the other gateway %d have come twice", received, twice)
			}
			return nil
		})
	}
}
