package hubclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Transports, with their names on the wire.
const (
	WebSockets       = "WebSockets"
	ServerSentEvents = "ServerSentEvents"
	LongPolling      = "LongPolling"
)

// ConnOptions says how to reach a hub.
type ConnOptions struct {
	// URL is the address of the hub, "http://host:port/path?query".
	URL string

	// DialContext opens network connections. Nil means net.Dialer's.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// Header is sent with every request.
	Header http.Header

	// Jar keeps cookies, as a browser does for a load balancer that knows its
	// clients by one. Nil means that cookies are ignored.
	Jar http.CookieJar

	// Transport is WebSockets, ServerSentEvents or LongPolling. Empty means
	// WebSockets.
	Transport string

	// Compressed asks for compressed answers, as browsers do, and unpacks them.
	Compressed bool

	// SkipNegotiation opens a WebSocket at once. The client then does not know
	// its connection id.
	SkipNegotiation bool

	// Binary says that messages need a transport that carries bytes.
	Binary bool

	// StatefulReconnect asks for a connection that Reopen can resume.
	StatefulReconnect bool
}

// A StatusError is an answer of HTTP that refuses a client.
type StatusError struct {
	Request string // method and path
	Code    int    // 401, 503 and the like
	Body    string // the first 1,000 bytes
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("hubclient: %s is answered %d %s", e.Request, e.Code, http.StatusText(e.Code))
	if e.Body != "" {
		text += ": " + e.Body
	}
	return text
}

// A Conn is a connection before any hub protocol: bytes each way, over one of
// the transports. One goroutine may read while any others write.
type Conn struct {
	ID    string // the public connection id; empty without negotiation
	token string

	opts ConnOptions
	http *http.Client
	ctx  context.Context // of the requests that live as long as the connection
	stop context.CancelFunc
	link transport

	end sync.Once
	err error // of Close
}

// A transport carries bytes.
type transport interface {
	// read returns the next bytes, at least one. Its error is io.EOF where the
	// server has ended the connection in the normal way.
	read() ([]byte, error)
	write(p []byte) error
	// farewell says that the client leaves; the server then ends the connection.
	farewell() error
	// close frees what is open.
	close() error
}

// Open negotiates, unless it is to be skipped, and opens the transport. ctx
// bounds that, and not what comes after it.
func Open(ctx context.Context, o ConnOptions) (*Conn, error) {
	if o.Transport == "" {
		o.Transport = WebSockets
	}
	if o.DialContext == nil {
		o.DialContext = (&net.Dialer{}).DialContext
	}
	if o.SkipNegotiation && o.Transport != WebSockets {
		return nil, fmt.Errorf("hubclient: %s needs negotiation", o.Transport)
	}
	c := &Conn{opts: o, http: &http.Client{
		Jar:           o.Jar,
		Transport:     &http.Transport{DialContext: o.DialContext, DisableCompression: !o.Compressed},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if !o.SkipNegotiation {
		if err := c.negotiate(ctx); err != nil {
			c.http.CloseIdleConnections()
			return nil, err
		}
	}
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Reopen opens a new transport for the connection of c, which was made with
// StatefulReconnect and has lost its own.
func (c *Conn) Reopen(ctx context.Context) (*Conn, error) {
	again := &Conn{ID: c.ID, token: c.token, opts: c.opts, http: c.http}
	if err := again.open(ctx); err != nil {
		return nil, err
	}
	return again, nil
}

func (c *Conn) open(ctx context.Context) (err error) {
	c.ctx, c.stop = context.WithCancel(context.Background())
	defer context.AfterFunc(ctx, c.stop)()
	switch c.opts.Transport {
	case WebSockets:
		c.link, err = openSocket(ctx, c)
	case ServerSentEvents:
		c.link, err = openEvents(c)
	case LongPolling:
		c.link, err = openPolls(c)
	default:
		err = fmt.Errorf("hubclient: no transport is called %q", c.opts.Transport)
	}
	if err != nil {
		c.stop()
		c.http.CloseIdleConnections()
		if cause := ctx.Err(); cause != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}
	return err
}

// Read returns the next bytes of the server. It returns io.EOF when the server
// has ended the connection in the normal way.
func (c *Conn) Read() ([]byte, error) { return c.link.read() }

// Write sends p, whole.
func (c *Conn) Write(p []byte) error { return c.link.write(p) }

// Farewell says that the client leaves: a close frame, or a DELETE. Read then
// comes to the end.
func (c *Conn) Farewell() error { return c.link.farewell() }

// Close frees everything, without a word to the server. A read that waits
// returns.
func (c *Conn) Close() error {
	c.end.Do(func() {
		c.stop()
		c.err = c.link.close()
		c.http.CloseIdleConnections()
	})
	return c.err
}

// negotiateAnswer is what a server says to a negotiate.
type negotiateAnswer struct {
	Error                string
	URL                  string `json:"url"`
	AccessToken          string
	ConnectionID         string
	ConnectionToken      string
	UseStatefulReconnect bool
	AvailableTransports  []struct{ Transport string }
}

// mostRedirects is how many redirects a client follows, as in SignalR's
// clients.
const mostRedirects = 100

func (c *Conn) negotiate(ctx context.Context) error {
	for range mostRedirects {
		answer, err := c.askToNegotiate(ctx)
		if err != nil {
			return err
		}
		switch {
		case answer.Error != "":
			return fmt.Errorf("hubclient: negotiate: %s", answer.Error)
		case answer.URL != "":
			c.opts.URL = answer.URL
			if answer.AccessToken != "" {
				c.opts.Header = c.opts.Header.Clone()
				if c.opts.Header == nil {
					c.opts.Header = http.Header{}
				}
				c.opts.Header.Set("Authorization", "Bearer "+answer.AccessToken)
			}
			continue
		case c.opts.StatefulReconnect && !answer.UseStatefulReconnect:
			return errors.New("hubclient: the server does not reconnect statefully")
		case !slices.ContainsFunc(answer.AvailableTransports, func(one struct{ Transport string }) bool { return one.Transport == c.opts.Transport }):
			return fmt.Errorf("hubclient: the server has no %s", c.opts.Transport)
		}
		c.ID, c.token = answer.ConnectionID, answer.ConnectionToken
		return nil
	}
	return errors.New("hubclient: redirected too often")
}

func (c *Conn) askToNegotiate(ctx context.Context) (answer negotiateAnswer, err error) {
	query := url.Values{"negotiateVersion": {"1"}}
	if c.opts.StatefulReconnect {
		query.Set("useStatefulReconnect", "true")
	}
	address, err := c.address("/negotiate", query)
	if err != nil {
		return answer, err
	}
	body, err := c.do(ctx, http.MethodPost, address, nil)
	if err != nil {
		return answer, err
	}
	return answer, json.Unmarshal(body, &answer)
}

// address returns the hub's URL with more path and query.
func (c *Conn) address(path string, more url.Values) (string, error) {
	u, err := url.Parse(c.opts.URL)
	if err != nil {
		return "", err
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	query := u.Query()
	for name, values := range more {
		query[name] = values
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// connectAddress is where the transport is opened.
func (c *Conn) connectAddress() (string, error) {
	if c.token == "" {
		return c.address("", nil)
	}
	return c.address("", url.Values{"id": {c.token}})
}

// request makes a request with the headers of the options.
func (c *Conn) request(ctx context.Context, method, address string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	for name, values := range c.opts.Header {
		r.Header[name] = values
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	return r, nil
}

// do sends a request and returns the body of a 200 or 202; 204 is io.EOF, the
// rest a *StatusError.
func (c *Conn) do(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	r, err := c.request(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	defer c.closeIdle()
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNoContent {
		return nil, io.EOF
	}
	if err := refused(r, answer); err != nil {
		return nil, err
	}
	return io.ReadAll(answer.Body)
}

// closeIdle is called after a request. One that began while the connection was
// closed would leave its own connection to the server idle for ever.
func (c *Conn) closeIdle() {
	if c.ctx != nil && c.ctx.Err() != nil {
		c.http.CloseIdleConnections()
	}
}

// refused returns an error if the answer to r refuses it.
func refused(r *http.Request, answer *http.Response) error {
	switch answer.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusSwitchingProtocols:
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 1000)) // the status says enough
	return &StatusError{Request: r.Method + " " + r.URL.Path, Code: answer.StatusCode, Body: string(body)}
}
