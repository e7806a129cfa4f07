package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// An askHub asks clients for results.
type askHub struct{}

func (askHub) Echo(text string) string     { return text }
func (askHub) ID(call *server.Call) string { return call.ConnectionID() }

func (askHub) Ask(call *server.Call, question string) (int, error) {
	return server.Invoke[int](call.Context(), call.Clients().Caller(), "Question", question)
}

func (askHub) AskOther(call *server.Call, id, question string) (int, error) {
	return server.Invoke[int](call.Context(), call.Clients().Client(id), "Question", question)
}

func (askHub) AskFor(call *server.Call, d time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(call.Context(), d)
	defer cancel()
	return server.Invoke[int](ctx, call.Clients().Caller(), "Question", "in time?")
}

func TestAClientIsAskedAndItsAnswerReachesTheMethod(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		c := m.connect(m.node(t, askHub{}, nil))
		for _, test := range []struct {
			name   string
			answer func(m *hubtest.Message)
			want   string // of the error; empty: the result is 42
		}{
			{"a result", func(m *hubtest.Message) { m.Answer(42) }, ""},
			{"an error", func(m *hubtest.Message) { m.AnswerError("no") }, threw("Ask", "HubException: no")},
			{"a result of another type", func(m *hubtest.Message) { m.Answer("x") }, ""},
		} {
			call := c.Start("Ask", test.name)
			question := c.Expect("Question", test.name)
			wantResult(t, c, "meanwhile", "Echo", "meanwhile") // the call gives its place to others
			test.answer(question)
			var got int
			err := call.Wait(&got)
			switch {
			case test.name == "a result of another type":
				if told, ok := errors.AsType[*hubtest.CallError](err); !ok || !strings.HasPrefix(told.Text, threw("Ask", "HubException: Error trying to deserialize result to Int32.")) {
					t.Errorf("%s: %d, %v", test.name, got, err)
				}
			case test.want == "":
				if err != nil || got != 42 {
					t.Errorf("%s: %d, %v", test.name, got, err)
				}
			default:
				wantError(t, test.name, err, test.want)
			}
		}
		c.ExpectNone()
	})
}

// A client completes its pending invocations in any order, each for its own
// caller: methods of the client itself, of another one, and code outside any
// call.
func TestAnswersReachWhoHasAsked(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		n := m.node(t, askHub{}, nil)
		c, other := m.connect(n), n.Connect()
		id := hubtest.Result[string](c, "ID")
		const each = 5
		answers := make(chan error, 3*each)
		asks := []func(text string) (int, error){
			func(text string) (got int, err error) { err = c.Invoke(&got, "Ask", text); return got, err },
			func(text string) (got int, err error) {
				err = other.Invoke(&got, "AskOther", id, text)
				return got, err
			},
			func(text string) (int, error) {
				return server.Invoke[int](t.Context(), n.Hub().Clients().Client(id), "Question", text)
			},
		}
		for i := range each {
			for kind, ask := range asks {
				go func() {
					text, want := fmt.Sprint(kind, " ", i), 10*kind+i
					got, err := ask(text)
					if err == nil && got != want {
						err = fmt.Errorf("%s is answered %d, want %d", text, got, want)
					}
					answers <- err
				}()
			}
		}
		var questions []*hubtest.Message
		for range 3 * each {
			questions = append(questions, c.Next())
		}
		for i := range questions { // the last one is answered first
			question := questions[len(questions)-1-i]
			var text string
			var kind, number int
			question.Scan(&text)
			if _, err := fmt.Sscan(text, &kind, &number); err != nil {
				t.Fatal(err)
			}
			question.Answer(10*kind + number)
		}
		for range 3 * each {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
	})
}

// Invoke says why there is no client result.
func TestAQuestionEndsWithoutAnAnswer(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		n := m.node(t, askHub{}, nil)
		other := n.Connect()
		c := m.connect(n)
		call := c.Start("AskFor", 5*time.Second)
		late := c.Expect("Question", "in time?")
		wantError(t, "nobody answers", call.Wait(nil), threw("AskFor", "HubException: Invocation canceled by the server."))
		late.Answer(1) // harms nobody
		wantResult(t, c, "x", "Echo", "x")
		{
			for name, end := range map[string]func(*hubtest.Client){"it leaves": (*hubtest.Client).Close, "its network is cut": (*hubtest.Client).Cut} {
				asked := m.connect(n)
				id := hubtest.Result[string](asked, "ID")
				call := other.Start("AskOther", id, name)
				asked.Expect("Question", name)
				end(asked)
				time.Sleep(time.Minute)
				select {
				case <-call.Done():
				default:
					t.Errorf("%s: the question waits", name)
				}
				if err := call.Wait(nil); err == nil {
					t.Errorf("%s: no error", name)
				}
			}
			_, err := server.Invoke[int](t.Context(), n.Hub().Clients().Client("nobody"), "Question")
			if gone, ok := errors.AsType[*server.ConnectionError](err); !ok || gone.ID != "nobody" {
				t.Errorf("nobody is asked: %v", err)
			}
		}
		synctest.Wait()
	})
}

// An askStreamHub streams what its clients answer.
type askStreamHub struct{ askHub }

func (h askStreamHub) AskStream(call *server.Call, question string) (<-chan int, error) {
	answer, err := h.Ask(call, question)
	items := make(chan int, 1)
	items <- answer
	close(items)
	return items, err
}

// While Authorize of a call that streams runs its client is not read, and its answer would
// never come. Methods, and Authorize of others, may ask.
func TestAuthorizeOfAStreamCannotAsk(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		var asked error
		guarded := server.MethodOptions{Authorize: func(call *server.Call) error {
			_, asked = server.Invoke[int](call.Context(), call.Clients().Caller(), "May")
			if call.Method() == "Echo" {
				return asked
			}
			return nil
		}}
		n := m.node(t, askStreamHub{}, &server.Options{Methods: map[string]server.MethodOptions{"Echo": guarded, "AskStream": guarded}})
		c := m.connect(n)
		echo := c.Start("Echo", "x")
		c.Expect("May").Answer(1)
		if err := echo.Wait(nil); err != nil {
			t.Error(err)
		}
		stream, got := c.Stream("AskStream", "q"), 0
		c.Expect("Question", "q").Answer(42)
		if !stream.Next(&got) || got != 42 || stream.Next(&got) {
			t.Errorf("the stream has %d, %v, want 42", got, stream.Err())
		}
		if asked == nil || !strings.Contains(asked.Error(), "Authorize") {
			t.Errorf("Invoke in Authorize of a stream: %v, want an error", asked)
		}
		c.ExpectNone()
	})
}

// Below: what clients see on the wire.

func TestQuestionsOnTheWire(t *testing.T) {
	url := serve(t, newHub(askHub{}, nil))
	ask := func(t *testing.T) (*client, string) {
		c := connect(t, url)
		c.send(`{"type":1,"invocationId":"1","target":"Ask","arguments":["q"]}`)
		return c, c.question(`"target":"Question","arguments":["q"]`)
	}
	t.Run("a completion with neither result nor error", func(t *testing.T) {
		c, id := ask(t)
		c.send(`{"type":3,"invocationId":"` + id + `"}`)
		c.expect(`{"type":3,"invocationId":"1","error":"` + threw("Ask", "HubException: Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown.") + `"}`)
	})
	t.Run("an answer from another connection closes that one", func(t *testing.T) {
		c, id := ask(t)
		other := connect(t, url)
		other.send(`{"type":3,"invocationId":"` + id + `","result":1}`)
		other.expect(`{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`, `close 1000`)
		c.send(`{"type":3,"invocationId":"` + id + `","result":2}`)
		c.expect(`{"type":3,"invocationId":"1","result":2}`)
	})
}
