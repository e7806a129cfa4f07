package server_test

import (
	"testing"

	"github.com/hubwire/hubwire/server"
)

// What the clients of typedHub have.
const (
	m0 = server.ClientMethod0("M0")
	m1 = server.ClientMethod1[string]("M1")
	m2 = server.ClientMethod2[string, int]("M2")
	m3 = server.ClientMethod3[string, int, bool]("M3")
	m4 = server.ClientMethod4[string, int, bool, []string]("M4")
	f0 = server.ClientFunction0[int]("F0")
	f1 = server.ClientFunction1[string, int]("F1")
	f2 = server.ClientFunction2[string, int, int]("F2")
	f3 = server.ClientFunction3[string, int, bool, string]("F3")
)

type typedHub struct{}

func (typedHub) Send(call *server.Call) error {
	ctx, to := call.Context(), call.Clients().Caller()
	for _, err := range []error{m0.Send(ctx, to), m1.Send(ctx, to, "a"), m2.Send(ctx, to, "a", 2), m3.Send(ctx, to, "a", 2, true), m4.Send(ctx, call.Clients().All(), "a", 2, true, []string{"x"})} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (typedHub) Ask(call *server.Call) (string, error) {
	ctx, of := call.Context(), call.Clients().Caller()
	sum := 0
	for _, ask := range []func() (int, error){
		func() (int, error) { return f0.Invoke(ctx, of) },
		func() (int, error) { return f1.Invoke(ctx, of, "a") },
		func() (int, error) { return f2.Invoke(ctx, of, "a", 2) },
	} {
		n, err := ask()
		if err != nil {
			return "", err
		}
		sum = 10*sum + n
	}
	text, err := f3.Invoke(ctx, of, "a", sum, true)
	return text + "!", err
}

func TestTypedSendersSendWhatTheirTypesSay(t *testing.T) {
	c := connect(t, serve(t, newHub(typedHub{}, nil)))
	c.send(`{"type":1,"invocationId":"1","target":"Send","arguments":[]}`)
	c.expect(
		`{"type":1,"target":"M0","arguments":[]}`,
		`{"type":1,"target":"M1","arguments":["a"]}`,
		`{"type":1,"target":"M2","arguments":["a",2]}`,
		`{"type":1,"target":"M3","arguments":["a",2,true]}`,
		`{"type":1,"target":"M4","arguments":["a",2,true,["x"]]}`,
		`{"type":3,"invocationId":"1","result":null}`,
	)
}

func TestTypedFunctionsAskTheirClient(t *testing.T) {
	c := connect(t, serve(t, newHub(typedHub{}, &server.Options{MaximumParallelInvocationsPerClient: 2})))
	c.send(`{"type":1,"invocationId":"1","target":"Ask","arguments":[]}`)
	for _, exchange := range [][2]string{
		{`"target":"F0","arguments":[]`, `4`},
		{`"target":"F1","arguments":["a"]`, `5`},
		{`"target":"F2","arguments":["a",2]`, `6`},
		{`"target":"F3","arguments":["a",456,true]`, `"well"`},
	} {
		id := c.question(exchange[0])
		c.send(`{"type":3,"invocationId":"` + id + `","result":` + exchange[1] + `}`)
	}
	c.expect(`{"type":3,"invocationId":"1","result":"well!"}`)
}
