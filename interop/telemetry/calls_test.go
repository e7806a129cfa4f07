package telemetry

import (
	"errors"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hubwire/hubwire/internal/hubclient"
)

// calls are the steps about calls.
func calls() map[string]func(*player) {
	steps := map[string]func(*player){}
	for name, call := range map[string]func(*client){
		"no result":                             invoke("Nothing"),
		"with a result":                         invoke("Echo", "x"),
		"name in other case":                    invoke("eCHO", "x"),
		"name by HubMethodName":                 invoke("renamed"),
		"without id":                            send("Echo", "x"),
		"without id, fails":                     send("Throw", "no"),
		"without id, unknown method":            send("Nobody", "no"),
		"activity of the application inside":    invoke("Work"),
		"tags and events added by the method":   invoke("Tag"),
		"throws":                                invoke("Throw", "no"),
		"throws after an await":                 invoke("ThrowLater", "no"),
		"throws a HubException":                 invoke("ThrowHubException", "no"),
		"throws a nested exception type":        invoke("ThrowNested"),
		"throws an OperationCanceledException":  invoke("ThrowCanceled"),
		"not authorized":                        invoke("OnlyUsers"),
		"unknown method":                        invoke("Nobody", "x"),
		"too few arguments":                     invoke("Echo"),
		"too many arguments":                    invoke("Echo", "x", "y"),
		"argument of another type":              invoke("Add", "x", map[string]any{}),
		"result that cannot be serialized":      invoke("Unserializable"),
		"of a streaming method as a plain call": invoke("Counter", 1, 0),
		"that sends to all":                     invoke("SendAll", "M", "x"),
	} {
		steps["call: "+name] = js("/hub", clientOptions{}, call)
	}
	ask := invoke("AskCaller")
	steps["call: that asks the caller for a result"] = js("/hub-parallel", clientOptions{answers: true}, ask)
	steps["call: that asks the caller, who has no answer"] = js("/hub-parallel", clientOptions{}, ask)
	steps["call: authorized"] = js("/hub?name=alice", clientOptions{}, invoke("OnlyUsers"))
	for _, name := range []string{"SSE", "long polling"} {
		steps["call: with a result, "+name] = js("/hub", clientOptions{transport: transports[name]}, invoke("Echo", "x"))
	}
	steps["call: with a result, MessagePack"] = js("/hub", clientOptions{messagePack: true}, invoke("Echo", "x"))
	steps["call: throws, MessagePack"] = js("/hub", clientOptions{messagePack: true}, invoke("Throw", "no"))
	steps["call: two at once, MaximumParallelInvocationsPerClient 1"] = js("/hub", clientOptions{}, twoAtOnce)
	steps["call: two at once, MaximumParallelInvocationsPerClient 4"] = js("/hub-parallel", clientOptions{}, twoAtOnce)
	steps["call: filter passes"] = js("/hub-filtered", clientOptions{}, invoke("Echo", "x"))
	steps["call: filter throws before"] = js("/hub-filtered", clientOptions{}, invoke("Echo", "before"))
	steps["call: filter throws after"] = js("/hub-filtered", clientOptions{}, invoke("Echo", "after"))
	steps["call: cancelled by the client, throws"] = cancelling("ThrowOnCancel")
	steps["call: cancelled by the client, returns"] = cancelling("ResultOnCancel")
	steps["send from outside a call"] = js("/hub", clientOptions{}, func(c *client) {
		c.p.request("POST", "/api/send", nil, "")
		time.Sleep(100 * ms)
	})
	return steps
}

// send calls a method without an answer.
func send(method string, args ...any) func(*client) {
	return func(c *client) {
		if err := c.Send(method, args); err != nil {
			c.p.t.Error(err)
		}
		time.Sleep(100 * ms)
	}
}

// twoAtOnce makes two calls, of which the first takes longer.
func twoAtOnce(c *client) {
	var running sync.WaitGroup
	var mu sync.Mutex // of the notes
	for _, one := range []struct {
		text         string
		milliseconds int
	}{{"a", 300}, {"b", 100}} {
		call, err := c.Start("Slow", []any{one.text, one.milliseconds})
		if err != nil {
			c.p.t.Error(err)
			return
		}
		running.Go(func() {
			var result any
			err := call.Wait(c.p.t.Context(), &result)
			mu.Lock()
			defer mu.Unlock()
			c.p.say("Slow "+one.text, result, err)
		})
	}
	running.Wait()
}

// cancelling calls a method that can be cancelled, and cancels it.
func cancelling(method string) func(*player) {
	return func(p *player) {
		c := p.raw("/hub", rawOptions{})
		c.send(call(method))
		time.Sleep(150 * ms)
		c.send(`{"type":5,"invocationId":"1"}`)
		c.answer()
		c.leave()
	}
}

// streams are the steps about streams.
func streams() map[string]func(*player) {
	steps := map[string]func(*player){}
	for name, one := range map[string]func(*client){
		"to the end":          stream("Counter", 3, 0),
		"channel, to the end": stream("Letters", 3),
		"takes 0.3 s, activities of the application inside": stream("WorkStream"),
		"throws after two items":                            stream("CounterThenThrow", 2, "no"),
		"throws a HubException after two items":             stream("CounterThenHubException", 2, "no"),
		"throws instead of a stream":                        stream("ThrowInsteadOfStream", "no"),
		"null instead of a stream":                          stream("NullStream"),
		"of a plain method":                                 stream("Echo", "x"),
		"unknown method":                                    stream("Nobody"),
		"not authorized":                                    stream("OnlyUsersStream"),
		"argument of another type":                          stream("Counter", "x", 0),
		"cancelled by the client":                           running(func(call *hubclient.Call) { _ = call.Cancel(); time.Sleep(200 * ms) }),
		"running when the client stops":                     running(func(*hubclient.Call) {}),
	} {
		steps["stream: "+name] = js("/hub", clientOptions{}, one)
	}
	steps["stream: running when the hub aborts"] = func(p *player) {
		c := p.raw("/hub", rawOptions{})
		c.send(message(4, "Counter", []any{1000, 50}, nil))
		time.Sleep(200 * ms)
		c.send(`{"type":1,"target":"Abort","arguments":[]}`)
		c.ended()
	}
	upload := func(name string, one func(*client)) { steps["upload: "+name] = js("/hub", clientOptions{}, one) }
	upload("to the end", invokeWith("Sum", items(nil, 1, 2, 3)))
	upload("fails", invokeWith("Sum", items(errors.New("broken"), 1)))
	upload("item of another type", invokeWith("Sum", items(nil, "x")))
	upload("call without id", func(c *client) {
		if err := c.Send("Drain", nil, items(nil, 1)); err != nil {
			c.p.t.Error(err)
		}
		time.Sleep(250 * ms)
	})
	upload("and a stream back", func(c *client) {
		call, err := c.Stream("EchoStream", nil, items(nil, "a"))
		c.p.sayItems("EchoStream", call, err)
	})
	steps["upload: running when the client resets TCP"] = func(p *player) {
		c := p.raw("/hub", rawOptions{})
		c.send(`{"type":1,"invocationId":"1","target":"Sum","arguments":[],"streamIds":["s"]}`)
		time.Sleep(100 * ms)
		c.reset()
	}
	return steps
}

// running does something while a stream runs.
func running(do func(*hubclient.Call)) func(*client) {
	return func(c *client) {
		call, err := c.Stream("Counter", []any{1000, 50})
		if err != nil {
			c.p.t.Error(err)
			return
		}
		time.Sleep(200 * ms)
		do(call)
	}
}

// items is an upload that fails at the end, or does not.
func items(err error, list ...any) hubclient.Upload {
	return func(<-chan struct{}) iter.Seq2[any, error] {
		return func(yield func(any, error) bool) {
			for _, item := range list {
				if !yield(item, nil) {
					return
				}
				time.Sleep(50 * ms)
			}
			if err != nil {
				yield(nil, err)
			}
		}
	}
}

// names are the steps about the names of hubs.
func names() map[string]func(*player) {
	steps := map[string]func(*player){
		"name: Host header with another name": one("/hub", rawOptions{header: headers("Host", "hub.example:8080")}, call("Echo", "x")),
	}
	for path := range strings.FieldsSeq("hub-typed hub-generic-int hub-generic-list hub-nested hub-nested-generic hub-global hub-pattern/1") {
		steps["name: /"+path] = one("/"+path, rawOptions{}, call("Echo", "x"))
	}
	return steps
}

func parent(span, flags string) string { return "00-" + driverTrace + "-" + span + "-" + flags }

// traces are the steps about the context of traces.
func traces() map[string]func(*player) {
	inMessage, inRequest := parent(driverCall, "01"), parent(driverHTTP, "01")
	echo := func(pairs ...string) string {
		context := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			context[pairs[i]] = pairs[i+1]
		}
		return message(1, "Echo", []any{"x"}, context)
	}
	steps := map[string]func(*player){
		"traceparent in negotiate and upgrade":                  one("/hub", rawOptions{negotiate: true, header: headers("traceparent", inRequest)}, echo()),
		"traceparent and tracestate and baggage in the upgrade": one("/hub", rawOptions{header: headers("traceparent", inRequest, "tracestate", "vendor=1", "baggage", "color=blue")}, echo()),
		"traceparent in the upgrade, not sampled":               one("/hub", rawOptions{header: headers("traceparent", parent(driverHTTP, "00"))}, echo()),
		"traceparent in the message":                            one("/hub", rawOptions{}, echo("traceparent", inMessage)),
		"traceparent in the message and in the upgrade":         one("/hub", rawOptions{header: headers("traceparent", inRequest)}, echo("traceparent", inMessage)),
		"traceparent, tracestate and baggage in the message":    one("/hub", rawOptions{}, echo("traceparent", inMessage, "tracestate", "vendor=1,other=2", "baggage", "color=blue,size=big")),
		"Correlation-Context in the message":                    one("/hub", rawOptions{}, echo("traceparent", inMessage, "Correlation-Context", "color=blue")),
		"traceparent in the message, not sampled":               one("/hub", rawOptions{}, echo("traceparent", parent(driverCall, "00"))),
		"traceparent in the message, malformed":                 one("/hub", rawOptions{}, echo("traceparent", "00-xyz")),
		"traceparent in the message, all zero":                  one("/hub", rawOptions{}, echo("traceparent", "00-00000000000000000000000000000000-0000000000000000-01")),
		"traceparent in the message, version 01":                one("/hub", rawOptions{}, echo("traceparent", "01"+inMessage[2:])),
		"Traceparent in the message, other case":                one("/hub", rawOptions{}, echo("TraceParent", inMessage)),
		"Request-Id in the message":                             one("/hub", rawOptions{}, echo("Request-Id", "|abc.1.")),
		"baggage only in the message":                           one("/hub", rawOptions{}, echo("baggage", "color=blue")),
		"other headers in the message":                          one("/hub", rawOptions{}, echo("X-Other", "1")),
		"traceparent in a message for an unknown method":        one("/hub", rawOptions{}, message(1, "Nobody", []any{"x"}, map[string]string{"traceparent": inMessage})),
		"traceparent in a stream invocation": func(p *player) {
			c := p.raw("/hub", rawOptions{})
			c.send(message(4, "Counter", []any{1, 0}, map[string]string{"traceparent": inMessage}))
			c.answer()
			c.answer()
			c.leave()
		},
	}
	for _, name := range []string{"SSE", "long polling"} {
		steps["traceparent on every HTTP request, "+name] = js("/hub", clientOptions{transport: transports[name], header: headers("Traceparent", inRequest)}, invoke("Echo", "x"))
	}
	all := map[string]func(*player){}
	for name, play := range steps {
		all["trace: "+name] = play
	}
	return all
}

// refreshes are the steps about fresh credentials.
func refreshes() map[string]func(*player) {
	refresh := func(query, token string, more ...string) func(*player) {
		return func(p *player) {
			id := p.negotiate("/hub-refresh", "&user=a&expires=60"+query)
			c := p.raw("/hub-refresh?user=a&expires=60"+query+"&id="+id, rawOptions{})
			h := headers(append(more, "Authorization", "Bearer "+token, "X-SignalR-Connection-Token", id)...)
			status, _ := p.request("POST", "/hub-refresh/refresh", h, "")
			p.note("refresh: " + strconv.Itoa(status))
			time.Sleep(200 * ms)
			c.leave()
		}
	}
	const again = "user=a&expires=60"
	return map[string]func(*player){
		"refresh: accepted":                              refresh("", again),
		"refresh: accepted, traceparent in the request":  refresh("", again, "traceparent", parent(driverHTTP, "01")),
		"refresh: activities of the application inside":  refresh("&refreshed=work", again),
		"refresh: OnAuthenticationRefreshedAsync throws": refresh("&refreshed=throw", again),
		"refresh: refused, another user":                 refresh("", "user=b&expires=60"),
		"refresh: refused, no user":                      refresh("", "nothing"),
		"refresh: unknown connection": func(p *player) {
			status, _ := p.request("POST", "/hub-refresh/refresh", headers("Authorization", "Bearer user=a", "X-SignalR-Connection-Token", "nobody"), "")
			p.note(status)
		},
		"refresh: authentication expires": func(p *player) {
			c := p.raw("/hub-refresh?user=a&expires=1&id="+p.negotiate("/hub-refresh", "&user=a&expires=1"), rawOptions{})
			c.ended()
			p.note(c.code)
		},
	}
}
