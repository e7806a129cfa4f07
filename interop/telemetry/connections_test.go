package telemetry

import (
	"errors"
	"fmt"
	"time"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

const (
	ms    = time.Millisecond
	hello = `{"protocol":"json","version":1}` + "\x1e"
)

// transports are the names that the steps have for them.
var transports = map[string]string{"WebSockets": hubclient.WebSockets, "SSE": hubclient.ServerSentEvents, "long polling": hubclient.LongPolling}

// connections are the steps about the life of a connection that starts and ends.
func connections() map[string]func(*player) {
	return map[string]func(*player){
		"connection: start and stop, WebSockets without negotiate": js("/hub", clientOptions{skip: true}, lasts(100*ms)),
		"connection: start and stop, WebSockets, MessagePack":      js("/hub", clientOptions{messagePack: true}, lasts(100*ms)),
		"connection: 1 s between negotiate and the WebSocket": func(p *player) {
			token := p.negotiate("/hub")
			time.Sleep(time.Second)
			p.raw("/hub?id="+token, rawOptions{}).leave()
		},
		"connection: client closes the WebSocket without a close message": func(p *player) {
			c := p.raw("/hub", rawOptions{negotiate: true})
			time.Sleep(100 * ms)
			c.leave()
		},
		"connection: client resets TCP, WebSockets": js("/hub", clientOptions{}, lasts(100*ms), func(c *client) {
			c.link.Cut()
			<-c.Done()
		}),
		"connection: client resets TCP, SSE": func(p *player) {
			c := p.connect("/hub", clientOptions{transport: hubclient.ServerSentEvents})
			time.Sleep(100 * ms)
			c.link.Cut()
			c.Close()
		},
		"connection: client resets TCP during a call":            whileRunning(call("Slow", "x", 400), 100*ms, (*raw).reset),
		"connection: client resets TCP during a stream":          whileRunning(message(4, "Counter", []any{1000, 50}, nil), 200*ms, (*raw).reset),
		"connection: client closes during a call":                whileRunning(call("Slow", "x", 400), 100*ms, (*raw).leave),
		"connection: client sends a close message":               say(`{"type":7}`),
		"connection: client sends a close message with an error": say(`{"type":7,"error":"no more"}`),
		"connection: record that is no JSON": func(p *player) {
			c := p.raw("/hub", rawOptions{})
			c.send("{")
			c.answer()
			c.ended()
		},
	}
}

// handshakes are the steps about handshakes and the hub's hooks for connections.
func handshakes() map[string]func(*player) {
	return map[string]func(*player){
		"connection: unknown protocol in the handshake":            handshake("/hub", `{"protocol":"xml","version":1}`),
		"connection: unknown version in the handshake":             handshake("/hub", `{"protocol":"json","version":99}`),
		"connection: no JSON in the handshake":                     handshake("/hub", "hello"),
		"connection: no handshake within HandshakeTimeout":         handshake("/hub-handshake", ""),
		"connection: TCP reset before the handshake":               func(p *player) { p.raw("/hub", rawOptions{noHandshake: true}).reset() },
		"connection: OnConnectedAsync throws":                      refusing("/hub?connected=throw"),
		"connection: OnConnectedAsync throws a HubException":       refusing("/hub?connected=hub-exception"),
		"connection: OnConnectedAsync aborts":                      refusing("/hub?connected=abort"),
		"connection: OnConnectedAsync takes 0.3 s, a call waits":   one("/hub?connected=slow", rawOptions{}, call("Echo", "x")),
		"connection: OnDisconnectedAsync throws":                   func(p *player) { p.raw("/hub?disconnected=throw", rawOptions{}).leave() },
		"connection: OnDisconnectedAsync throws after a TCP reset": func(p *player) { p.raw("/hub?disconnected=throw", rawOptions{}).reset() },
		"connection: activities of the application in OnConnectedAsync and OnDisconnectedAsync": func(p *player) {
			c := p.raw("/hub?connected=work&disconnected=work", rawOptions{})
			time.Sleep(100 * ms)
			c.leave()
		},
	}
}

// long are the steps about connections that outlive something: a socket, a poll, or
// the patience of the server.
func long() map[string]func(*player) {
	return map[string]func(*player){
		"connection: nothing read by the client, TransportSendTimeout, WebSockets": func(p *player) {
			c := p.raw("/hub-send-timeout", rawOptions{})
			c.link.SetReading(false)
			c.send(call("Flood", 400, 30000))
			time.Sleep(6 * time.Second)
			c.reset()
		},
		"connection: no poll for longer than DisconnectTimeout, long polling": func(p *player) {
			p.shakeByPolls()
			time.Sleep(10 * time.Second)
		},
		"connection: polls time out, long polling": func(p *player) {
			address := p.shakeByPolls()
			p.status("GET", address, nil)
			p.status("GET", address, nil)
			p.status("DELETE", address, nil)
		},
		"connection: stateful reconnect, JavaScript client": js("/hub", clientOptions{stateful: true}, invoke("Echo", "before"), func(c *client) {
			c.link.Cut()
			c.link.Restore()
			if err := c.Resume(c.p.t.Context()); err != nil {
				c.p.t.Error(err)
			}
		}, invoke("Echo", "after")),
		"connection: stateful reconnect, never comes back": func(p *player) {
			c := p.raw("/hub?useStatefulReconnect=true", rawOptions{negotiate: true, stateful: true, handshake: `{"protocol":"json","version":2}`})
			time.Sleep(100 * ms)
			c.reset()
		},
		"connection: no hub, a connection handler": func(p *player) {
			c := p.raw("/echo", rawOptions{noHandshake: true})
			if err := c.Write([]byte("hello")); err != nil {
				p.t.Error(err)
			}
			c.answer()
			c.leave()
		},
	}
}

// everyTransport are the steps that each transport has.
func everyTransport() map[string]func(*player) {
	steps := map[string]func(*player){}
	for name, transport := range transports {
		o := clientOptions{transport: transport}
		steps["connection: start and stop, "+name] = js("/hub", o, lasts(100*ms))
		steps["connection: aborted by the hub, "+name] = js("/hub", o, invoke("Abort"), func(c *client) { c.end(time.Minute) })
		steps["connection: client silent for longer than ClientTimeoutInterval, "+name] = func(p *player) {
			c := p.connect("/hub-timeout", clientOptions{transport: transport, silent: true})
			if transport != hubclient.LongPolling { // over which the official clients never ping, so that they may be silent
				if err := c.Write(&protocol.Ping{}); err != nil {
					p.t.Error(err)
				}
			}
			c.end(4 * time.Second)
			c.Close()
		}
	}
	return steps
}

// whileRunning ends a connection while a call runs.
func whileRunning(call string, after time.Duration, end func(*raw)) func(*player) {
	return func(p *player) {
		c := p.raw("/hub", rawOptions{negotiate: true})
		c.send(call)
		time.Sleep(after)
		end(c)
	}
}

// say sends a record upon which the server ends the connection.
func say(record string) func(*player) {
	return func(p *player) {
		c := p.raw("/hub", rawOptions{})
		c.send(record)
		c.ended()
	}
}

// handshake sends something else than a handshake; empty: nothing.
func handshake(path, text string) func(*player) {
	return func(p *player) {
		c := p.raw(path, rawOptions{noHandshake: true})
		if text != "" {
			c.send(text)
		}
		c.answer()
		c.ended()
	}
}

// refusing connects where OnConnected ends the connection.
func refusing(path string) func(*player) {
	return func(p *player) {
		c := p.raw(path, rawOptions{})
		c.answer()
		c.ended()
	}
}

// one makes one call, written by hand.
func one(path string, o rawOptions, message string) func(*player) {
	return func(p *player) {
		c := p.raw(path, o)
		c.send(message)
		c.answer()
		c.leave()
	}
}

// shakeByPolls shakes hands over long polling and returns where to poll.
func (p *player) shakeByPolls() string {
	address := "/hub?id=" + p.negotiate("/hub")
	for _, r := range []struct{ method, body string }{{"GET", ""}, {"POST", hello}, {"GET", ""}} {
		if status, body := p.request(r.method, address, nil, r.body); status != 200 {
			p.t.Errorf("%s: %d %s", r.method, status, body)
		}
	}
	return address
}

// requests are the steps about HTTP.
func requests() map[string]func(*player) {
	return map[string]func(*player){
		"http: transport that the endpoint does not allow, SSE": func(p *player) {
			address := "/hub-websockets?id=" + p.negotiate("/hub-websockets")
			p.status("GET", address, events)
			p.status("GET", address, nil)
		},
		"http: unknown connection id": func(p *player) {
			p.status("GET", "/hub?id=nobody", events)
			p.status("POST", "/hub?id=nobody", nil)
			p.status("DELETE", "/hub?id=nobody", nil)
		},
		"http: access_token in the query": func(p *player) { p.status("GET", "/hub?id=nobody&access_token=secret", events) },
		"http: GET without an id":         func(p *player) { p.status("GET", "/hub", nil) },
		"http: negotiate, then nothing": func(p *player) {
			p.negotiate("/hub")
			p.note(200) // else negotiate has failed the test
		},
		"http: second WebSocket for one connection": func(p *player) {
			token := p.negotiate("/hub")
			c := p.raw("/hub?id="+token, rawOptions{})
			_, err := p.tryRaw("/hub?id="+token, rawOptions{noHandshake: true})
			if refused, ok := errors.AsType[*hubclient.StatusError](err); ok {
				p.note(fmt.Sprintf("Unexpected server response: %d", refused.Code))
			}
			c.leave()
		},
	}
}
