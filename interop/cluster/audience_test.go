package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

const (
	perNode   = 200 // clients
	groupSize = 8   // members of a group, half of them on each node
	userSize  = 4   // connections of a user, half of them on each node
	dialTime  = time.Minute
)

// A member is one client of the audience, and what it has received.
type member struct {
	*hubclient.Client
	index       int // even: on node 0
	id          string
	user, group string

	mu       sync.Mutex
	got      map[string]bool // texts, "sender sequence kind"
	last     map[string]int  // sequence by "sender kind"
	flushed  int
	troubles []string
}

func (m *member) node() int { return m.index % 2 }

// dialAudience connects 200 clients to each of two nodes, half of them with
// JSON and half with MessagePack, with users and groups that span both nodes.
func dialAudience(t *testing.T, nodes [2]string) []*member {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), dialTime)
	defer cancel()
	members := make([]*member, 2*perNode)
	var dialing sync.WaitGroup
	errs := make([]error, len(members))
	slots := make(chan struct{}, 16) // bounds how many dial at once
	for i := range members {
		m := &member{index: i, user: fmt.Sprintf("u%d", i/userSize), group: fmt.Sprintf("g%d", i/groupSize), got: map[string]bool{}, last: map[string]int{}}
		members[i] = m
		slots <- struct{}{}
		dialing.Go(func() {
			errs[i] = m.dial(ctx, nodes[m.node()])
			<-slots
		})
	}
	dialing.Wait()
	for _, m := range members {
		if m.Client != nil {
			t.Cleanup(m.Close)
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return members
}

func (m *member) dial(ctx context.Context, node string) (err error) {
	codec := protocol.Codec(protocol.JSON{})
	if m.index/2%2 == 1 {
		codec = protocol.MessagePack{}
	}
	o := hubclient.Options{
		ConnOptions: hubclient.ConnOptions{URL: node + "/hub?user=" + m.user, SkipNegotiation: true},
		Codec:       codec,
		Receive:     func(inv *protocol.Invocation) { m.receive(codec, inv.Target, inv.RawArguments) },
	}
	if m.Client, err = hubclient.Dial(ctx, o); err != nil {
		return err
	}
	if err := m.Invoke(ctx, &m.id, "ConnectionId"); err != nil {
		return err
	}
	return m.Invoke(ctx, nil, "Join", m.group)
}

// receive notes one message. A message that came twice, or after a later one of
// the same sender on the same channel, is a fault.
func (m *member) receive(codec protocol.Codec, target string, args []protocol.Raw) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if target == "Flush" {
		m.flushed++
		return
	}
	var text string
	if err := codec.Unmarshal(args[0], &text); err != nil {
		m.troubles = append(m.troubles, err.Error())
		return
	}
	var sender, sequence int
	var kind string
	if _, err := fmt.Sscan(text, &sender, &sequence, &kind); err != nil {
		m.troubles = append(m.troubles, fmt.Sprintf("received %q: %v", text, err))
		return
	}
	if m.got[text] {
		m.troubles = append(m.troubles, "received twice: "+text)
	}
	m.got[text] = true
	lane := strconv.Itoa(sender) + " " + kind
	if last, ok := m.last[lane]; ok && sequence < last {
		m.troubles = append(m.troubles, fmt.Sprintf("out of order: %s after %d", text, last))
	}
	m.last[lane] = sequence
}

func (m *member) received(text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.got[text]
}

func (m *member) flushes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.flushed
}

// flush sends a last message on every channel and waits until all of them have
// reached every client: what was sent before has arrived by then, or is lost.
func flush(t *testing.T, members []*member) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), dialTime)
	defer cancel()
	var ids []string
	users, groups := map[string]bool{}, map[string]bool{}
	for _, m := range members {
		ids = append(ids, m.id)
		users[m.user], groups[m.group] = true, true
	}
	sender := members[0]
	invoke := func(target string, args ...any) {
		if err := sender.Invoke(ctx, nil, target, args...); err != nil {
			t.Fatalf("%s after everything: %v", target, err)
		}
	}
	invoke("SendAll", "Flush", "")
	invoke("SendClients", ids, "Flush", "")
	for user := range users {
		invoke("SendUser", user, "Flush", "")
	}
	for group := range groups {
		invoke("SendGroup", group, "Flush", "")
	}
	const channels = 4
	wait(t, "everybody has the last message of every channel", dialTime, func() bool {
		for _, m := range members {
			if m.flushes() < channels {
				return false
			}
		}
		return true
	})
}

// wait checks a condition until it holds.
func wait(t *testing.T, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	end := time.After(limit)
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for !holds() {
		select {
		case <-retry.C:
		case <-end:
			t.Fatalf("not so after %v: %s", limit, what)
		}
	}
}
