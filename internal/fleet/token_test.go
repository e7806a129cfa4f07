package fleet

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

func key(b byte) Key { return Key(strings.Repeat(string(b), 32)) }

func unconnected(t *testing.T, base string, keys ...Key) *Fleet {
	f := New(nil, Options{Node: "node", Base: base, Keys: keys, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(f.Close)
	return f
}

func TestATokenSaysWhatNegotiateHasDecided(t *testing.T) {
	a, b := unconnected(t, "App.Hub:hubwire:", key('a')), unconnected(t, "App.Hub:hubwire:", key('a'))
	now := time.UnixMilli(1_764_208_800_123)
	for _, want := range []transport.Ticket{{Version: 1, Issued: now}, {Version: 0, Issued: now}, {Version: 1, Stateful: true, Issued: now}} {
		token, id, ok := a.Seal(want, "/chat", "sub:alice")
		if !ok {
			t.Fatal("nothing was sealed")
		}
		if strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
			t.Errorf("token %q must be escaped in a URL", token)
		}
		if (id == token) != (want.Version == 0) || want.Version == 1 && len(id) != 22 {
			t.Errorf("the id of %q is %q", token, id)
		}
		want.ID, want.SameUser = id, true
		if got, ok := b.Open(token, "/chat", "sub:alice"); !ok || got != want {
			t.Errorf("Open = %+v, %v, want %+v", got, ok, want)
		}
		if got, ok := b.Open(token, "/chat", "sub:bob"); !ok || got.SameUser {
			t.Errorf("Open for another user = %+v, %v", got, ok)
		}
	}
}

func TestTokensOfAllWrongKindsAreNotOpened(t *testing.T) {
	const base = "App.Hub:hubwire:"
	f := unconnected(t, base, key('a'))
	token, id, _ := f.Seal(transport.Ticket{Version: 1}, "/chat", "")
	wrong := map[string]string{
		"nothing": "", "the prefix": tokenPrefix, "the id": id, "a random one": "RI2tPGpNqd8eZQqrWnKsPw",
		"one with more at its end": token + "A", "one without its end": token[:len(token)-1], "one in capitals": strings.ToUpper(token),
		"one with a line end": token + "\n", "padding": token + "=", "twice": token + "," + token,
	}
	for i := range len(token) {
		for _, c := range "AQx_" {
			if changed := token[:i] + string(c) + token[i+1:]; changed != token {
				wrong[fmt.Sprintf("one with %c at %d", c, i)] = changed
			}
		}
	}
	other, _, _ := unconnected(t, base, key('b')).Seal(transport.Ticket{Version: 1}, "/chat", "")
	wrong["one of another fleet"] = other
	other, _, _ = unconnected(t, "App.Other:hubwire:", key('a')).Seal(transport.Ticket{Version: 1}, "/chat", "")
	wrong["one of another hub"] = other
	other, _, _ = unconnected(t, "x"+base, key('a')).Seal(transport.Ticket{Version: 1}, "/chat", "")
	wrong["one of another prefix"] = other
	other, _, _ = f.Seal(transport.Ticket{Version: 1}, "/admin", "")
	wrong["one of another route"] = other
	for name, token := range wrong {
		if got, ok := f.Open(token, "/chat", ""); ok {
			t.Errorf("%s is opened: %+v", name, got)
		}
	}
	if _, ok := f.Open(token, "/chat", ""); !ok {
		t.Error("the right one is not")
	}
}

func TestATokenIsGoodAtTheHubOrAtOneRawEndpoint(t *testing.T) {
	const base = "App.Hub:hubwire:"
	node := func() map[string]transport.Cluster {
		f := unconnected(t, base, key('a'))
		return map[string]transport.Cluster{"the hub": f, "echo": f.Endpoint("echo"), "no name": f.Endpoint(""), "a name with a route": f.Endpoint("echo/chat")}
	}
	a, b := node(), node()
	for from, sealer := range a {
		for _, version := range []int{0, 1} {
			token, id, ok := sealer.Seal(transport.Ticket{Version: version}, "/chat", "sub:alice")
			if !ok {
				t.Fatal("nothing was sealed")
			}
			for at, opener := range b {
				got, ok := opener.Open(token, "/chat", "sub:alice")
				if ok != (at == from) || ok && (got.ID != id || !got.SameUser) {
					t.Errorf("a token of version %d of %s, at %s: %+v, %v", version, from, at, got, ok)
				}
			}
			if _, ok := b[from].Open(token, "/other", "sub:alice"); ok {
				t.Errorf("a token of %s is opened on another route", from)
			}
			if got, ok := b[from].Open(token, "/chat", "sub:bob"); !ok || got.SameUser {
				t.Errorf("a token of %s for another user: %+v, %v", from, got, ok)
			}
		}
	}
}

func TestKeysAreChangedWithoutRefusingAToken(t *testing.T) {
	const base = "App.Hub:hubwire:"
	steps := [][]Key{{key('a')}, {key('a'), key('b')}, {key('b'), key('a')}, {key('b')}}
	for i := range steps[1:] { // nodes before and after each step run side by side
		old, fresh := unconnected(t, base, steps[i]...), unconnected(t, base, steps[i+1]...)
		for _, pair := range [][2]*Fleet{{old, fresh}, {fresh, old}} {
			token, id, _ := pair[0].Seal(transport.Ticket{Version: 1}, "/chat", "")
			if got, ok := pair[1].Open(token, "/chat", ""); !ok || got.ID != id {
				t.Errorf("step %d: Open = %+v, %v", i, got, ok)
			}
		}
	}
}

func TestWithoutAKeyNothingIsSealed(t *testing.T) {
	f := unconnected(t, "App.Hub:hubwire:")
	if _, _, ok := f.Seal(transport.Ticket{}, "", ""); ok {
		t.Error("a token was sealed")
	}
	if _, ok := f.Open(tokenPrefix+strings.Repeat("A", 58), "", ""); ok {
		t.Error("a token was opened")
	}
}

func FuzzOpenMessage(f *testing.F) {
	const base, channel = "App.Hub:hubwire:", "App.Hub:hubwire:node:a"
	m := &message{kind: kindAnswer, flags: flagLast, n: 7, from: "node", head: []byte("head"), body: []byte("body"), time: time.UnixMilli(5)}
	f.Add(m.seal(key('a'), base, channel), false)
	f.Add([]byte{}, true)
	asked := httptest.NewRequest("POST", "http://app/chat?id=x", nil)
	request := &message{kind: kindAsk, flags: flagLast, n: 7, from: "node", head: packRequest(asked, []byte("bob")), body: []byte("body"), time: time.UnixMilli(5)}
	sealed := request.seal(key('a'), base, channel)
	f.Add(sealed, false)
	f.Add(sealed[:len(sealed)-macSize], true)
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign { // what a node sends that lies
			b = append(b, key('a').sum("message", base, channel, string(b))[:macSize]...)
		}
		m, err := openMessage(b, []Key{key('a')}, base, channel)
		if err != nil {
			return
		}
		s := &served{ctx: t.Context()}
		_, _, _ = s.request(m) // must not panic
		u := unpacker{rest: m.head}
		u.number()
		u.header()
	})
}
