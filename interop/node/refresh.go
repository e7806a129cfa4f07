package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hubwire/hubwire/server"
)

// claimNames are the claims of the test's bearer tokens, in the order in which
// Who names them.
var claimNames = []string{"user", "role", "name", "sub", "upn"}

// mountRefresh adds the endpoints whose user comes from a bearer token; all but
// the last allow a refresh.
func (n *node) mountRefresh(c *config, common server.EndpointOptions) {
	common.PollTimeout = c.pollTimeout
	common.EnableAuthenticationRefresh = true
	common.CloseOnAuthenticationExpiration = true
	common.UseLegacyLongPollingAuthenticationRefresh = c.legacyPolling
	add := func(path string, change func(*server.EndpointOptions)) {
		opts := common
		change(&opts)
		endpoint := n.hub.Endpoint(opts)
		if opts.AllowedOrigins == nil {
			endpoint = anyOrigin(endpoint)
		}
		n.mount(path, endpoint)
		if opts.EnableAuthenticationRefresh {
			n.routes.handle("", path+"/refresh", endpoint)
		}
	}
	add("/hub-refresh", func(o *server.EndpointOptions) { o.AllowStatefulReconnects = true })
	add("/hub-refresh-open", func(o *server.EndpointOptions) { o.CloseOnAuthenticationExpiration = false })
	add("/hub-refresh-max", func(o *server.EndpointOptions) { o.MaximumAuthenticationExpiration = 4 * time.Second })
	add("/hub-refresh-policy", func(o *server.EndpointOptions) {
		o.AllowStatefulReconnects = true
		o.OnAuthenticationRefresh = policy
	})
	add("/hub-refresh-users", func(o *server.EndpointOptions) { o.AllowedOrigins = []string{"http://app.test"} })
	add("/hub-refresh-off", func(o *server.EndpointOptions) {
		o.AllowStatefulReconnects = true
		o.EnableAuthenticationRefresh = false
	})
}

// policy decides by the new role: "banned" is refused, "throws" fails, "slow"
// takes half a second.
func policy(_ context.Context, refresh server.AuthenticationRefresh) (bool, error) {
	switch refresh.NewUser.Claims["role"] {
	case "throws":
		return false, invalidOperation("thrown in OnAuthenticationRefresh")
	case "slow":
		time.Sleep(500 * time.Millisecond)
	case "banned":
		return false, nil
	}
	return true, nil
}

// bearer reads a token that is the claims themselves, "user=a&role=x&expires=5";
// where there is none the query is read. expires is a life time in seconds, until
// a time in milliseconds since 1970. A bad token gives no user; /hub-refresh-users
// requires one.
func bearer(r *http.Request) (server.User, error) {
	user := claims(r)
	if strings.HasPrefix(strings.ToLower(r.URL.Path), "/hub-refresh-users") {
		switch {
		case user.Anonymous():
			return user, server.ErrUnauthorized
		case user.Claims["role"] == "forbidden":
			return user, server.ErrForbidden
		}
	}
	return user, nil
}

func claims(r *http.Request) server.User {
	fields := r.URL.Query()
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		parsed, err := url.ParseQuery(token)
		if err != nil {
			return server.User{}
		}
		fields = parsed
	}
	user := server.User{ID: fields.Get("user"), Claims: map[string]any{}}
	for _, name := range claimNames {
		if fields.Has(name) {
			user.Claims[name] = fields.Get(name)
		}
	}
	if len(user.Claims) == 0 {
		return server.User{}
	}
	now := time.Now()
	if seconds, err := strconv.ParseFloat(fields.Get("expires"), 64); err == nil {
		user.Expires = now.Add(time.Duration(min(seconds, 1<<33) * float64(time.Second)))
	}
	if ms, err := strconv.ParseInt(fields.Get("until"), 10, 64); err == nil {
		user.Expires = time.UnixMilli(ms)
	}
	if user.Expires.IsZero() {
		return user
	}
	if user.Expires.Before(now) {
		return server.User{}
	}
	user.Expires = user.Expires.Truncate(time.Second) // as the tickets of ASP.NET Core
	return user
}

// OnAuthenticationRefreshed fails as the query says: ?refreshed=throw.
func (h *TestHub) OnAuthenticationRefreshed(call *server.Call) error {
	trouble, _ := query(call.Request(), "refreshed")
	switch trouble {
	case "throw":
		return invalidOperation("thrown in OnAuthenticationRefreshedAsync")
	case "abort":
		call.Abort()
	case "ask":
		if _, err := server.Invoke[string](call.Context(), call.Clients().Caller(), "Ask", "question"); err != nil {
			return err
		}
	case "slow":
		if err := call.Clients().Caller().Send(call.Context(), "Refreshing", h.Who(call)); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
	return call.Clients().Caller().Send(call.Context(), "Refreshed", h.Who(call))
}

// acceptAnyone replaces the hub's rule, which requires the same user, by one of
// the application.
func acceptAnyone(call *server.Call) {
	call.OnAuthenticationRefresh(func(context.Context, server.AuthenticationRefresh) (bool, error) { return true, nil })
}

// Who returns who the caller is: for the hub, and for the newest request.
func (h *TestHub) Who(call *server.Call) string {
	id := call.UserID()
	if _, empty := call.User().Claims["user"]; id == "" && !empty { // .NET distinguishes null from an empty string
		id = "nobody"
	}
	return fmt.Sprintf("%s: %s; http %s", id, names(call.User()), names(call.LatestUser()))
}

func names(user server.User) string {
	var values []string
	for _, name := range claimNames {
		if value, ok := user.Claims[name].(string); ok {
			values = append(values, value)
		}
	}
	return strings.Join(values, " ")
}

// WhoBeforeAndAfter returns it twice, with a pause between.
func (h *TestHub) WhoBeforeAndAfter(call *server.Call, milliseconds int32) string {
	before := h.Who(call)
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	return before + " | " + h.Who(call)
}

// WhoOften streams it again and again.
func (h *TestHub) WhoOften(call *server.Call, count, milliseconds int32) iter.Seq[string] {
	return func(yield func(string) bool) {
		for range count {
			if !yield(h.Who(call)) {
				return
			}
			select {
			case <-time.After(time.Duration(milliseconds) * time.Millisecond):
			case <-call.Context().Done():
				return
			}
		}
	}
}

// Calls that are no streams but can be cancelled.

//lint:ignore ST1005 it is .NET's text
var errTaskCanceled = server.WithErrorType("TaskCanceledException", errors.New("A task was canceled."))

// ThrowOnCancel fails when it is cancelled.
func (h *TestHub) ThrowOnCancel(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", errTaskCanceled
}

// ResultOnCancel returns when it is cancelled. The context is between its
// arguments, which is allowed.
func (h *TestHub) ResultOnCancel(before string, ctx context.Context, after string) string {
	<-ctx.Done()
	return before + after
}

// HubExceptionOnCancel fails with a text for the client.
func (h *TestHub) HubExceptionOnCancel(message string, ctx context.Context) error {
	<-ctx.Done()
	return &server.HubError{Message: message}
}

// SendOnCancel sends to its caller when it is cancelled.
func (h *TestHub) SendOnCancel(call *server.Call, ctx context.Context) error {
	<-ctx.Done()
	return call.Clients().Caller().Send(context.WithoutCancel(ctx), "M", "cancelled")
}

// IgnoreCancel takes its time and says whether it was cancelled.
func (h *TestHub) IgnoreCancel(milliseconds int32, ctx context.Context) string {
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	if ctx.Err() != nil {
		return "was cancelled"
	}
	return "was not cancelled"
}

// AskUntilCancel waits for a client result of its caller.
func (h *TestHub) AskUntilCancel(call *server.Call, ctx context.Context) (string, error) {
	return server.Invoke[string](ctx, call.Clients().Caller(), "Ask", "question")
}

// SumUntilCancel adds what comes until it is cancelled. It fails if the stream
// fails.
func (h *TestHub) SumUntilCancel(call *server.Call, items <-chan int32, ctx context.Context) (string, error) {
	var sum int32
	for {
		select {
		case item, ok := <-items:
			if !ok {
				if err := call.UploadError(); err != nil {
					return "", err
				}
				items = nil // nothing more comes
				continue
			}
			sum += item
		case <-ctx.Done():
			return fmt.Sprintf("%d when cancelled", sum), nil
		}
	}
}

// NoteCancel remembers that it was cancelled.
func (h *TestHub) NoteCancel(call *server.Call, ctx context.Context) {
	<-ctx.Done()
	aborted := "False"
	if call.ConnectionContext().Err() != nil {
		aborted = "True"
	}
	h.ended.set(call.ConnectionID()+" token", "cancelled, connection aborted: "+aborted)
}
