package azure

import (
	"fmt"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// modes are the ways of clients that the tests of this file mix.
var modes = [][2]string{{"WebSockets", "json"}, {"LongPolling", "messagepack"}, {"ServerSentEvents", "json"}, {"WebSockets", "messagepack"}}

// two are two app servers of one hub behind a gateway, and two clients of each.
// Clients negotiate with stays, wherever the gateway sends them. Each is a user of its
// own, by its name.
type two struct {
	goes, stays          *harness.Node
	csharp               *harness.Node // one of them, if the other one is a Go app
	left                 bool          // goes has ended
	ofGoing, ofStaying   []string
	clients              *officialClients
	pidGoing, pidStaying float64
}

// startTwo starts two app servers by their commands.
func startTwo(t *testing.T, goes, stays string, args ...string) *two {
	t.Helper()
	args = append([]string{"--application", "two"}, args...)
	s := &two{goes: harness.StartNode(t, goes, args...), stays: harness.StartNode(t, stays, args...), clients: startClients(t)}
	clients := s.clients
	t.Cleanup(func() { // at its own end the SDK waits for 30 seconds
		if !s.left {
			s.goes.Kill()
		}
		s.stays.Kill()
	})
	s.pidGoing, s.pidStaying = float64(s.goes.PID()), float64(s.stays.PID())
	for i := 0; len(s.ofGoing) < 2 || len(s.ofStaying) < 2; i++ {
		if i == 30 {
			t.Fatalf("of 30 clients %q are at one server and %q at the other", s.ofGoing, s.ofStaying)
		}
		name, mode := fmt.Sprintf("c%d", i), modes[i%len(modes)]
		clients.start(name, s.stays.URL+"/hub?user="+name, mode[0], mode[1])
		clients.call(name, "Join", "everybody")
		switch pid := clients.call(name, "ProcessId"); pid {
		case s.pidGoing:
			s.ofGoing = append(s.ofGoing, name)
		case s.pidStaying:
			s.ofStaying = append(s.ofStaying, name)
		default:
			t.Fatalf("%s is at process %v, of %v and %v", name, pid, s.pidGoing, s.pidStaying)
		}
	}
	return s
}

// sendToGroup sends to the group that all clients joined, and waits until each of them
// has it.
func (s *two) sendToGroup(t *testing.T, from, text string, to ...string) {
	t.Helper()
	s.clients.call(from, "SendGroup", "everybody", "M", text)
	for _, name := range to {
		if got := s.clients.event(name, "M").Args; fmt.Sprint(got) != "["+text+"]" {
			t.Errorf("%s got %v, want %s", name, got, text)
		}
	}
}

// leave stops goes as an operator does.
func (s *two) leave() {
	s.left = true
	s.goes.Stop()
}

// everybody are the clients.
func (s *two) everybody() []string { return append(append([]string{}, s.ofGoing...), s.ofStaying...) }

func TestTwoAppServersAreOneHub(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two ASP.NET Core apps; not with -short")
	}
	command := sdkCommand(t, harness.StartGateway(t).ConnectionString())
	s := startTwo(t, command, command)
	all := s.everybody()
	for i, name := range all {
		s.sendToGroup(t, name, fmt.Sprint("text ", i), all...)
	}
}

func TestClientsOfAKilledAppServerReconnectToAnother(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two ASP.NET Core apps; not with -short")
	}
	command := sdkCommand(t, harness.StartGateway(t).ConnectionString())
	s := startTwo(t, command, command)
	s.goes.Kill()
	for _, name := range s.ofGoing {
		s.clients.event(name, "reconnecting")
		s.clients.event(name, "reconnected")
		if pid := s.clients.call(name, "ProcessId"); pid != s.pidStaying {
			t.Errorf("%s is at %v, want the server that is left", name, pid)
		}
		s.clients.call(name, "Join", "everybody") // it is a new connection
	}
	s.sendToGroup(t, s.ofGoing[0], "still here", append(s.ofGoing, s.ofStaying...)...)
	for _, name := range s.ofStaying {
		s.clients.never(name, "reconnecting", "close")
	}
}

func TestAppServersAndClientsComeBackToAGatewayThatWasKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two ASP.NET Core apps; not with -short")
	}
	g := harness.StartGateway(t)
	s := startTwo(t, sdkCommand(t, g.ConnectionString()), sdkCommand(t, g.ConnectionString()))
	all := s.everybody()
	g.Kill()
	for _, name := range all {
		s.clients.event(name, "reconnecting")
	}
	g.StartAgain(t)
	for _, name := range all {
		s.clients.event(name, "reconnected")
		s.clients.call(name, "Join", "everybody")
	}
	s.sendToGroup(t, all[0], "back", all...)
}
