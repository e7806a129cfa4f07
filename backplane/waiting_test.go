package backplane

import (
	"testing"

	"github.com/hubwire/hubwire/server"
)

// A seeingClient sees whether the sender of what it is sent waits.
type seeingClient struct {
	*fakeClient
	waiting chan bool
}

func (c seeingClient) Send(m *server.Message) error {
	c.waiting <- m.IsWaiting()
	return nil
}

func TestSendsThatWaitKnowTheReceiversOfTheirOwnNode(t *testing.T) {
	on(t, sendsThatWait)
}

func sendsThatWait(t *testing.T, s testRedis) {
	near, far := node(t, s, Options{}), node(t, s, Options{})
	ready(t, near, far)
	here := seeingClient{client(t, near, "here", "alice"), make(chan bool, 10)}
	there := seeingClient{client(t, far, "there", "alice"), make(chan bool, 10)}
	for r, c := range map[*Redis]seeingClient{near: here, far: there} {
		r.Disconnected(c.fakeClient)
		if err := r.Connected(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := r.AddToGroup(t.Context(), c.ID(), "group"); err != nil {
			t.Fatal(err)
		}
	}
	clients := server.MustHub(struct{}{}, &server.Options{LifetimeManager: near}).Clients()
	for name, to := range map[string]server.ClientProxy{
		"all": clients.All(), "group": clients.Group("group"), "user": clients.User("alice"),
	} {
		if err := to.Waiting().Send(t.Context(), "M", name); err != nil {
			t.Fatal(err)
		}
		if !<-here.waiting || <-there.waiting {
			t.Errorf("%s: the sender does not hear of its own node's client, or hears of another's", name)
		}
		if err := to.Send(t.Context(), "M", name); err != nil {
			t.Fatal(err)
		}
		if <-here.waiting || <-there.waiting {
			t.Errorf("%s: a send that does not wait hears of receivers", name)
		}
	}
	if err := clients.Client("here").Waiting().Send(t.Context(), "M"); err != nil || !<-here.waiting {
		t.Errorf("client: %v", err)
	}
	if n := near.waiting.some.Load(); n != 0 || len(near.waiting.sent) != 0 {
		t.Errorf("%d sends are left behind", n)
	}
}
