package gateway_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/recorded"
	"github.com/hubwire/hubwire/azure/internal/wire"
)

// What the recorded app servers sent is played to the gateway, each connection over
// one of its own: nothing of it ends a connection, and whatever wants an answer
// gets the one that the service gave, as far as it did not lie for the sake of the
// recording.
func TestRecordedAppServersAreServed(t *testing.T) {
	for _, scenario := range recorded.Scenarios(t, "../../testdata/azure/azure.json") {
		t.Run(scenario.Name, func(t *testing.T) {
			inWorld(t, &gateway.Options{MaximumClients: 1000}, func(w *world) { playRecorded(w, scenario) })
		})
	}
}

// A played connection of a recorded app server: what it asked for, and what was
// answered.
type played struct {
	*fakeServer
	wants []string
}

func playRecorded(w *world, scenario recorded.Scenario) {
	conns := map[string]*played{}
	begun := time.Now()
	for _, e := range scenario.Events {
		if at := begun.Add(time.Duration(e.T) * time.Millisecond); time.Until(at) > 0 {
			time.Sleep(time.Until(at))
		}
		switch {
		case e.Upgrade != "" && e.Status == 101:
			hub, _, _ := strings.Cut(strings.TrimPrefix(e.Path[strings.Index(e.Path, "hub="):], "hub="), "&")
			conns[e.Upgrade] = &played{fakeServer: w.connectServer(fmt.Sprint(e.Headers["X-ASRS-Server-Id"]), serverOptions{hub: hub, mute: true})}
		case e.From == "app" && e.Close != 0 && conns[e.On] != nil:
			_ = conns[e.On].conn.Close() // it is what the app did
		case e.From == "app" && e.Hex != "" && conns[e.On] != nil:
			conns[e.On].play(e)
		}
	}
	synctest.Wait()
	for name, c := range conns {
		c.check(name)
	}
}

func (c *played) play(e recorded.Event) {
	frame, err := hex.DecodeString(e.Hex)
	if err != nil {
		c.w.Fatal(err)
	}
	m, _, err := wire.Next(frame)
	if err != nil {
		c.w.Fatal(err)
	}
	if err := c.conn.Write(frame); err != nil {
		return // the app has closed it
	}
	switch m := m.(type) {
	case *wire.HandshakeRequest:
		c.wants = append(c.wants, "HandshakeResponse")
	case *wire.AccessKeyRequest:
		c.wants = append(c.wants, "AccessKeyResponse")
	case *wire.Ping:
		for i := 0; i+1 < len(m.Messages); i += 2 {
			switch m.Messages[i] {
			case "status", "servers":
				c.wants = append(c.wants, "ping "+m.Messages[i])
			case "shutdown":
				c.wants = append(c.wants, "ping shutdown finack")
			}
		}
	case *wire.ClientInvocation: // of a client that is not there
		c.wants = append(c.wants, "ErrorCompletion "+m.InvocationID)
	default:
		if id, asked := ackID(m); asked {
			c.wants = append(c.wants, fmt.Sprintf("Ack %d", id))
		}
	}
	synctest.Wait()
}

func (c *played) check(name string) {
	var got []string
	for _, m := range c.quiet() {
		switch m := m.(type) {
		case *wire.HandshakeResponse:
			got = append(got, "HandshakeResponse"+wire.Text(m.ErrorMessage))
		case *wire.AccessKeyResponse:
			got = append(got, "AccessKeyResponse")
		case *wire.Ping:
			if m.Messages[0] == "shutdown" {
				got = append(got, "ping shutdown "+m.Messages[1])
			} else {
				got = append(got, "ping "+m.Messages[0])
			}
		case *wire.ErrorCompletion:
			got = append(got, "ErrorCompletion "+m.InvocationID)
		case *wire.Ack:
			got = append(got, fmt.Sprintf("Ack %d", m.AckID))
		default:
			c.w.Errorf("%s got %+v", name, m)
		}
	}
	slices.Sort(got) // those that fail come a little later
	slices.Sort(c.wants)
	if !slices.Equal(got, c.wants) {
		c.w.Errorf("%s got %q, want %q", name, got, c.wants)
	}
}

// ackID is the id of the ack that m asks for.
func ackID(m wire.Message) (int, bool) {
	switch m := m.(type) {
	case *wire.JoinGroupWithAck:
		return m.AckID, true
	case *wire.LeaveGroupWithAck:
		return m.AckID, true
	case *wire.CheckUserInGroupWithAck:
		return m.AckID, true
	case *wire.CheckGroupExistenceWithAck:
		return m.AckID, true
	case *wire.CheckConnectionExistenceWithAck:
		return m.AckID, true
	case *wire.CheckUserExistenceWithAck:
		return m.AckID, true
	case *wire.UserJoinGroupWithAck:
		return m.AckID, true
	case *wire.UserLeaveGroupWithAck:
		return m.AckID, true
	case *wire.CloseUserConnectionsWithAck:
		return m.AckID, true
	case *wire.CloseGroupConnectionsWithAck:
		return m.AckID, true
	case *wire.GroupMemberQuery:
		return m.AckID, true
	case *wire.RefreshAuth:
		return m.AckID, true
	case *wire.GetConnectionClaims:
		return m.AckID, true
	}
	return 0, false
}
