package azure

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/server"
)

// Chat is the hub of captures/azure/app, in Go.
type Chat struct{}

var chatHub atomic.Pointer[server.Hub]

func (*Chat) OnConnected(call *server.Call) error {
	q := call.Request().URL.Query()
	if q.Get("welcome") == "1" {
		_ = call.Clients().Caller().Send(call.Context(), "M", "welcome")
	}
	if q.Get("refuse") == "1" {
		return server.NewHubError("refused")
	}
	return nil
}

// OnAuthenticationRefreshed tells clients that want to know.
func (c *Chat) OnAuthenticationRefreshed(call *server.Call) error {
	if call.Request().URL.Query().Get("tell") != "1" {
		return nil
	}
	return call.Clients().Caller().Send(call.Context(), "Refreshed "+c.Who(call))
}

// Who is the user and its role.
func (*Chat) Who(call *server.Call) string {
	return fmt.Sprint(call.UserID(), " ", call.User().Claims["role"])
}

func (*Chat) Echo(text string) string { return text }
func (*Chat) Add(a, b int) int        { return a + b }
func (*Chat) Nothing()                {}
func (*Chat) Large(n int) string      { return strings.Repeat("x", n) }
func (*Chat) Length(text string) int  { return len(text) }
func (*Chat) Throw() error {
	return server.WithErrorType("InvalidOperationException", errors.New("broken"))
}
func (*Chat) ThrowHub() error         { return server.NewHubError("told") }
func (*Chat) Abort(call *server.Call) { call.Abort() }
func (*Chat) AbortLater(call *server.Call) {
	call.Abort()
	time.Sleep(100 * time.Millisecond)
}

// Wait waits for the end of the connection.
func (*Chat) Wait(ctx context.Context) { <-ctx.Done() }

func (*Chat) Join(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}

func (*Chat) Leave(call *server.Call, group string) error {
	return call.Groups().Remove(call.Context(), call.ConnectionID(), group)
}

func (*Chat) Two(call *server.Call, text string) error {
	return errors.Join(call.Clients().Caller().Send(call.Context(), "M", text+" 1"), call.Clients().Caller().Send(call.Context(), "M", text+" 2"))
}

func (*Chat) Ask(call *server.Call, id, text string) (string, error) {
	ctx, cancel := context.WithTimeout(call.Context(), time.Minute)
	defer cancel()
	return server.Invoke[string](ctx, call.Clients().Client(id), "Ask", text)
}

func (*Chat) Upload(items <-chan int) (sum int) {
	for i := range items {
		sum += i
	}
	return sum
}

func (*Chat) Count(ctx context.Context, n, delay int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := 1; i <= n; i++ {
			if i == 4 && delay == 1 {
				yield(0, server.NewHubError("stream broke"))
				return
			}
			if delay > 0 {
				select {
				case <-time.After(time.Duration(delay) * time.Millisecond):
				case <-ctx.Done():
					return
				}
			}
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (*Chat) Send(call *server.Call, form string, to, except []string, text string) error {
	var proxy server.ClientProxy
	switch form {
	case "Caller":
		proxy = call.Clients().Caller()
	case "Others":
		proxy = call.Clients().Others()
	case "OthersInGroup":
		proxy = call.Clients().OthersInGroup(to[0])
	default:
		proxy = sendingTo(chatHub.Load().Clients(), form, to, except)
	}
	return proxy.Send(call.Context(), "M", text)
}

func sendingTo(clients server.Clients, form string, to, except []string) server.ClientProxy {
	switch form {
	case "All":
		return clients.All()
	case "AllExcept":
		return clients.AllExcept(except...)
	case "Client":
		return clients.Client(to[0])
	case "Clients":
		return clients.Clients(to...)
	case "Group":
		return clients.Group(to[0])
	case "Groups":
		return clients.Groups(to...)
	case "GroupExcept":
		return clients.GroupExcept(to[0], except...)
	case "User":
		return clients.User(to[0])
	}
	return clients.Users(to...)
}
