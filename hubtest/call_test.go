package hubtest_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

func TestACallRecordsWhatIsSentThroughIt(t *testing.T) {
	for name, opts := range modes {
		t.Run(name, func(t *testing.T) {
			opts := slices.DeleteFunc(slices.Clone(opts), func(hubtest.Option) bool { return strings.Contains(name, "stateful") })
			call, sent := hubtest.Call(t, slices.Concat(opts, []hubtest.Option{
				hubtest.User(server.User{ID: "alice"}), hubtest.Header("X-Room", "lobby"), hubtest.Item("seat", 7), hubtest.Method("Tell"),
			})...)
			if got := call.UserID() + call.Request().Header.Get("X-Room") + call.Method(); got != "alicelobbyTell" {
				t.Errorf("the call has %q", got)
			}
			if seat, _ := call.Items().Load("seat"); seat != 7 {
				t.Errorf("the seat is %v", seat)
			}
			sent.ExpectNone()
			desk, ctx := newDesk(), call.Context()
			if err := desk.Tell(call, "lobby", "hi"); err != nil {
				t.Error(err)
			}
			if err := desk.Note(call, Note{ID: 1, Text: "x"}); err != nil {
				t.Error(err)
			}
			clients := call.Clients()
			for _, proxy := range []server.ClientProxy{
				clients.Others(), clients.OthersInGroup("g"), clients.Users("bob", "carol"),
				clients.Client("c1"), clients.Groups("g", "h"), clients.All(),
			} {
				if err := proxy.Send(ctx, "Bye"); err != nil {
					t.Error(err)
				}
			}
			sent.Expect(hubtest.ToGroup("lobby"), "Told", "hi")
			var note Note
			var id int
			sent.Expect(hubtest.ToCaller(), "Noted", Note{ID: 1, Text: "x"}, 1).Scan(&note, &id)
			if note.Text != "x" || id != 1 {
				t.Errorf("scanned %v, %d", note, id)
			}
			for _, to := range []server.Audience{
				hubtest.ToOthers(), hubtest.ToOthersInGroup("g"), hubtest.ToUsers("bob", "carol"),
				hubtest.ToClients("c1"), hubtest.ToGroups("g", "h"), hubtest.ToAll(),
			} {
				sent.Expect(to, "Bye")
			}
			sent.ExpectNone()
		})
	}
}

func TestACallJoinsGroupsAsksAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call, sent := hubtest.Call(t, hubtest.Handle("Question", func(q string) (string, error) {
			if q == "bad" {
				return "", errLost
			}
			time.Sleep(time.Hour) // a client may take its time
			return "to " + q, nil
		}))
		desk := newDesk()
		if err := desk.Join(call, "b"); err != nil {
			t.Error(err)
		}
		if err := desk.Join(call, "a"); err != nil {
			t.Error(err)
		}
		if err := call.Groups().Remove(call.Context(), call.ConnectionID(), "b"); err != nil {
			t.Error(err)
		}
		if got := sent.Groups(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("the groups are %q", got)
		}
		if text, err := desk.Ask(call, "x"); err != nil || text != "to x" {
			t.Errorf("Ask = %q, %v", text, err)
		}
		if !sent.Expect(hubtest.ToCaller(), "Question", "x").Asks {
			t.Error("the question wants no answer")
		}
		_, err := desk.Ask(call, "bad")
		if told, ok := errors.AsType[*server.HubError](err); !ok || told.Message != "lost it" {
			t.Errorf("Ask of a client that fails: %v", err)
		}
		sent.All()
		go func() {
			time.Sleep(time.Minute)
			sent.Cancel()
		}()
		start := time.Now()
		if desk.Wait(call); time.Since(start) != time.Minute {
			t.Errorf("Wait took %v", time.Since(start))
		}
		if sent.Aborted() {
			t.Error("the connection has ended")
		}
		if desk.Leave(call); !sent.Aborted() {
			t.Error("the connection lives on")
		}
	})
}

func TestFailuresOfACallSayWhatWasSent(t *testing.T) {
	for want, run := range map[string]func(desk *Desk, call *server.Call, sent *hubtest.Sent){
		"nothing more was sent; want Told(1) to all": func(_ *Desk, _ *server.Call, sent *hubtest.Sent) { sent.Expect(hubtest.ToAll(), "Told", 1) },
		"something else was sent\n got: Told(\"x\") to groups \"g\"\nwant: Told(\"x\") to groups \"h\" except the caller": func(desk *Desk, call *server.Call, sent *hubtest.Sent) {
			_ = desk.Tell(call, "g", "x")
			sent.Expect(hubtest.ToOthersInGroup("h"), "Told", "x")
		},
		"argument 1: got \"x\", want \"y\"": func(desk *Desk, call *server.Call, sent *hubtest.Sent) {
			_ = desk.Tell(call, "g", "x")
			sent.Expect(hubtest.ToGroup("g"), "Told", "y")
		},
		"1 messages that nobody expects:\n\tTold(\"x\") to groups \"g\"": func(desk *Desk, call *server.Call, sent *hubtest.Sent) {
			_ = desk.Tell(call, "g", "x")
			sent.ExpectNone()
		},
		"nobody answers Question(\"x\") to connections the caller: give Call a Handle(\"Question\", ...)": func(desk *Desk, call *server.Call, _ *hubtest.Sent) { _, _ = desk.Ask(call, "x") },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{TB: t}
			func() {
				defer func() { _ = recover() }()
				call, sent := hubtest.Call(r)
				run(newDesk(), call, sent)
			}()
			if got := strings.Join(r.failures, "\n"); !strings.Contains(got, want) {
				t.Errorf("the failure is %q,\nwant %q", got, want)
			}
		})
	}
}
