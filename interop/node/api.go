package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/hubwire/hubwire/server"
)

// api is what happens from outside any hub call.
type api struct {
	hub   *server.Hub
	ended *endings
}

// maximumBody bounds the body of one request, in bytes.
const maximumBody = 30_000_000

func (a *api) register(rt *router) {
	rt.handle("GET", "/healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") }))
	rt.handle("GET", "/api/ended", http.HandlerFunc(a.getEnded))
	rt.handle("POST", "/api/posts/{id}/publish", http.HandlerFunc(a.publish))
	rt.handle("POST", "/api/send", http.HandlerFunc(a.send))
	rt.handle("POST", "/api/groups/{group}/{id}", http.HandlerFunc(a.addToGroup))
	rt.handle("DELETE", "/api/groups/{group}/{id}", http.HandlerFunc(a.removeFromGroup))
	rt.handle("POST", "/api/ask/{id}/{method}", http.HandlerFunc(a.ask))
}

// getEnded answers with what OnDisconnected was given, by connection id.
func (a *api) getEnded(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	// An error means that the client has disconnected.
	_ = json.NewEncoder(w).Encode(a.ended.snapshot())
}

func (a *api) publish(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 32)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	done(w, http.StatusAccepted, a.hub.Clients().All().Send(r.Context(), "PostPublished", newPost(int32(id))))
}

// A sendRequest is the body of /api/send:
// {"to":"groups","names":["a"],"except":["id"],"method":"M","args":[1,"x"]}.
type sendRequest struct {
	To     string
	Method string
	Args   []object
	Names  []string
	Except []string
}

func (a *api) send(w http.ResponseWriter, r *http.Request) {
	var s sendRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maximumBody)).Decode(&s); err != nil {
		text(w, http.StatusBadRequest, err.Error())
		return
	}
	to, err := s.receivers(a.hub.Clients())
	if err != nil {
		text(w, http.StatusBadRequest, err.Error())
		return
	}
	args := make([]any, len(s.Args))
	for i, arg := range s.Args {
		args[i] = arg.plain()
	}
	done(w, http.StatusOK, to.Send(r.Context(), s.Method, args...))
}

func (s *sendRequest) receivers(clients server.Clients) (server.ClientProxy, error) {
	switch s.To {
	case "client", "group", "groupExcept", "user":
		if len(s.Names) == 0 {
			return nil, fmt.Errorf("%q needs a name", s.To)
		}
	}
	switch s.To {
	case "all":
		return clients.All(), nil
	case "allExcept":
		return clients.AllExcept(s.Except...), nil
	case "client":
		return clients.Client(s.Names[0]), nil
	case "clients":
		return clients.Clients(s.Names...), nil
	case "group":
		return clients.Group(s.Names[0]), nil
	case "groups":
		return clients.Groups(s.Names...), nil
	case "groupExcept":
		return clients.GroupExcept(s.Names[0], s.Except...), nil
	case "user":
		return clients.User(s.Names[0]), nil
	case "users":
		return clients.Users(s.Names...), nil
	}
	return nil, fmt.Errorf("unknown 'to' %q", s.To)
}

func (a *api) addToGroup(w http.ResponseWriter, r *http.Request) {
	done(w, http.StatusOK, a.hub.Groups().Add(r.Context(), r.PathValue("id"), r.PathValue("group")))
}

func (a *api) removeFromGroup(w http.ResponseWriter, r *http.Request) {
	done(w, http.StatusOK, a.hub.Groups().Remove(r.Context(), r.PathValue("id"), r.PathValue("group")))
}

// ask asks a client for a text, and gives up after ?timeout=5000 milliseconds.
func (a *api) ask(w http.ResponseWriter, r *http.Request) {
	milliseconds := 5000
	if s, ok := query(r, "timeout"); ok {
		var err error
		if milliseconds, err = strconv.Atoi(s); err != nil {
			text(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(milliseconds)*time.Millisecond)
	defer cancel()
	answer, err := server.Invoke[*string](ctx, a.hub.Clients().Client(r.PathValue("id")), r.PathValue("method"), "question")
	switch {
	case err != nil:
		text(w, http.StatusConflict, describe(err))
	case answer == nil:
		text(w, http.StatusOK, "")
	default:
		text(w, http.StatusOK, *answer)
	}
}

// done answers with status, or with what went wrong.
func done(w http.ResponseWriter, status int, err error) {
	if err != nil {
		text(w, http.StatusInternalServerError, describe(err))
		return
	}
	w.WriteHeader(status)
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	// An error means that the client has disconnected.
	_, _ = io.WriteString(w, body)
}
