package routers

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/server"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

// chat is the hub.
type chat struct{}

// Echo returns what it is given.
func (chat) Echo(text string) string { return text }

const (
	patience = time.Minute      // for a whole exchange
	long     = time.Minute      // a limit of middleware that no exchange reaches
	short    = 2 * time.Second  // one that is over while a client is idle
	idle     = 11 * time.Second // longer than any timer but the client's
)

// lines is a log that is read while it is written.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// String returns what was written.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// A site serves one variant.
type site struct {
	hub *server.Hub
	web *http.Server
	log *lines
	end chan error // of web.Serve
}

func (v variant) serve(l net.Listener, limit time.Duration) *site {
	s := &site{log: &lines{}, end: make(chan error, 1)}
	s.hub = server.MustHub(chat{}, &server.Options{
		Logger:   slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Endpoint: server.EndpointOptions{PollTimeout: 5 * time.Second, CloseTimeout: time.Second},
	})
	s.web = &http.Server{Handler: v.build(s.hub, limit), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	if v.web != nil {
		v.web(s.web, limit)
	}
	go func() { s.end <- s.web.Serve(l) }()
	return s
}

// stop stops the hub first: net/http waits for its requests.
func (s *site) stop(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := errors.Join(s.hub.Shutdown(ctx), s.web.Shutdown(ctx)); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	<-s.end
}

// options are those of a client that asks for compressed answers, as browsers
// do, and names its origin.
func options(v variant, transport, host string, dial func(context.Context, string, string) (net.Conn, error)) hubclient.Options {
	return hubclient.Options{ConnOptions: hubclient.ConnOptions{
		URL: "http://" + host + v.path, Transport: transport, Header: http.Header{"Origin": {"http://" + host}}, Compressed: true, DialContext: dial,
	}}
}

// sayHello plays one call.
func sayHello(ctx context.Context, c *hubclient.Client) error {
	var answer string
	if err := c.Invoke(ctx, &answer, "Echo", "hello"); err != nil || answer != "hello" {
		return errors.Join(err, c.Err(), errors.New("the answer is "+answer))
	}
	return nil
}

// check compares the error that a client got with the table.
func (s *site) check(t *testing.T, when string, err error, want outcome, fails bool) {
	t.Helper()
	switch {
	case !fails && err != nil:
		t.Errorf("%s: %v; log: %s", when, err, s.log)
	case !fails:
	case err == nil:
		t.Errorf("%s: the call is answered; the entry %+v must go", when, want)
	case !strings.Contains(err.Error(), want.err):
		t.Errorf("%s: %v, want an error with %q; log: %s", when, err, want.err, s.log)
	case want.log == "" && s.log.String() != "" || !strings.Contains(s.log.String(), want.log):
		t.Errorf("%s: %v, and the log is %q, want %q", when, err, s.log, want.log)
	}
}

func TestEveryTransportWorksOrTheLogSaysWhatToDo(t *testing.T) {
	for _, v := range variants {
		for _, transport := range []string{ws, sse, lp} {
			t.Run(v.name+"/"+transport, func(t *testing.T) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				s := v.serve(l, long)
				defer s.stop(t)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				c, err := hubclient.Dial(ctx, options(v, transport, l.Addr().String(), nil))
				if err == nil {
					defer c.Close()
					err = sayHello(ctx, c)
				}
				want, fails := v.fails[transport]
				s.check(t, "a call", err, want, fails)
			})
		}
	}
}

// An idle client outlives the limits for short requests, or the table says which
// error it gets.
func TestAnIdleClientOutlivesTheLimitsOfRequests(t *testing.T) {
	for _, v := range variants {
		for _, transport := range []string{ws, sse, lp} {
			if _, fails := v.fails[transport]; fails {
				continue
			}
			t.Run(v.name+"/"+transport, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := memnet.Listen()
					s := v.serve(l, short)
					defer s.stop(t)
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					defer cancel()
					c, err := hubclient.Dial(ctx, options(v, transport, "127.0.0.1:80", l.Link(nil).DialContext))
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					s.check(t, "a call", sayHello(ctx, c), outcome{}, false)
					time.Sleep(idle) // of the fake clock
					want, fails := v.later[transport]
					s.check(t, "a call after a while", sayHello(ctx, c), want, fails)
				})
			})
		}
	}
}

// Middleware for CORS sends headers. What a page of another origin may do is decided
// by the hub: browsers ask no CORS headers of WebSockets.
func TestTheCORSMiddlewareOfARouterDoesNotOpenTheHub(t *testing.T) {
	listing, cors, err := origins()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listing.Shutdown(context.Background()) }() // it has no clients any more
	closed := server.MustHub(chat{}, nil)
	for name, test := range map[string]struct {
		h      http.Handler
		status int // 0: the call is answered
	}{
		"a hub without origins behind chi's CORS": {chiRouter(closed, long), http.StatusForbidden},
		"a hub that lists the origin":             {http.StripPrefix("/api", withChi(listing)), 0},
		"and has its CORS around the router":      {cors(http.StripPrefix("/api", withChi(listing))), 0},
	} {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewServer(test.h)
			defer web.Close()
			c, err := hubclient.Dial(t.Context(), hubclient.Options{ConnOptions: hubclient.ConnOptions{
				URL: web.URL + "/api/chat", Header: http.Header{"Origin": {"https://app.example"}},
			}})
			var refused *hubclient.StatusError
			switch {
			case errors.As(err, &refused) && refused.Code == test.status:
			case err != nil || test.status != 0:
				t.Errorf("Dial = %v, want status %d", err, test.status)
			default:
				defer c.Close()
				if err := sayHello(t.Context(), c); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
