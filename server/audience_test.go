package server_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/server"
)

// An audienceManager notes whom sends are for. It is no ResultRouter.
type audienceManager struct {
	server.LifetimeManager
	sent []server.Audience
}

func (m *audienceManager) Send(ctx context.Context, to server.Audience, msg *server.Message) error {
	m.sent = append(m.sent, to)
	return m.LifetimeManager.Send(ctx, to, msg)
}

func TestEachProxyHasItsAudience(t *testing.T) {
	m := &audienceManager{LifetimeManager: server.NewLifetimeManager()}
	c := newHub(struct{}{}, &server.Options{LifetimeManager: m}).Clients()
	names := func(list ...string) []string { return list }
	for _, row := range []struct {
		to   server.ClientProxy
		want server.Audience
	}{
		{c.All(), server.Audience{}},
		{c.AllExcept("a", "b"), server.Audience{Except: names("a", "b")}},
		{c.Client("a"), server.Audience{Kind: server.ToConnections, Names: names("a")}},
		{c.Clients("a", "b"), server.Audience{Kind: server.ToConnections, Names: names("a", "b")}},
		{c.Clients(), server.Audience{Kind: server.ToConnections}},
		{c.Group("g"), server.Audience{Kind: server.ToGroups, Names: names("g")}},
		{c.Group(""), server.Audience{Kind: server.ToGroups, Names: names("")}},
		{c.GroupExcept("g", "a"), server.Audience{Kind: server.ToGroups, Names: names("g"), Except: names("a")}},
		{c.Groups("g", "h"), server.Audience{Kind: server.ToGroups, Names: names("g", "h")}},
		{c.User("u"), server.Audience{Kind: server.ToUsers, Names: names("u")}},
		{c.Users("u", "v"), server.Audience{Kind: server.ToUsers, Names: names("u", "v")}},
		{c.User("u").Waiting(), server.Audience{Kind: server.ToUsers, Names: names("u")}},
	} {
		m.sent = nil
		if err := row.to.Send(t.Context(), "M"); err != nil || !reflect.DeepEqual(m.sent, []server.Audience{row.want}) {
			t.Errorf("sent to %+v, error %v, want %+v", m.sent, err, row.want)
		}
	}
}

func TestAListWithAnEmptyGroupNameIsRefusedHoweverShortItIs(t *testing.T) {
	c := newHub(struct{}{}, nil).Clients()
	for _, to := range []server.ClientProxy{c.Groups(""), c.Groups("g", "")} {
		var hub *server.HubError
		if err := to.Send(t.Context(), "M"); !errors.As(err, &hub) || hub.Message != "Cannot send to an empty group name." {
			t.Errorf("error %v, want that the name is empty", err)
		}
	}
	if err := c.Group("").Send(t.Context(), "M"); err != nil {
		t.Errorf("a send to the group without a name = %v", err)
	}
}

func TestAManagerThatIsNoResultRouterAsksNoClient(t *testing.T) {
	hub := newHub(hookHub{}, &server.Options{LifetimeManager: &audienceManager{LifetimeManager: server.NewLifetimeManager()}})
	c := connect(t, serve(t, hub))
	c.call("1", "Use", `["InvokeConnection"]`, `"error":"An unexpected error occurred invoking 'Use' on the server."`)
	if _, err := server.Invoke[int](t.Context(), hub.Clients().Client("c"), "M"); !errors.Is(err, server.ErrNoClientResults) {
		t.Errorf("Invoke = %v, want ErrNoClientResults", err)
	}
	c.send(`{"type":3,"invocationId":"1","result":1}`) // no invocation is pending
	c.call("2", "Use", `[""]`, `"result":"fine"`)
}

func TestAClientResultNeedsSomewhereToGo(t *testing.T) {
	client := newHub(struct{}{}, nil).Clients().Client("nobody")
	var n int
	if err := client.Invoke(t.Context(), n, "M"); err == nil || !strings.Contains(err.Error(), "must be a pointer") {
		t.Errorf("Invoke into an int = %v, want that it must be a pointer", err)
	}
	var gone *server.ConnectionError
	for _, result := range []any{&n, nil} {
		if err := client.Invoke(t.Context(), result, "M"); !errors.As(err, &gone) {
			t.Errorf("Invoke into %T = %v, want a ConnectionError", result, err)
		}
	}
}
