package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/jwtbearer"
)

// TestUploadIDsOfARefusedCallAreFree: ASP.NET Core 11 keeps them until a
// Completion comes for them.
func TestUploadIDsOfARefusedCallAreFree(t *testing.T) {
	url, begun := serveCancel(t, 1)
	c := connect(t, url)
	c.send(callUntil("1", "first"))
	<-begun
	const sum = `","target":"SumUntilCancelled","arguments":[],"streamIds":["t"]}`
	c.send(`{"type":1,"invocationId":"1` + sum)
	c.expect(`{"type":3,"invocationId":"1","error":"Invocation ID '1' is already in use."}`)
	c.send(`{"type":1,"invocationId":"2` + sum)
	if name := <-begun; name != "sum" {
		t.Fatalf("%s has begun", name)
	}
	for range 10 {
		c.send(`{"type":2,"invocationId":"t","item":1}`)
	}
	c.send(callCancel("2"))
	c.expect(`{"type":3,"invocationId":"2","result":10}`)
	c.send(callCancel("1"))
	c.expect(answerOf("1", "first was cancelled"))
}

// TestARefreshWhileAStatefulClientIsAwayIsTakenOver: ASP.NET Core 11 answers
// 500 after half of it, and the hub never knows of it.
func TestARefreshWhileAStatefulClientIsAwayIsTakenOver(t *testing.T) {
	url := serve(t, newHub(refreshedHub{}, &server.Options{
		Authenticate: tokenUser(time.Now()),
		Endpoint:     server.EndpointOptions{EnableAuthenticationRefresh: true, AllowStatefulReconnects: true},
	}))
	_, _, body := ask(t, "POST", url+"/hub/negotiate?negotiateVersion=1&useStatefulReconnect=true", "alice/reader/0")
	var n struct{ ConnectionToken string }
	if err := json.Unmarshal([]byte(body), &n); err != nil {
		t.Fatal(err)
	}
	query := "?id=" + n.ConnectionToken + "&access_token=alice/"
	c := dial(t, url, query+"reader/0")
	c.send(handshake2)
	c.expect(`{}`)
	_ = c.conn.Close()
	if status, _, body := refresh(t, "POST", url, n.ConnectionToken, "alice/writer/0"); status != 200 {
		t.Fatalf("refresh: %d %s", status, body)
	}
	c = dial(t, url, query+"writer/0")
	c.expect(`{"type":9,"sequenceId":1}`, `{"type":1,"target":"Refreshed","arguments":["writer/writer"]}`)
	c.send(`{"type":9,"sequenceId":1}`)
	c.call("1", "Who", "[]", `"result":"writer/writer"`)
}

type bearerHub struct{}

func (bearerHub) Role(call *server.Call) string { return call.User().Claims["role"].(string) }

// TestARefreshOverHTTP2WithBearerTokens plays a client of long polling.
func TestARefreshOverHTTP2WithBearerTokens(t *testing.T) {
	key := []byte(strings.Repeat("k", 64))
	authenticate, err := jwtbearer.New(jwtbearer.Options{HMACKey: key})
	if err != nil {
		t.Fatal(err)
	}
	hub := newHub(bearerHub{}, &server.Options{
		Authenticate: authenticate,
		Endpoint:     server.EndpointOptions{EnableAuthenticationRefresh: true},
	})
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	s := httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	defer func() { _ = hub.Shutdown(t.Context()) }()
	token := func(role string, life time.Duration) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"sub": "alice", "role": role, "exp": time.Now().Add(life).Unix(),
		}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	at := s.URL + "/hub"
	do := func(method, url, token, body string, headers ...string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != 200 || answer.ProtoMajor != 2 {
			t.Fatalf("%s %s: %s %s %q, %v", method, url, answer.Proto, answer.Status, text, err)
		}
		return string(text)
	}
	reader, writer := token("reader", time.Hour), token("writer", 2*time.Hour)
	var n struct {
		ConnectionToken      string
		TokenLifetimeSeconds int
	}
	if err := json.Unmarshal([]byte(do("POST", at+"/negotiate?negotiateVersion=1", reader, "")), &n); err != nil || n.TokenLifetimeSeconds < 3590 {
		t.Fatalf("negotiate: %+v, %v", n, err)
	}
	id := at + "?id=" + n.ConnectionToken
	do("GET", id, reader, "")
	do("POST", id, reader, `{"protocol":"json","version":1}`+"\x1e")
	do("GET", id, reader, "")
	if got := do("POST", at+"/refresh", writer, "", "X-SignalR-Connection-Token", n.ConnectionToken); !strings.HasPrefix(got, `{"tokenLifetimeSeconds":7`) {
		t.Errorf("refresh: %s", got)
	}
	do("POST", id, writer, `{"type":1,"invocationId":"1","target":"Role","arguments":[]}`+"\x1e")
	if got := do("GET", id, writer, ""); got != `{"type":3,"invocationId":"1","result":"writer"}`+"\x1e" {
		t.Errorf("poll: %q", got)
	}
}
