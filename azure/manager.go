package azure

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/members"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

var _ interface {
	server.LifetimeManager
	server.ResultRouter
} = (*service)(nil)

// Connected implements server.LifetimeManager: the service knows the client.
func (s *service) Connected(_ context.Context, c server.Receiver) error {
	if cl := s.client(c.ID()); cl != nil {
		cl.mu.Lock()
		cl.receiver = c
		cl.mu.Unlock()
	}
	return nil
}

// Disconnected implements server.LifetimeManager.
func (s *service) Disconnected(c server.Receiver) { s.results.Disconnected(c.ID()) }

// Send implements server.LifetimeManager: the service finds the clients.
func (s *service) Send(ctx context.Context, to server.Audience, m *server.Message) error {
	message, key, err := s.messageTo(to, m)
	if message == nil || err != nil {
		return err
	}
	return s.sendAll(ctx, key, message)
}

// sendAll sends m to every endpoint that is online.
func (s *service) sendAll(ctx context.Context, key sendKey, m wire.Message) error {
	pools := s.online()
	if len(pools) == 0 {
		return s.errUnreachable()
	}
	sent := false
	var first error
	for _, p := range pools {
		err := p.send(ctx, key, m)
		sent = sent || err == nil
		if first == nil {
			first = err
		}
	}
	if sent { // an endpoint that has just ended has no clients
		return nil
	}
	return s.sendError(first)
}

// messageTo is m for an audience, and the key within which order is kept. It is nil if
// there is no receiver.
func (s *service) messageTo(to server.Audience, m *server.Message) (message wire.Message, key sendKey, err error) {
	if to.Kind > server.ToUsers {
		return nil, sendKey{}, errors.New("azure: send to an unknown audience: " + to.Kind.String())
	}
	if len(to.Names) > 1 { // as with a backplane: only a single group may have an empty name
		to.Names = slices.DeleteFunc(slices.Clone(to.Names), func(name string) bool { return name == "" })
	}
	if to.Kind != server.ToAll && len(to.Names) == 0 {
		return nil, sendKey{}, nil
	}
	codecs := s.codecs
	one := len(to.Names) == 1
	if to.Kind == server.ToConnections && one {
		if r := s.receiverOf(to.Names[0]); r != nil {
			codecs = []protocol.Codec{r.Codec()}
		}
		key = s.keyOf(to.Names[0])
	}
	payloads := make([]wire.Payload, len(codecs))
	for i, codec := range codecs {
		b, err := m.Bytes(codec)
		if err != nil {
			return nil, sendKey{}, err
		}
		payloads[i] = wire.Payload{Protocol: codec.Name(), Bytes: b}
	}
	name := ""
	if one {
		name = to.Names[0]
		key.name = name
	}
	switch to.Kind {
	case server.ToAll:
		return &wire.BroadcastData{ExcludedList: to.Except, Payloads: payloads}, key, nil
	case server.ToConnections:
		return &wire.MultiConnectionData{ConnectionList: to.Names, Payloads: payloads}, key, nil
	case server.ToGroups:
		if one {
			return &wire.GroupBroadcastData{GroupName: name, ExcludedList: to.Except, Payloads: payloads}, key, nil
		}
		return &wire.MultiGroupBroadcastData{GroupList: to.Names, Payloads: payloads}, key, nil
	}
	if one {
		return &wire.UserData{UserID: name, Payloads: payloads}, key, nil
	}
	return &wire.MultiUserData{UserList: to.Names, Payloads: payloads}, key, nil
}

// keyOf is the sendKey of messages for a client.
func (s *service) keyOf(id string) sendKey {
	if cl := s.client(id); cl != nil {
		return sendKey{via: cl.through(), name: id}
	}
	return sendKey{name: id}
}

// receiverOf is a client of this server as the hub knows it, or nil.
func (s *service) receiverOf(id string) server.Receiver {
	cl := s.client(id)
	if cl == nil {
		return nil
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.receiver
}

// AddToGroup implements server.LifetimeManager. It takes the way of what is sent to the
// group, as RemoveFromGroup does: both keep their order. The groups in which this server has
// put a client of its own are counted, for the hub's bound; those that other
// servers know of are not, so the manager is no server.GroupLister.
func (s *service) AddToGroup(ctx context.Context, id, group string) error {
	cl, fresh := s.client(id), false
	if cl != nil {
		var err error
		if fresh, err = cl.join(group); err != nil {
			return err
		}
	}
	err := s.askAll(ctx, sendKey{name: group}, "JoinGroupWithAck", func(ack int) wire.Message {
		return &wire.JoinGroupWithAck{ConnectionID: id, GroupName: group, AckID: ack}
	})
	if err != nil && fresh {
		cl.leaveGroup(group)
	}
	return err
}

// RemoveFromGroup implements server.LifetimeManager.
func (s *service) RemoveFromGroup(ctx context.Context, id, group string) error {
	if cl := s.client(id); cl != nil {
		cl.leaveGroup(group)
	}
	return s.askAll(ctx, sendKey{name: group}, "LeaveGroupWithAck", func(ack int) wire.Message {
		return &wire.LeaveGroupWithAck{ConnectionID: id, GroupName: &group, AckID: ack}
	})
}

// join counts a group of cl. fresh means that it was not counted before.
func (cl *client) join(group string) (fresh bool, err error) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if _, member := cl.groups[group]; member || cl.receiver == nil {
		return false, nil
	}
	if err := server.CheckJoin(cl.receiver, group, len(cl.groups)); err != nil {
		return false, err
	}
	if cl.groups == nil {
		cl.groups = map[string]struct{}{}
	}
	cl.groups[group] = struct{}{}
	return true, nil
}

func (cl *client) leaveGroup(group string) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	delete(cl.groups, group)
}

// online are the endpoints that can be sent to.
func (s *service) online() []*pool {
	if len(s.pools) == 1 {
		if s.pools[0].online() {
			return s.pools
		}
		return nil
	}
	var all []*pool
	for _, p := range s.pools {
		if p.online() {
			all = append(all, p)
		}
	}
	return all
}

// errUnreachable says that the service cannot be reached. Source: testdata/azure.
func (s *service) errUnreachable() error {
	return server.WithErrorType("FailedWritingMessageToServiceException",
		errors.New("Unable to write message to endpoint: "+s.pools[0].at.name))
}

func (s *service) sendError(err error) error {
	if errors.Is(err, errNoConnection) {
		return s.errUnreachable()
	}
	return err
}

// lastInvocation numbers the client results, over all hubs of the process: the ids
// must differ from those of any other server.
var lastInvocation atomic.Uint64

// What Hubwire's gateway says of a client that there is not, and of one that has left.
const (
	unknownClient = "Connection does not exist."
	goneClient    = "Connection is disconnected."
)

// InvokeConnection implements server.ResultRouter.
func (s *service) InvokeConnection(ctx context.Context, id string, inv *protocol.Invocation) (server.ClientResult, error) {
	r := s.receiverOf(id)
	inv.InvocationID = id + "-" + process().invocations + "-" + strconv.FormatUint(lastInvocation.Add(1), 10)
	p := &members.Pending{ID: inv.InvocationID, ConnectionID: id, Away: r == nil}
	_, err := s.results.Add(p, func(own, _ int) error { return server.CheckClientResult(r, own) })
	if err != nil {
		return server.ClientResult{}, err
	}
	s.mu.Lock()
	s.instances[p.ID] = mapped{connection: id}
	s.mu.Unlock()
	defer s.forgetResult(p)
	payloads := make([]wire.Payload, len(s.codecs))
	m := server.NewMessage(inv)
	for i, codec := range s.codecs {
		b, err := m.Bytes(codec)
		if err != nil {
			return server.ClientResult{}, err
		}
		payloads[i] = wire.Payload{Protocol: codec.Name(), Bytes: b}
	}
	err = s.sendAll(ctx, s.keyOf(id), &wire.ClientInvocation{
		InvocationID: p.ID, ConnectionID: id, CallerServerID: s.serverID, Payloads: payloads,
	})
	if err != nil {
		return server.ClientResult{}, err
	}
	var client <-chan struct{}
	if r != nil {
		client = r.Context().Done()
	}
	result, end := p.Await(ctx, client, s.ctx.Done())
	switch {
	case end == members.Gone:
		return server.ClientResult{}, &server.ConnectionError{ID: id, Gone: true}
	case end == members.NodeEnded:
		return server.ClientResult{}, server.ErrShutdown
	case end != members.Answered:
		return server.ClientResult{}, server.NewHubError(members.TextCanceled)
	case result.Failed:
		return server.ClientResult{}, s.resultError(p, result.Error)
	}
	return server.ClientResult{Codec: result.Codec, Value: result.Value}, nil
}

// resultError is the error of a client result that has failed with a text: the
// client's own, or the service's, of which those of Hubwire's gateway are known.
func (s *service) resultError(p *members.Pending, text string) error {
	s.mu.Lock()
	refused := s.instances[p.ID].refused
	s.mu.Unlock()
	switch {
	case refused && text == unknownClient, refused && text == goneClient && !p.Away:
		return &server.ConnectionError{ID: p.ConnectionID, Gone: !p.Away}
	case refused && text == goneClient:
		text = "Connection disconnected." // as over Redis
	}
	return &server.HubError{Message: text}
}

func (s *service) forgetResult(p *members.Pending) {
	s.results.Remove(p)
	s.mu.Lock()
	delete(s.instances, p.ID)
	s.mu.Unlock()
}
