package azure

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// Two servers of one hub of which one is the SDK's app, and the other one a Go app.
// Either may be the one that leaves.
func forBothOrders(t *testing.T, args []string, f func(t *testing.T, s *two)) {
	if testing.Short() {
		t.Skip("starts two apps; not with -short")
	}
	for _, first := range []string{"C#", "Go"} {
		t.Run(first+" first", func(t *testing.T) {
			service := harness.StartGateway(t).ConnectionString()
			commands := []string{sdkCommand(t, service), goCommand(t, service)}
			if first == "Go" {
				slices.Reverse(commands)
			}
			s := startTwo(t, commands[0], commands[1], args...)
			if s.csharp = s.goes; first == "Go" {
				s.csharp = s.stays
			}
			f(t, s)
		})
	}
}

// reaches wants a send to have reached some clients, and no others: those get what is
// sent to all after it first.
func (s *two) reaches(t *testing.T, what string, to ...string) {
	t.Helper()
	for _, name := range to {
		if got := s.clients.event(name, "M").Args; fmt.Sprint(got) != "["+what+"]" {
			t.Errorf("%s: %s got %v", what, name, got)
		}
	}
	s.sendToGroup(t, s.ofGoing[0], "after "+what, s.everybody()...)
}

func TestCSharpAndGoServersAreOneHub(t *testing.T) {
	forBothOrders(t, nil, func(t *testing.T, s *two) {
		a, b := s.ofGoing[0], s.ofStaying[0]
		ids := map[string]string{}
		for _, name := range s.everybody() {
			ids[name] = s.clients.call(name, "ConnectionId").(string)
		}
		for _, from := range []string{a, b} {
			far := b
			if from == b {
				far = a
			}
			send := func(what, method string, args ...any) {
				t.Helper()
				s.clients.call(from, method, append(args, "M", what)...)
			}
			rest := func(without ...string) []string {
				return slices.DeleteFunc(s.everybody(), func(name string) bool { return slices.Contains(without, name) })
			}
			send("all", "SendAll")
			s.reaches(t, "all", s.everybody()...)
			send("all but two", "SendAllExcept", []string{ids[far], ids[from]})
			s.reaches(t, "all but two", rest(far, from)...)
			send("others", "SendOthers")
			s.reaches(t, "others", rest(from)...)
			send("the group", "SendGroup", "everybody")
			s.reaches(t, "the group", s.everybody()...)
			send("the group but one", "SendGroupExcept", "everybody", []string{ids[far]})
			s.reaches(t, "the group but one", rest(far)...)
			send("others in the group", "SendOthersInGroup", "everybody")
			s.reaches(t, "others in the group", rest(from)...)
			send("a user", "SendUser", far)
			s.reaches(t, "a user", far)
			send("users", "SendUsers", []string{from, far, "nobody"})
			s.reaches(t, "users", from, far)
			send("a client", "SendClient", ids[far])
			s.reaches(t, "a client", far)
			send("clients", "SendClients", []string{ids[far], ids[from]})
			s.reaches(t, "clients", far, from)
			s.clients.call(from, "AddToGroup", ids[far], "some")
			send("some", "SendGroup", "some")
			s.reaches(t, "some", far)
			s.clients.call(from, "RemoveFromGroup", ids[far], "some")
			send("nobody", "SendGroup", "some")
			s.reaches(t, "nobody")
		}
		t.Logf("the servers are %s and %s, with %q and %q", s.goes.URL, s.stays.URL, s.ofGoing, s.ofStaying)
		for _, node := range []*harness.Node{s.goes, s.stays} {
			for _, name := range s.everybody() {
				if got, want := s.ask(t, node, ids[name]), "200 "+name+" answers question"; got != want {
					t.Errorf("%s is asked by %s: %q, want %q", name, node.URL, got, want)
				}
			}
		}
		// Who is closed by its server, or leaves, is gone for both.
		_, _ = s.clients.do(s.ofGoing[1], "call", map[string]any{"method": "Abort", "args": []any{}}) // which may not be answered any more
		s.clients.event(s.ofGoing[1], "close")
		if _, err := s.clients.do(s.ofStaying[1], "stop", nil); err != nil {
			t.Error(err)
		}
		s.clients.event(s.ofStaying[1], "close")
		for i, node := range []*harness.Node{s.goes, s.stays} {
			for _, gone := range []string{s.ofGoing[1], s.ofStaying[1]} {
				if got := s.ask(t, node, ids[gone]); !strings.HasPrefix(got, "409 ") {
					t.Errorf("server %d asks a client that is gone: %s", i, got)
				}
			}
		}
		s.ofGoing, s.ofStaying = slices.Delete(s.ofGoing, 1, 2), slices.Delete(s.ofStaying, 1, 2)
		s.sendToGroup(t, a, "without them", s.everybody()...)
		s.sendToGroup(t, b, "without them, too", s.everybody()...)
	})
}

// asks is how often the SDK's app may be told to ask a client: it may lose an answer
// that is there before its write has returned. Then it waits for ever, see
// fileOfResults, or takes the answer for null, if it notes down whom it has asked
// between reading the answer and using it. A Go app is told once.
const asks = 20

// ask lets a server ask a client, from outside of calls.
func (s *two) ask(t *testing.T, node *harness.Node, id string) (answer string) {
	t.Helper()
	tries, timeout := 1, "60000"
	if node == s.csharp {
		tries, timeout = asks, "5000"
	}
	for range tries {
		r, err := http.NewRequestWithContext(t.Context(), "POST", node.URL+"/api/ask/"+id+"/Ask?timeout="+timeout, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close() // it was read
		if err != nil {
			t.Fatal(err)
		}
		if answer = fmt.Sprint(response.StatusCode, " ", string(text)); answer != "200 " && !strings.Contains(answer, "Canceled") {
			return answer
		}
		t.Logf("%s has lost an answer: %s", node.URL, answer)
	}
	return answer
}

func TestClientsOfAKilledServerGoOnWithOneOfTheOtherKind(t *testing.T) {
	forBothOrders(t, nil, func(t *testing.T, s *two) {
		s.goes.Kill()
		for _, name := range s.ofGoing {
			s.clients.event(name, "reconnecting")
			s.clients.event(name, "reconnected")
			if pid := s.clients.call(name, "ProcessId"); pid != s.pidStaying {
				t.Errorf("%s is at %v, want the server that is left", name, pid)
			}
			s.clients.call(name, "Join", "everybody") // it is a new connection
		}
		s.sendToGroup(t, s.ofGoing[0], "still here", s.everybody()...)
		for _, name := range s.ofStaying {
			s.clients.never(name, "reconnecting", "close")
		}
	})
}

// A server that leaves with fin:1 gives its clients to one of the other kind. They
// notice nothing: connection, user and groups stay.
func TestClientsAreMigratedBetweenCSharpAndGo(t *testing.T) {
	forBothOrders(t, []string{"--shutdown", "MigrateClients"}, func(t *testing.T, s *two) {
		ids := map[string]any{}
		for _, name := range s.ofGoing {
			ids[name] = s.clients.call(name, "ConnectionId")
		}
		s.leave()
		for _, name := range s.ofGoing {
			if pid := s.clients.call(name, "ProcessId"); pid != s.pidStaying {
				t.Errorf("%s is at %v, want the server that is left", name, pid)
			}
			if id := s.clients.call(name, "ConnectionId"); id != ids[name] {
				t.Errorf("%s has the id %v, and had %v", name, id, ids[name])
			}
			if user := s.clients.call(name, "UserIdentifier"); user != name {
				t.Errorf("%s is the user %v", name, user)
			}
		}
		s.sendToGroup(t, s.ofGoing[0], "from one that was moved", s.everybody()...)
		s.sendToGroup(t, s.ofStaying[0], "to all", s.everybody()...)
		for _, name := range s.everybody() {
			s.clients.never(name, "reconnecting", "close")
		}
	})
}
