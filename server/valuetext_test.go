package server_test

import (
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/server"
)

// reluctant has a reason not to be encoded or decoded.
type reluctant struct{ N int }

func (reluctant) MarshalJSON() ([]byte, error)  { return nil, errors.New("a reason") }
func (*reluctant) UnmarshalJSON(b []byte) error { return errors.New("a reason") }

type reluctantHub struct{}

func (reluctantHub) Get() []reluctant { return []reluctant{{}} }
func (reluctantHub) Deep() any {
	list := make([]any, 1)
	list[0] = list
	return list
}

func (reluctantHub) Take(items iter.Seq2[reluctant, error]) error {
	for _, err := range items {
		if err != nil {
			return err
		}
	}
	return nil
}

func (reluctantHub) Ask(call *server.Call) (int, error) {
	r, err := server.Invoke[reluctant](call.Context(), call.Clients().Caller(), "Answer")
	return r.N, err
}

func (reluctantHub) Tell(call *server.Call) error {
	return call.Clients().Caller().Send(call.Context(), "Told", reluctant{})
}

// Source: what ASP.NET Core reports is the exception that a converter has
// thrown; docs/reference/hub-protocol.md, sections 4.6, 4.9 and 4.11.
func TestClientsAreToldTheCauseOfAValueWithoutNamesOfGo(t *testing.T) {
	url := serve(t, newHub(reluctantHub{}, &server.Options{EnableDetailedErrors: true}))
	c := connect(t, url)
	c.call("1", "Tell", "[]", `"error":"An unexpected error occurred invoking 'Tell' on the server. Exception: a reason"`)
	c.send(`{"type":1,"invocationId":"2","target":"Take","arguments":[],"streamIds":["s"]}`, `{"type":2,"invocationId":"s","item":1}`)
	c.expect(`{"type":3,"invocationId":"2","error":"An unexpected error occurred invoking 'Take' on the server. HubException: Failed to bind Stream message. JsonException: a reason"}`)
	c.send(`{"type":1,"invocationId":"3","target":"Ask","arguments":[]}`)
	c.send(`{"type":3,"invocationId":"` + c.question(`"target":"Answer","arguments":[]`) + `","result":1}`)
	if got := c.receive(); !strings.HasSuffix(got, `. a reason"}`) {
		t.Errorf("an answer that cannot be decoded is reported as %s", got)
	}
	for method, cause := range map[string]string{"Get": "Exception: a reason", "Deep": "JsonException: A possible object cycle was detected. This can"} {
		c := connect(t, url)
		c.send(`{"type":1,"invocationId":"1","target":"` + method + `","arguments":[]}`)
		if got := c.receive(); !strings.Contains(got, cause) || strings.Contains(got, "json:") || strings.Contains(got, "protocol.") {
			t.Errorf("%s: a result that cannot be encoded is reported as %s", method, got)
		}
	}
}
