package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

func TestTheFirstRequestGoesOverTheBusAndTheNextOnesOverALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.serve(p.echo)
		large := strings.Repeat("x", 5*pieceSize+1)
		for i, body := range []string{"first", "second", "", large} {
			if got, err := p.post(body); err != nil || got != body {
				t.Fatalf("request %d: %d bytes, %v", i, len(got), err)
			}
			if got, want := p.asker.Counts(), (Counts{Forwarded: uint64(i + 1), Directly: uint64(i)}); got != want {
				t.Errorf("after request %d the asker counts %+v, want %+v", i, got, want)
			}
			synctest.Wait() // the link is made meanwhile
		}
		if got := p.owner.Counts(); got != (Counts{Served: 4}) {
			t.Errorf("the owner counts %+v", got)
		}
	})
}

func TestWhoIsNoNodeOfTheFleetGetsNoLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		foreignKey, foreignHub := options("asker"), options("asker")
		foreignKey.Keys, foreignHub.Base = []Key{key('b')}, "another:"
		thief, neighbour := New(p.bus, foreignKey), New(p.bus, foreignHub)
		defer thief.Close()
		defer neighbour.Close()
		good := p.hello(t, p.asker, "owner")
		if _, answer := p.raw(t, "GET", good); answer.StatusCode != 101 || p.asker.welcomed("owner", exchangeID{}, answer.Header.Get(welcomeHeader)) == nil {
			t.Fatalf("a good hello: %s", answer.Status)
		}
		for name, test := range map[string]struct{ method, hello string }{
			"nothing signed":               {"GET", ""},
			"garbage":                      {"GET", "%%%"},
			"garbage that can be decoded":  {"GET", encoding.EncodeToString(make([]byte, 200))},
			"the same again":               {"GET", good},
			"another key":                  {"GET", p.hello(t, thief, "owner")},
			"another hub":                  {"GET", p.hello(t, neighbour, "owner")},
			"for another node":             {"GET", p.hello(t, p.asker, "another")},
			"too old":                      {"GET", p.hello(t, p.asker, "owner", func(m *message) { m.time = m.time.Add(-askTime - time.Second) })},
			"too far in the future":        {"GET", p.hello(t, p.asker, "owner", func(m *message) { m.time = m.time.Add(askTime + time.Second) })},
			"more than a hello is":         {"GET", encoding.EncodeToString(make([]byte, mostHello))},
			"a message of another purpose": {"GET", p.hello(t, p.asker, "owner", func(m *message) { m.kind = kindCancel })},
			"another method":               {"POST", p.hello(t, p.asker, "owner")},
		} {
			_, answer := p.raw(t, test.method, test.hello)
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != 403 || strings.TrimSpace(string(body)) != notForYou {
				t.Errorf("%s: %s %q, %v", name, answer.Status, body, err)
			}
		}
	})
}

// A node believes nobody at a URL but the node whose URL it is.
func TestWhoDoesNotAnswerAsTheOwnerIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		welcome := func(from *Fleet, change func(*message)) func(hello *message) string {
			return func(hello *message) string {
				m := &message{kind: kindWelcome, id: hello.id, from: "owner", time: time.Now()}
				change(m)
				return encoding.EncodeToString(m.seal(from.keyList()[0], from.base, from.nodeChannel("asker")))
			}
		}
		p := newPair(t)
		p.serve(p.echo)
		foreign := options("owner")
		foreign.Keys = []Key{key('b')}
		thief := New(p.bus, foreign)
		defer thief.Close()
		same := func(*message) {}
		for name, answer := range map[string]func(hello *message) string{
			"nothing":                 func(*message) string { return "" },
			"garbage":                 func(*message) string { return "!" },
			"without the key":         welcome(thief, same),
			"as another node":         welcome(p.owner, func(m *message) { m.from = "another" }),
			"to another hello":        welcome(p.owner, func(m *message) { m.id[0] ^= 1 }),
			"with what is no welcome": welcome(p.owner, func(m *message) { m.kind = kindHello }),
			"a redirect":              nil,
		} {
			asked := 0
			p.answers = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				if answer == nil {
					http.Redirect(w, r, "http://owner.test/elsewhere", http.StatusTemporaryRedirect)
					return
				}
				b, err := encoding.DecodeString(r.Header.Get(helloHeader))
				if err != nil {
					t.Error(err)
				}
				hello, err := p.owner.open(p.owner.NodeChannel(), b)
				if err != nil {
					t.Error(err)
					return
				}
				w.Header().Set("Connection", "Upgrade")
				w.Header().Set("Upgrade", upgradeName)
				w.Header().Set(welcomeHeader, answer(hello))
				w.WriteHeader(http.StatusSwitchingProtocols)
			})
			for range 3 {
				if got, err := p.post(name); err != nil || got != name {
					t.Fatalf("%s: %q, %v", name, got, err)
				}
				synctest.Wait()
			}
			if c := p.asker.Counts(); asked != 1 || c.Directly != 0 {
				t.Errorf("%s: asked %d times for a link, counts %+v", name, asked, c)
			}
			time.Sleep(retryTime)
		}
		p.answers = p.owner.Handler()
		for range 2 {
			if _, err := p.post("at last"); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if c := p.asker.Counts(); c.Directly != 1 {
			t.Errorf("once the owner answers: %+v", c)
		}
	})
}

// frame is what link.write sends for a message.
func frame(channel string, payload []byte) []byte {
	b := append(appendText(make([]byte, 4), channel), payload...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func TestWhatIsForgedOnALinkEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.serve(p.echo)
		beat := func(id exchangeID, n uint64) []byte {
			m := &message{kind: kindBeat, id: id, n: n, from: "asker", time: time.Now()}
			return frame(p.owner.NodeChannel(), m.seal(key('a'), "base:", p.owner.NodeChannel()))
		}
		ask := func(k Key, channel string) []byte {
			r := httptest.NewRequest("POST", "/chat?id=x", nil)
			m := &message{kind: kindAsk, flags: flagLast, id: newExchangeID(), from: "asker", time: time.Now(), head: packRequest(r, nil)}
			return frame(channel, m.seal(k, "base:", channel))
		}
		toC := p.owner.connectionChannel("c")
		changed := ask(key('a'), toC)
		changed[len(changed)/2] ^= 1
		moved := ask(key('a'), p.owner.connectionChannel("d"))
		copy(moved[5:], toC)
		for name, forged := range map[string]func(id exchangeID) []byte{
			"garbage":                    func(exchangeID) []byte { return []byte("GET / HTTP/1.1\r\n\r\n") },
			"a frame that is too large":  func(exchangeID) []byte { return []byte{0, 0x40, 0, 1} },
			"a channel past the frame":   func(exchangeID) []byte { return []byte{0, 0, 0, 2, 200, 1} },
			"an empty frame":             func(exchangeID) []byte { return []byte{0, 0, 0, 0} },
			"another key":                func(exchangeID) []byte { return ask(key('b'), toC) },
			"a request that was changed": func(exchangeID) []byte { return changed },
			"one for another connection": func(exchangeID) []byte { return moved },
			"one for the node":           func(exchangeID) []byte { return ask(key('a'), p.owner.NodeChannel()) },
			"one for another node":       func(exchangeID) []byte { return ask(key('a'), p.asker.NodeChannel()) },
			"one of another node": func(exchangeID) []byte {
				m := &message{kind: kindProbe, from: "another", time: time.Now()}
				return frame(p.owner.NodeChannel(), m.seal(key('a'), "base:", p.owner.NodeChannel()))
			},
			"a beat of another link":      func(exchangeID) []byte { return beat(exchangeID{}, 1) },
			"a beat that came before":     func(id exchangeID) []byte { return append(beat(id, 1), beat(id, 1)...) },
			"a beat for another node":     func(id exchangeID) []byte { return frame(p.asker.NodeChannel(), beat(id, 1)) },
			"the end in a frame's middle": nil,
		} {
			var id exchangeID
			l, answer := p.raw(t, "GET", p.hello(t, p.asker, "owner", func(m *message) { id = m.id }))
			if answer.StatusCode != 101 {
				t.Fatal(answer.Status)
			}
			if forged == nil {
				_, _ = l.Write(ask(key('a'), toC)[:50])
				_ = l.Close()
				continue
			}
			if _, err := l.Write(forged(id)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			began := time.Now()
			if n, err := io.Copy(io.Discard, l.in); err != nil || n > 0 || time.Since(began) > 0 {
				t.Errorf("%s: %d bytes, %v, after %v", name, n, err, time.Since(began))
			}
		}
		if got := p.owner.Counts(); got.Served != 0 || p.bodies() != "" {
			t.Errorf("the owner has served %d: %q", got.Served, p.bodies())
		}
	})
}

func TestARequestIsServedOnceHoweverOftenItComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.serve(p.echo)
		r := httptest.NewRequest("POST", "/chat?id=x", strings.NewReader("once"))
		toC := p.owner.connectionChannel("c")
		m := &message{kind: kindAsk, flags: flagLast, id: newExchangeID(), from: "asker", time: time.Now(), head: packRequest(r, nil), body: []byte("once")}
		sealed := m.seal(key('a'), "base:", toC)
		for range 2 { // on two links
			l, _ := p.raw(t, "GET", p.hello(t, p.asker, "owner"))
			if _, err := l.Write(append(frame(toC, sealed), frame(toC, sealed)...)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		p.owner.Receive(toC, sealed) // and on the Bus
		synctest.Wait()
		if p.bodies() != "once" {
			t.Errorf("the owner was given %q", p.bodies())
		}
	})
}

func TestMoreLinksThanABoundAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.serve(p.echo)
		var last *rawLink
		for i := range mostGiven {
			l, answer := p.raw(t, "GET", p.hello(t, p.asker, "owner"))
			if answer.StatusCode != 101 {
				t.Fatalf("link %d: %s", i, answer.Status)
			}
			last = l
		}
		for range 2 { // without a link requests go over the Bus
			if got, err := p.post("full"); got != "full" || err != nil {
				t.Errorf("request: %q, %v", got, err)
			}
			synctest.Wait()
		}
		if c := p.asker.Counts(); c.Directly != 0 {
			t.Errorf("counts %+v", c)
		}
		_ = last.Close()
		synctest.Wait()
		if _, answer := p.raw(t, "GET", p.hello(t, p.asker, "owner")); answer.StatusCode != 101 {
			t.Errorf("once there is place: %s", answer.Status)
		}
		// Who has opened a link and says nothing loses it.
		time.Sleep(givenTime)
		synctest.Wait()
		p.owner.mu.Lock()
		given := p.owner.given
		p.owner.mu.Unlock()
		if given != 0 {
			t.Errorf("%d links are left", given)
		}
	})
}

func TestMoreRequestsThanABoundAreRefusedOnALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		end := make(chan struct{})
		p.serve(func(_ transport.ForwardWriter, r *http.Request, _ []byte) {
			select {
			case <-end:
			case <-r.Context().Done():
			}
		})
		p.linked(t)
		var filling sync.WaitGroup
		for range mostAsks {
			filling.Go(func() {
				if _, err := p.post(""); err != nil {
					t.Errorf("a request within the bound: %v", err)
				}
			})
		}
		synctest.Wait()
		if _, err := p.post("more"); !errors.Is(err, transport.ErrAway) {
			t.Errorf("one more on the asker: %v", err)
		}
		another := options("another")
		another.Dial = p.net.DialContext
		f := New(p.bus, another)
		p.bus.listen(f.NodeChannel(), f)
		f.Learn("c", "owner", ownerURL)
		synctest.Wait()
		err := f.Forward(httptest.NewRecorder(), httptest.NewRequest("POST", "/chat?id=x", nil), "c", nil)
		if c := f.Counts(); !errors.Is(err, transport.ErrAway) || c.Directly != 1 {
			t.Errorf("one more of another node: %v, counts %+v", err, c)
		}
		f.Close()
		close(end)
		filling.Wait()
		if c := p.owner.Counts(); c.Served != mostServed {
			t.Errorf("the owner has served %d", c.Served)
		}
	})
}

// What becomes of a request whose owner, or the way to it, does not answer.
func TestARequestIsNeverExecutedTwice(t *testing.T) {
	for name, test := range map[string]struct {
		fault    func(p *pair)
		mend     func(p *pair)
		err      error         // nil: it is answered
		most     time.Duration // that it takes
		executed string
	}{
		"the owner is frozen": {func(p *pair) { p.gate.close() }, func(p *pair) { p.gate.open() }, transport.ErrAway, silentTime, ""},
		"the link breaks before the owner has it": {func(p *pair) {
			p.gate.close()
			time.AfterFunc(time.Second, p.net.Cut)
		}, func(p *pair) { p.gate.open() }, nil, time.Second, "text"},
		"the link is broken already": {func(p *pair) { p.net.Cut() }, func(*pair) {}, nil, 0, "text"},
		"the link breaks while the owner is at it": {func(p *pair) {
			p.serve(func(_ transport.ForwardWriter, r *http.Request, _ []byte) {
				p.mu.Lock()
				p.executed = append(p.executed, "half")
				p.mu.Unlock()
				<-r.Context().Done()
			})
			time.AfterFunc(time.Second, p.net.Cut)
		}, func(*pair) {}, transport.ErrAway, time.Second, "half"},
		"the owner ends": {func(p *pair) {
			p.serve(func(_ transport.ForwardWriter, r *http.Request, _ []byte) { <-r.Context().Done() })
			time.AfterFunc(time.Second, func() {
				p.bus.end(p.owner)
				p.owner.Close()
			})
		}, func(*pair) {}, transport.ErrAway, time.Second, ""},
		"the owner dies before it has it": {func(p *pair) {
			p.gate.close()
			time.AfterFunc(time.Second, func() {
				p.bus.end(p.owner)
				p.net.Cut()
			})
		}, func(*pair) {}, transport.ErrAway, time.Second, ""},
		"the asker ends": {func(p *pair) {
			p.serve(func(_ transport.ForwardWriter, r *http.Request, _ []byte) { <-r.Context().Done() })
			time.AfterFunc(time.Second, p.asker.Close)
		}, func(*pair) {}, transport.ErrAway, time.Second, ""},
		"the owner is frozen for a moment": {func(p *pair) {
			p.gate.close()
			time.AfterFunc(2*beatTime, p.gate.open)
		}, func(*pair) {}, nil, 2 * beatTime, "text"},
		"the owner is frozen for almost too long": {func(p *pair) {
			p.gate.close()
			time.AfterFunc(silentTime-beatTime/2, p.gate.open)
		}, func(*pair) {}, nil, silentTime, "text"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				p.serve(p.echo)
				p.linked(t)
				test.fault(p)
				began := time.Now()
				got, err := p.post("text")
				if took := time.Since(began); took > test.most {
					t.Errorf("it took %v", took)
				}
				if !errors.Is(err, test.err) || err == nil && got != "text" {
					t.Errorf("answer %q, %v; want %v", got, err, test.err)
				}
				test.mend(p)
				time.Sleep(time.Minute)
				if p.bodies() != test.executed {
					t.Errorf("the owner was given %q, want %q", p.bodies(), test.executed)
				}
			})
		})
	}
}

// The owner keeps what it has written until the asker's client has it.
func TestAnAnswerThatTheAskerHasNotPassedOnIsUndelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		flushed := make(chan error, 1)
		p.serve(func(w transport.ForwardWriter, _ *http.Request, _ []byte) {
			_, _ = io.WriteString(w, "data") // the error is that of Flush, too
			flushed <- http.NewResponseController(w).Flush()
		})
		p.linked(t)
		if got, err := p.post(""); got != "data" || err != nil || <-flushed != nil {
			t.Errorf("an answer that arrives: %q, %v", got, err)
		}
		p.net.SetReading(false) // of the asker
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			r := httptest.NewRequestWithContext(ctx, "GET", "/chat?id=x", nil)
			ended <- p.asker.Forward(httptest.NewRecorder(), r, "c", nil)
		}()
		synctest.Wait()
		p.net.Cut()
		if err := <-flushed; !errors.Is(err, transport.ErrUndelivered) {
			t.Errorf("Flush = %v", err)
		}
		cancel()
		<-ended
	})
}

func TestALinkThatIsNotUsedEndsAndIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.serve(p.echo)
		p.linked(t)
		time.Sleep(idleTime - time.Second)
		if p.link() == nil {
			t.Error("the link has ended before its time")
		}
		if _, err := p.post("one"); err != nil || p.asker.Counts().Directly != 1 {
			t.Errorf("a request: %v, %+v", err, p.asker.Counts())
		}
		time.Sleep(idleTime + 2*beatTime)
		synctest.Wait()
		p.owner.mu.Lock()
		given := p.owner.given
		p.owner.mu.Unlock()
		if p.link() != nil || given != 0 {
			t.Errorf("an idle link is left, %d at the owner", given)
		}
		for i, directly := range []uint64{1, 2} {
			if _, err := p.post("more"); err != nil || p.asker.Counts().Directly != directly {
				t.Errorf("request %d: %v, %+v", i, err, p.asker.Counts())
			}
			synctest.Wait()
		}
	})
}

func TestALinkThatIsUsedDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.serve(func(w transport.ForwardWriter, r *http.Request, _ []byte) {
			select {
			case <-time.After(3 * idleTime):
			case <-r.Context().Done():
			}
			_, _ = io.WriteString(w, "late") // the asker is gone otherwise
		})
		p.linked(t)
		if got, err := p.post(""); got != "late" || err != nil {
			t.Errorf("a request that takes long: %q, %v", got, err)
		}
	})
}

func TestAnotherURLOfANodeReplacesItsLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.serve(p.echo)
		p.linked(t)
		first := p.link()
		p.asker.Learn("c", "owner", ownerURL+"2")
		synctest.Wait()
		if l := p.link(); l == nil || l == first || !errors.Is(context.Cause(first.ctx), errReplaced) {
			t.Errorf("link %p after %p, which has ended with %v", l, first, context.Cause(first.ctx))
		}
	})
}

func TestARequestThatIsTooLargeForALinkGoesOverTheBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.serve(p.echo)
		p.linked(t)
		w := httptest.NewRecorder()
		err := p.asker.Forward(w, httptest.NewRequest("POST", "/chat?id=x", strings.NewReader("text")), "c", make([]byte, mostFrame))
		if c := p.asker.Counts(); err != nil || w.Body.String() != "text" || c != (Counts{Forwarded: 1}) || p.link() == nil {
			t.Errorf("answer %q, %v, counts %+v, link %p", w.Body, err, c, p.link())
		}
	})
}

func TestWhatANodeKnowsOfOthersIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.net.Cut() // no node can be reached
		for i := range 2 * mostPeers {
			p.asker.Learn(string(rune('a'+i%26)), "node"+string(rune(0x4e00+i)), ownerURL)
			synctest.Wait()
		}
		for i := range 3 * mostOwners {
			p.asker.Learn(string(rune(i)), "owner", ownerURL)
		}
		synctest.Wait()
		p.asker.Learn("long", "owner", "http://"+strings.Repeat("x", MostURL))
		p.asker.mu.Lock()
		defer p.asker.mu.Unlock()
		peers, connections := len(p.asker.peers), len(p.asker.owners[0])+len(p.asker.owners[1])
		if peers > mostPeers || connections > 2*mostOwners || p.asker.peers["owner"] == nil || p.asker.owners[0]["long"] != "" {
			t.Errorf("a node knows %d others and the nodes of %d connections", peers, connections)
		}
	})
}

// A key can be changed while the nodes have links.
func TestALinkLivesOnWhileKeysAreChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.serve(p.echo)
		p.linked(t)
		for _, step := range []struct{ asker, owner []Key }{
			{[]Key{key('a'), key('b')}, []Key{key('a')}},
			{[]Key{key('a'), key('b')}, []Key{key('a'), key('b')}},
			{[]Key{key('b'), key('a')}, []Key{key('a'), key('b')}},
			{[]Key{key('b'), key('a')}, []Key{key('b'), key('a')}},
			{[]Key{key('b')}, []Key{key('b'), key('a')}},
			{[]Key{key('b')}, []Key{key('b')}},
		} {
			p.asker.SetKeys(step.asker)
			p.owner.SetKeys(step.owner)
			if _, err := p.post("text"); err != nil {
				t.Errorf("a request: %v", err)
			}
			time.Sleep(3 * beatTime)
		}
		if c := p.asker.Counts(); c.Directly != 6 {
			t.Errorf("counts %+v", c)
		}
		// A node that has lost the key is no node of the fleet any more.
		p.asker.SetKeys([]Key{key('c')})
		time.Sleep(2 * beatTime)
		if p.link() != nil {
			t.Error("a node of another key has a link")
		}
	})
}
