package jwtbearer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/server"
)

// An issuer is a http.RoundTripper that answers like one. No network: it works
// on the fake clock of synctest.
type issuer struct {
	mu    sync.Mutex
	pages map[string]func() (*http.Response, error)
	asked map[string]int
}

func newIssuer(t *testing.T, keys ...string) *issuer {
	i := &issuer{pages: map[string]func() (*http.Response, error){}, asked: map[string]int{}}
	i.set("https://login.test/.well-known/openid-configuration", page(`{"issuer":"https://login.test","jwks_uri":"https://keys.test/k"}`))
	i.setKeys(t, keys...)
	return i
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	answer := i.pages[r.URL.String()]
	i.asked[r.URL.String()]++
	i.mu.Unlock()
	if answer == nil {
		return nil, errors.New("nobody is there")
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	response, err := answer()
	if response != nil {
		response.Request = r
	}
	return response, err
}

func (i *issuer) set(url string, answer func() (*http.Response, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pages[url] = answer
}

func (i *issuer) setKeys(t *testing.T, keys ...string) {
	t.Helper()
	var entries []string
	for _, key := range keys {
		entries = append(entries, jwkOf(t, key))
	}
	i.set("https://keys.test/k", page(`{"keys":[`+strings.Join(entries, ",")+`]}`))
}

func (i *issuer) reads() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked["https://keys.test/k"]
}

func page(text string) func() (*http.Response, error) {
	return body(http.StatusOK, func() io.Reader { return strings.NewReader(text) })
}

func body(status int, reader func() io.Reader) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(reader())}, nil
	}
}

// endless counts what is read of it.
type endless struct{ n *int64 }

func (e endless) Read(p []byte) (int, error) {
	*e.n += int64(len(p))
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (i *issuer) options() Options {
	return Options{Authority: "https://login.test", Audience: "chat", HTTPClient: &http.Client{Transport: i}}
}

func TestKeysOfAnIssuerRotate(t *testing.T) {
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "rsa")
		authenticate := mustNew(t, i.options())
		check := func(when, alg, key string, want bool, reads int) {
			t.Helper()
			user, err := authenticate(requestWith(sign(t, alg, key, goodClaims())))
			if ok := err == nil && user.ID == "alice"; ok != want || i.reads() != reads {
				t.Errorf("%s: user %+v, error %v, want accepted %v; keys read %d times, want %d", when, user, err, want, i.reads(), reads)
			}
		}
		check("the first token reads the keys", "RS256", "rsa", true, 1)
		check("the second does not", "PS256", "rsa", true, 1)
		check("a key that is not there", "EdDSA", "ed", false, 1)
		time.Sleep(5 * time.Minute)
		check("a key that is not there, later", "EdDSA", "ed", false, 2)
		i.setKeys(t, "p256", "ed")
		check("a new key at once", "EdDSA", "ed", false, 2)
		time.Sleep(5 * time.Minute)
		check("a new key", "EdDSA", "ed", true, 3)
		check("the old key is gone", "RS256", "rsa", false, 3)
		check("another new key", "ES256", "p256", true, 3)
		i.setKeys(t, "p384")
		time.Sleep(11 * time.Hour)
		check("a withdrawn key is believed for a while", "ES256", "p256", true, 3)
		time.Sleep(time.Hour)
		check("but not for ever", "ES256", "p256", false, 4)
	})
}

func TestKeysStayWhileTheIssuerIsAway(t *testing.T) {
	testKeys()
	var drained int64
	for name, broken := range map[string]func() (*http.Response, error){
		"gone":          nil,
		"an error":      body(500, func() io.Reader { return strings.NewReader("{}") }),
		"garbage":       page("<html>"),
		"no keys":       page(`{"keys":[]}`),
		"only odd keys": page(`{"keys":[` + strings.Join(oddKeys(), ",") + `]}`),
		"a flood":       body(200, func() io.Reader { return endless{&drained} }),
		"http": func() (*http.Response, error) {
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"http://keys.test/k"}}, Body: http.NoBody}, nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			i := newIssuer(t, "rsa")
			authenticate := mustNew(t, i.options())
			if _, err := authenticate(requestWith(sign(t, "RS256", "rsa", goodClaims()))); err != nil {
				t.Fatal(err)
			}
			i.set("https://keys.test/k", broken)
			for range 3 {
				time.Sleep(13 * time.Hour)
				if _, err := authenticate(requestWith(sign(t, "RS256", "rsa", goodClaims()))); err != nil {
					t.Errorf("%s: a token of the known key: %v", name, err)
				}
				if _, err := authenticate(requestWith(sign(t, "EdDSA", "ed", goodClaims()))); !errors.Is(err, server.ErrUnauthorized) {
					t.Errorf("%s: a token of an unknown key: %v", name, err)
				}
			}
			i.setKeys(t, "ed")
			time.Sleep(retryInterval)
			if _, err := authenticate(requestWith(sign(t, "EdDSA", "ed", goodClaims()))); err != nil {
				t.Errorf("%s: the issuer is back: %v", name, err)
			}
		})
	}
	if drained > 10*maxDocumentSize {
		t.Errorf("%d bytes of an endless document were read", drained)
	}
}

func TestIssuerThatWasNeverReachedIsNoFaultOfTheToken(t *testing.T) {
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		i.set("https://login.test/.well-known/openid-configuration", nil)
		authenticate := mustNew(t, i.options())
		token := sign(t, "RS256", "rsa", goodClaims())
		for range 100 {
			if _, err := authenticate(requestWith(token)); err == nil || errors.Is(err, server.ErrUnauthorized) {
				t.Fatalf("authenticate = %v, want an error that is not ErrUnauthorized", err)
			}
		}
		if n := i.asked["https://login.test/.well-known/openid-configuration"]; n != 1 {
			t.Errorf("100 tokens: the issuer is asked %d times, want once", n)
		}
		i.set("https://login.test/.well-known/openid-configuration", page(`{"issuer":"https://login.test","jwks_uri":"https://keys.test/k"}`))
		i.setKeys(t, "rsa")
		time.Sleep(retryInterval)
		if _, err := authenticate(requestWith(token)); err != nil {
			t.Errorf("the issuer is back: %v", err)
		}
	})
}

func TestOneReadingServesAllThatWait(t *testing.T) {
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "rsa")
		slow := i.pages["https://keys.test/k"]
		i.set("https://keys.test/k", func() (*http.Response, error) {
			time.Sleep(3 * time.Second)
			return slow()
		})
		authenticate := mustNew(t, i.options())
		token := sign(t, "RS256", "rsa", goodClaims())
		gone, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = authenticate(requestWith(token).WithContext(gone)) }) // the one who reads, and goes away
		synctest.Wait()
		for range 50 {
			wg.Go(func() {
				if _, err := authenticate(requestWith(token)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() { // one who waits, and goes away
			began := time.Now()
			if _, err := authenticate(requestWith(token).WithContext(gone)); err == nil || time.Since(began) > time.Second {
				t.Errorf("a request that is gone: error %v after %v", err, time.Since(began))
			}
		})
		synctest.Wait()
		leave()
		wg.Wait()
		if i.reads() != 1 {
			t.Errorf("keys read %d times, want once", i.reads())
		}
	})
}

func TestUnknownKeysReadNoMoreOftenThanTheInterval(t *testing.T) {
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		for interval, want := range map[time.Duration]int{0: 1, time.Minute: 1, -1: 51} {
			i := newIssuer(t, "rsa")
			opts := i.options()
			opts.KeyRefreshInterval = interval
			authenticate := mustNew(t, opts)
			token := sign(t, "EdDSA", "ed", goodClaims())
			for range 51 {
				if _, err := authenticate(requestWith(token)); !errors.Is(err, server.ErrUnauthorized) {
					t.Fatal(err)
				}
			}
			if i.reads() != want {
				t.Errorf("interval %v, 51 tokens of an unknown key: keys read %d times, want %d", interval, i.reads(), want)
			}
		}
	})
}

func TestIssuerOfTheAuthorityMustBeInTheToken(t *testing.T) {
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "rsa")
		for _, test := range []struct {
			option, iss string
			want        bool
		}{
			{"", "https://login.test", true},
			{"", "https://evil.test", false},
			{"", "", false},
			{"https://other.test", "https://other.test", true},
			{"https://other.test", "https://login.test", false},
		} {
			opts := i.options()
			opts.Issuer = test.option
			_, err := mustNew(t, opts)(requestWith(sign(t, "RS256", "rsa", with("iss", test.iss))))
			if (err == nil) != test.want || err != nil && !errors.Is(err, server.ErrUnauthorized) {
				t.Errorf("Options.Issuer %q, token of %q: error %v, want accepted %v", test.option, test.iss, err, test.want)
			}
		}
		i.set("https://login.test/.well-known/openid-configuration", page(`{"issuer":"https://login.test","jwks_uri":"http://keys.test/k"}`))
		if _, err := mustNew(t, i.options())(requestWith(sign(t, "RS256", "rsa", goodClaims()))); err == nil {
			t.Error("a jwks_uri that is not https: no error")
		}
	})
}

func TestKeySetByItsURL(t *testing.T) {
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "rsa", "p521")
		authenticate := mustNew(t, Options{JWKSURL: "https://keys.test/k", HMACKey: secret, HTTPClient: &http.Client{Transport: i}})
		for alg, key := range map[string]string{"RS256": "rsa", "ES512": "p521", "HS256": ""} {
			if _, err := authenticate(requestWith(sign(t, alg, key, goodClaims()))); err != nil {
				t.Errorf("%s: %v", alg, err)
			}
		}
	})
}

func TestHTTPClientThatPanicsIsNotTheEnd(t *testing.T) {
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "rsa")
		good := i.pages["https://keys.test/k"]
		i.set("https://keys.test/k", func() (*http.Response, error) { panic("boom") })
		authenticate := mustNew(t, i.options())
		token := sign(t, "RS256", "rsa", goodClaims())
		func() {
			defer func() { _ = recover() }() // as a hub does
			_, _ = authenticate(requestWith(token))
		}()
		if _, err := authenticate(requestWith(token)); err == nil || errors.Is(err, server.ErrUnauthorized) {
			t.Errorf("right behind the panic: error %v", err)
		}
		i.set("https://keys.test/k", good)
		time.Sleep(retryInterval)
		if _, err := authenticate(requestWith(token)); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}
