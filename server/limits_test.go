package server_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/server"
)

// A limitHub opens what is bounded.
type limitHub struct{}

func (limitHub) Echo(text string) string { return text }

// Open streams one item and then nothing until it is cancelled.
func (limitHub) Open(call *server.Call) iter.Seq[int] {
	return func(yield func(int) bool) {
		if yield(1) {
			<-call.Context().Done()
		}
	}
}

func (limitHub) Collect(items <-chan int) (n int) {
	for range items {
		n++
	}
	return n
}

func (limitHub) Ask(call *server.Call) (int, error) {
	return server.Invoke[int](call.Context(), call.Clients().Caller(), "Question")
}

func (limitHub) ID(call *server.Call) string { return call.ConnectionID() }

func TestAClientMayHaveOnlySoManyOpenStreams(t *testing.T) {
	const refusal = `"error":"Failed to invoke '%s' due to an error on the server. HubException: The client has too many open streams."`
	c := connect(t, serve(t, newHub(limitHub{}, &server.Options{MaximumStreamsPerClient: 2})))
	open := func(id string) string { return `{"type":4,"invocationId":"` + id + `","target":"Open","arguments":[]}` }
	collect := func(id string) string {
		return `{"type":1,"invocationId":"` + id + `","target":"Collect","arguments":[],"streamIds":["s` + id + `"]}`
	}
	c.send(open("1"), collect("2"))
	c.expect(`{"type":2,"invocationId":"1","item":1}`)
	c.send(open("3"))
	c.expect(`{"type":3,"invocationId":"3",` + fmt.Sprintf(refusal, "Open") + `}`)
	c.send(collect("4"))
	c.expect(`{"type":3,"invocationId":"4",` + fmt.Sprintf(refusal, "Collect") + `}`)
	c.call("5", "Echo", `["other calls go on"]`, `"result":"other calls go on"`)

	c.send(`{"type":5,"invocationId":"1"}`)
	c.expect(`{"type":3,"invocationId":"1"}`)
	c.send(open("6"))
	c.expect(`{"type":2,"invocationId":"6","item":1}`)
	c.send(`{"type":2,"invocationId":"s2","item":1}`, `{"type":3,"invocationId":"s2"}`)
	c.expect(`{"type":3,"invocationId":"2","result":1}`)
	c.send(open("7"))
	c.expect(`{"type":2,"invocationId":"7","item":1}`)
}

func TestAClientMayHaveOnlySoManyCallsThatWaitForIt(t *testing.T) {
	c := connect(t, serve(t, newHub(limitHub{}, &server.Options{MaximumWaitingCallsPerClient: 2})))
	ask := func(id string) string { return `{"type":1,"invocationId":"` + id + `","target":"Ask","arguments":[]}` }
	c.send(ask("1"))
	first := c.question(`"target":"Question","arguments":[]`)
	c.send(ask("2"))
	c.question(`"target":"Question","arguments":[]`)
	c.call("3", "Echo", `["x"]`, `"error":"Failed to invoke 'Echo' due to an error on the server. HubException: The client has too many calls that have not been answered."`)
	c.send(`{"type":3,"invocationId":"` + first + `","result":7}`)
	c.expect(`{"type":3,"invocationId":"1","result":7}`)
	c.call("4", "Echo", `["x"]`, `"result":"x"`)
}

// id returns the id of c's connection.
func (c *client) id() string {
	c.t.Helper()
	c.send(`{"type":1,"invocationId":"id","target":"ID","arguments":[]}`)
	_, behind, _ := strings.Cut(c.receive(), `"result":"`)
	return strings.TrimSuffix(behind, `"}`)
}

func TestAClientMayBeAskedForOnlySoManyResults(t *testing.T) {
	hub := newHub(limitHub{}, &server.Options{MaximumClientResultsPerClient: 1})
	url := serve(t, hub)
	c, other := connect(t, url), connect(t, url)
	id, otherID := c.id(), other.id()
	answers := make(chan int, 2)
	ask := func(id string) {
		n, err := server.Invoke[int](t.Context(), hub.Clients().Client(id), "Question")
		if err != nil {
			t.Errorf("Invoke: %v", err)
		}
		answers <- n
	}
	go ask(id)
	question := c.question(`"target":"Question","arguments":[]`)
	if _, err := server.Invoke[int](t.Context(), hub.Clients().Client(id), "Question"); !errors.Is(err, server.ErrTooManyClientResults) {
		t.Errorf("the second Invoke returned %v, want ErrTooManyClientResults", err)
	}
	go ask(otherID)
	other.send(`{"type":3,"invocationId":"` + other.question(`"target":"Question","arguments":[]`) + `","result":2}`)
	if n := <-answers; n != 2 {
		t.Errorf("the other client answered %d", n)
	}
	c.send(`{"type":3,"invocationId":"` + question + `","result":1}`)
	if n := <-answers; n != 1 {
		t.Errorf("the client answered %d", n)
	}
	go ask(id)
	c.send(`{"type":3,"invocationId":"` + c.question(`"target":"Question","arguments":[]`) + `","result":3}`)
	if n := <-answers; n != 3 {
		t.Errorf("the client answered %d", n)
	}
}

func TestAConnectionMayBeInOnlySoManyGroups(t *testing.T) {
	hub := newHub(limitHub{}, &server.Options{MaximumGroupsPerClient: 2, MaximumGroupNameLength: 5})
	url := serve(t, hub)
	c, other := connect(t, url), connect(t, url)
	id, otherID := c.id(), other.id()
	ctx, groups := t.Context(), hub.Groups()
	steps := []struct {
		do   func(context.Context, string, string) error
		id   string
		name string
		want error
	}{
		{groups.Add, id, "a", nil},
		{groups.Add, id, "b", nil},
		{groups.Add, id, "c", server.ErrTooManyGroups},
		{groups.Add, id, "a", nil}, // it is a member
		{groups.Add, otherID, "c", nil},
		{groups.Remove, id, "c", nil}, // it is none
		{groups.Add, id, "c", server.ErrTooManyGroups},
		{groups.Remove, id, "a", nil},
		{groups.Add, id, "12345", nil},
		{groups.Add, otherID, "123456", server.ErrGroupNameTooLong},
		{groups.Remove, otherID, "123456", nil},
	}
	for i, step := range steps {
		if err := step.do(ctx, step.id, step.name); !errors.Is(err, step.want) {
			t.Errorf("step %d (%s) returned %v, want %v", i, step.name, err, step.want)
		}
	}
	if err := hub.Clients().Group(strings.Repeat("x", 10)).Send(ctx, "M"); err != nil {
		t.Errorf("a send to a group of a long name: %v", err)
	}
	for _, group := range []string{"a", "b", "c", "12345"} {
		if err := hub.Clients().Group(group).Send(ctx, "M", group); err != nil {
			t.Error(err)
		}
	}
	c.expect(`{"type":1,"target":"M","arguments":["b"]}`, `{"type":1,"target":"M","arguments":["12345"]}`)
	other.expect(`{"type":1,"target":"M","arguments":["c"]}`)
}

// A stream whose method waits holds the loop of its connection up until another
// goroutine takes the loop over. That is known from the first one on.
func TestStreamsThatWaitDoNotOpenOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(limitHub{}, nil)
		c := openFake(t, hub)
		c.say(`{"protocol":"json","version":1}`)
		synctest.Wait()
		begin := time.Now()
		for i := range 200 {
			c.say(fmt.Sprintf(`{"type":4,"invocationId":"%d","target":"Open","arguments":[]}`, i))
		}
		c.say(`{"type":1,"invocationId":"last","target":"Echo","arguments":["x"]}`)
		for c.count(`"result":"x"`) == 0 {
			time.Sleep(time.Millisecond / 2)
			synctest.Wait()
		}
		if took := time.Since(begin); took > 10*time.Millisecond {
			t.Errorf("a call behind 200 streams was answered after %v", took)
		}
		time.Sleep(time.Second) // the first items may be written later
		if n := c.count(`"item":1`); n != 200 {
			t.Errorf("%d streams are open, want 200", n)
		}
		c.end(t, hub)
	})
}
