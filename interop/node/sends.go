package main

import "github.com/hubwire/hubwire/server"

// SendAll and the methods after it call a method of other clients.
func (h *TestHub) SendAll(call *server.Call, method, text string) error {
	return call.Clients().All().Send(call.Context(), method, text)
}

func (h *TestHub) SendAllExcept(call *server.Call, ids []string, method, text string) error {
	return call.Clients().AllExcept(ids...).Send(call.Context(), method, text)
}

func (h *TestHub) SendCallerOften(call *server.Call, count int32, method, text string) error {
	for range count {
		if err := call.Clients().Caller().Send(call.Context(), method, text); err != nil {
			return err
		}
	}
	return call.Clients().Caller().Send(call.Context(), method, "last")
}

func (h *TestHub) SendCaller(call *server.Call, method, text string) error {
	return call.Clients().Caller().Send(call.Context(), method, text)
}

func (h *TestHub) SendOthers(call *server.Call, method, text string) error {
	return call.Clients().Others().Send(call.Context(), method, text)
}

func (h *TestHub) SendClient(call *server.Call, id, method, text string) error {
	return call.Clients().Client(id).Send(call.Context(), method, text)
}

func (h *TestHub) SendClients(call *server.Call, ids []string, method, text string) error {
	return call.Clients().Clients(ids...).Send(call.Context(), method, text)
}

func (h *TestHub) SendGroup(call *server.Call, group, method, text string) error {
	return call.Clients().Group(group).Send(call.Context(), method, text)
}

func (h *TestHub) SendGroups(call *server.Call, groups []string, method, text string) error {
	return call.Clients().Groups(groups...).Send(call.Context(), method, text)
}

func (h *TestHub) SendGroupExcept(call *server.Call, group string, ids []string, method, text string) error {
	return call.Clients().GroupExcept(group, ids...).Send(call.Context(), method, text)
}

func (h *TestHub) SendOthersInGroup(call *server.Call, group, method, text string) error {
	return call.Clients().OthersInGroup(group).Send(call.Context(), method, text)
}

func (h *TestHub) SendUser(call *server.Call, user, method, text string) error {
	return call.Clients().User(user).Send(call.Context(), method, text)
}

func (h *TestHub) SendUsers(call *server.Call, users []string, method, text string) error {
	return call.Clients().Users(users...).Send(call.Context(), method, text)
}

func (h *TestHub) SendSampleToAll(call *server.Call, method string) error {
	return call.Clients().All().Send(call.Context(), method, newSample(), 42, nil)
}

// Join and the methods after it change groups; the connection may be on another
// node.
func (h *TestHub) Join(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}

func (h *TestHub) Leave(call *server.Call, group string) error {
	return call.Groups().Remove(call.Context(), call.ConnectionID(), group)
}

func (h *TestHub) AddToGroup(call *server.Call, id, group string) error {
	return call.Groups().Add(call.Context(), id, group)
}

func (h *TestHub) RemoveFromGroup(call *server.Call, id, group string) error {
	return call.Groups().Remove(call.Context(), id, group)
}

// Ask and AskInt ask a client for a result.
func (h *TestHub) Ask(call *server.Call, id, method, question string) (*string, error) {
	return server.Invoke[*string](call.Context(), call.Clients().Client(id), method, question)
}

func (h *TestHub) AskInt(call *server.Call, id, method string) (int32, error) {
	return server.Invoke[int32](call.Context(), call.Clients().Client(id), method)
}

// Broadcast, JoinGroup and SendToGroup are what the load generator calls.
func (h *TestHub) Broadcast(call *server.Call, text string) error {
	return call.Clients().All().Send(call.Context(), "receive", text)
}

func (h *TestHub) JoinGroup(call *server.Call, group string) error { return h.Join(call, group) }

func (h *TestHub) SendToGroup(call *server.Call, group, text string) error {
	return call.Clients().Group(group).Send(call.Context(), "receive", text)
}
