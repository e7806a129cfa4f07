package hubtest_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// What does not hold fails the test and says what came instead, and where it
// differs.
func TestFailuresSayWhatDiffers(t *testing.T) {
	short := hubtest.Patience(time.Second)
	for name, test := range map[string]struct {
		run  func(c *hubtest.Client)
		want []string
	}{
		"another message": {
			func(c *hubtest.Client) { c.Do("Note", Note{ID: 1}); c.Expect("Told", "x") },
			[]string{"another message", `got: Noted({"id":1,"more":null,"tags":null,"text":""}, 1)`, `want: Told("x")`},
		},
		"a member inside an argument, and an argument": {
			func(c *hubtest.Client) {
				c.Do("Note", Note{ID: 1, Text: "a", Tags: []string{"x", "y"}})
				c.Expect("Noted", Note{ID: 1, Text: "b", Tags: []string{"x"}}, 2)
			},
			[]string{"other arguments", `argument 1.text: got "a", want "b"`, `argument 1.tags[1]: got "y", want nothing`, "argument 2: got 1, want 2"},
		},
		"too many arguments": {
			func(c *hubtest.Client) { c.Do("Note", Note{}); c.Expect("Noted", Note{}) },
			[]string{"2 arguments, want 1"},
		},
		"an argument that cannot be encoded": {
			func(c *hubtest.Client) { c.Do("Note", Note{}); c.Expect("Noted", func() {}) },
			[]string{"argument 1 cannot be encoded"},
		},
		"no message": {
			func(c *hubtest.Client) { c.Expect("Told", "x") },
			[]string{`Told("x") has not come within 1s`},
		},
		"no message, and the connection has ended": {
			func(c *hubtest.Client) { c.Send("Leave"); c.Expect("Told", "x") },
			[]string{`Told("x") has not come before the end of the connection`},
		},
		"a message too many": {
			func(c *hubtest.Client) { c.Do("Note", Note{ID: 7}); c.ExpectNone() },
			[]string{"1 messages that nobody expects", `Noted({"id":7,`},
		},
		"an error of the hub": {
			func(c *hubtest.Client) { c.Do("Fail") },
			[]string{"Fail: An unexpected error occurred invoking 'Fail' on the server. HubException: sold out"},
		},
		"a stream that fails": {
			func(c *hubtest.Client) { hubtest.List[int](c, "CountAndFail", 2) },
			[]string{"CountAndFail, after 2 items: ", "HubException: no more"},
		},
		"an answer that nobody wants": {
			func(c *hubtest.Client) { c.Do("Note", Note{}); c.Next().Answer(1) },
			[]string{"waits for no answer"},
		},
		"arguments that do not fit Scan": {
			func(c *hubtest.Client) { c.Do("Note", Note{}); var n int; c.Next().Scan(&n) },
			[]string{"2 arguments, want 1"},
		},
		"arguments that do not fit a handler": {
			func(c *hubtest.Client) { c.On("Noted", func(text string, n int) {}); c.Do("Note", Note{}); c.Close() },
			[]string{"Noted({", "argument 1: "},
		},
		"a handler that is none": {
			func(c *hubtest.Client) { c.On("Noted", "x") },
			[]string{"the handler of Noted is a string"},
		},
		"a connection that does not end": {
			func(c *hubtest.Client) { _ = c.Wait() },
			[]string{"has not ended within 1s"},
		},
		"a method that does not return": {
			func(c *hubtest.Client) { c.Do("Wait") },
			[]string{"Wait: hubtest: no answer to Wait within 1s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, o := range []hubtest.Option{hubtest.Over(server.WebSockets), hubtest.MessagePack()} {
				synctest.Test(t, func(t *testing.T) {
					n := hubtest.New(t, newDesk(), nil)
					got := failure(t, n, func(n *hubtest.Node) { test.run(n.Connect(short, o)) })
					for _, want := range test.want {
						if !strings.Contains(got, want) && !strings.Contains(got, strings.NewReplacer("text", "Text", "tags", "Tags", "more", "More", `"id"`, `"ID"`).Replace(want)) {
							t.Errorf("the failure is %q,\nwant %q", got, want)
						}
					}
				})
			}
		})
	}
}

// A hub, or a handler, that does not end fails the test.
func TestWhatIsLeftOverFailsTheTest(t *testing.T) {
	release := make(chan struct{})
	for want, h := range map[string]func() http.Handler{
		"the hub is not down after 10s": func() http.Handler { return server.MustHub(stubborn{release}, nil) },
		"has not returned after 10s":    func() http.Handler { return blocked{server.MustHub(newDesk(), nil), release} },
		"1 connections are left":        func() http.Handler { return thief{} },
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release = make(chan struct{})
				r := &recorder{TB: t}
				var cleanups []func()
				n := hubtest.Serve(cleaner{r, &cleanups}, h())
				_, _ = n.TryConnect(hubtest.SkipNegotiation(), hubtest.Patience(time.Second))
				for i := len(cleanups) - 1; i >= 0; i-- {
					cleanups[i]()
				}
				if got := strings.Join(r.failures, "\n"); !strings.Contains(got, want) {
					t.Errorf("the failure is %q", got)
				}
				close(release)
			})
		})
	}
}

// A stubborn hub does not let go of its connections.
type stubborn struct{ release chan struct{} }

func (s stubborn) OnDisconnected(*server.Call, error) { <-s.release }

// blocked is a middleware that hangs.
type blocked struct {
	http.Handler
	release chan struct{}
}

func (b blocked) ServeHTTP(http.ResponseWriter, *http.Request) { <-b.release }

// A thief takes connections and does nothing with them.
type thief struct{}

func (thief) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	_, _, _ = w.(http.Hijacker).Hijack()
}

// A cleaner keeps what is to be done at the end.
type cleaner struct {
	*recorder
	cleanups *[]func()
}

func (c cleaner) Cleanup(f func()) { *c.cleanups = append(*c.cleanups, f) }

func TestAUserThatNobodyAsksForFailsTheTest(t *testing.T) {
	hub := server.MustHub(newDesk(), nil)
	n := hubtest.Serve(t, hub)
	got := failure(t, n, func(n *hubtest.Node) { n.Connect(hubtest.User(server.User{ID: "alice"})) })
	if !strings.Contains(got, "nobody has asked who the client is") {
		t.Errorf("the failure is %q", got)
	}
	if got := failure(t, n, func(n *hubtest.Node) { n.Connect(hubtest.At("/nowhere/negotiate")) }); got == "" {
		t.Error("a route that is none connects")
	}
}

// What the server has sent counts though the network has not brought it yet.
func TestExpectNoneSeesWhatIsOnItsWay(t *testing.T) {
	for name, opts := range modes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := hubtest.New(t, newDesk(), deskOptions())
				got := failure(t, n, func(n *hubtest.Node) {
					c := n.Connect(opts...)
					c.Do("Nothing")
					c.Delay(time.Second)
					if err := n.Hub().Clients().All().Send(t.Context(), "Late"); err != nil {
						t.Error(err)
					}
					c.ExpectNone()
				})
				if !strings.Contains(got, "Late()") {
					t.Errorf("the failure is %q", got)
				}
			})
		})
	}
}
