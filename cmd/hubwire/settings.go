package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/redis/go-redis/v9"
)

// The key and port of Microsoft's emulator, whose users change nothing.
const (
	emulatorKey    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
	defaultAddress = "127.0.0.1:8888"
)

const gatewayUsage = `hubwire gateway is a SignalR service on your own machines. The first run needs no
setting: it listens on ` + defaultAddress + ` and prints a connection string. Give that to
app servers:

  C#   builder.Services.AddSignalR().AddAzureSignalR("Endpoint=...");
  Go   azure.NewHub(PostHub{}, &azure.Options{ConnectionString: "Endpoint=..."}, nil)

Clients go on negotiating with the app server, which sends them here.

With -serverless there is no app server. Clients negotiate with whatever gives them the
URL of /client/?hub=chat and a token; the REST interface sends to them; what they call, and
that they come and go, is POSTed to -upstream. An upstream may stand behind hub/category/event:

  hubwire gateway -serverless -upstream 'http://localhost:7071/runtime/webhooks/signalr'
  hubwire gateway -serverless -upstream 'chat/messages/* https://example.com/{hub}/{event}?code=secret'

The first that an event fits gets it. A part is a name, names with commas between, or *; the
category is connections, with the events connected and disconnected, or messages. In a file:
{"serverless": true, "upstream": ["chat/messages/* https://...", "https://..."]}.

Several gateways are one service with -redis: what is sent at one reaches the clients of
all. All need the same key. App servers may have one connection string for all, behind a
balancer, or one for each gateway; nothing comes twice. Clients stay with the gateway
that they have negotiated with: the balancer needs to be sticky for them.

  hubwire gateway -redis redis://redis:6379 -key "$KEY" -url https://signalr.example.com

A REST caller calls one gateway. One that calls each, as the SDK does with several
endpoints, needs -local-rest.

Each setting can be a flag; an environment variable, HUBWIRE_GATEWAY_ and its name in
capitals with _ for -; or a member of the JSON object in the file of -config, as in
{"listen": "0.0.0.0:8888", "key": "...", "max-clients": 50000}. A flag counts before
the environment, and that before the file. SIGHUP reads key and key2 again from the
file, so a key is changed without a restart: put the new one into key2, give it to the
app servers, make it key, take key2 away. SIGTERM tells all clients to connect again,
and ends when they have gone, or after -drain.

Settings:
`

// settings are those of the command.
type settings struct {
	listen, key, key2, publicURL string
	dev                          bool
	config                       string
	metrics                      string
	tlsCert, tlsKey              string
	maxClients, maxServers       int
	queueLimit                   int64
	slow, drain                  time.Duration
	behindProxy                  bool
	serverless                   bool
	upstreams                    upstreams
	upstreamTimeout              time.Duration
	redisURL, redisPrefix        string
	localREST                    bool
	instance                     string
	maxRequests                  int
	logLevel, logFormat          string

	made bool // key was made up
}

func (s *settings) flags(out io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("gateway", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&s.listen, "listen", defaultAddress, "`address` to listen on")
	f.StringVar(&s.key, "key", "", "access `key` that signs the tokens of clients and app servers, 32 characters or more; empty: a new one at each start")
	f.StringVar(&s.key2, "key2", "", "second access `key`, while the first is being changed")
	f.BoolVar(&s.dev, "dev", false, "use the well-known key of Microsoft's emulator; on loopback only")
	f.StringVar(&s.publicURL, "url", "", "`URL` of this gateway as others reach it, for the connection string; empty: made of -listen")
	f.StringVar(&s.config, "config", "", "JSON `file` with settings")
	f.StringVar(&s.tlsCert, "tls-cert", "", "`file` with a certificate in PEM: serve HTTPS")
	f.StringVar(&s.tlsKey, "tls-key", "", "`file` with the key of -tls-cert")
	f.IntVar(&s.maxClients, "max-clients", 0, "most clients at a time, a `number`; 0: no bound")
	f.IntVar(&s.maxServers, "max-server-connections", 0, "most connections of app servers at a time, a `number`; 0: 10000")
	f.Int64Var(&s.queueLimit, "queue-limit", 0, "`bytes` that may wait for slow clients together; 0: 268435456")
	f.DurationVar(&s.slow, "slow-client-timeout", 0, "`time` after which a client that is behind is closed; 0: 30s")
	f.BoolVar(&s.behindProxy, "behind-proxy", false, "a proxy that clients cannot go round sets X-Forwarded-For")
	f.BoolVar(&s.serverless, "serverless", false, "serve clients without app servers; these are refused")
	f.Var(&s.upstreams, "upstream", "`URL` that events of clients are posted to with -serverless, alone or behind hub/category/event; may be given several times")
	f.DurationVar(&s.upstreamTimeout, "upstream-timeout", 0, "longest `time` that a request to an upstream may take; 0: 30s")
	f.IntVar(&s.maxRequests, "max-upstream-requests", 0, "most requests to upstreams at a time, a `number`; 0: 100")
	f.StringVar(&s.redisURL, "redis", "", "`URL` of the Redis that the gateways of a fleet share, as redis://user:password@host:6379; empty: this is the only gateway")
	f.StringVar(&s.redisPrefix, "redis-prefix", "", "`text` before the names of channels, for several fleets on one Redis")
	f.BoolVar(&s.localREST, "local-rest", false, "a REST call is for the clients of the gateway that is called only")
	f.StringVar(&s.instance, "instance", "", "`name` of this gateway, another one than those of its fleet have; empty: a random one")
	f.DurationVar(&s.drain, "drain", 30*time.Second, "longest `time` that the end may take")
	f.StringVar(&s.metrics, "metrics", "", "`address` that serves /metrics for Prometheus; empty: none")
	f.StringVar(&s.logLevel, "log-level", "info", "`level`: debug, info, warn or error")
	f.StringVar(&s.logFormat, "log-format", "text", "`format`: text or json")
	f.Usage = func() {
		fmt.Fprint(f.Output(), gatewayUsage)
		f.PrintDefaults()
	}
	return f
}

// readSettings reads flags, environment and file, and checks them.
func readSettings(args []string, env func(string) string, stderr io.Writer) (*settings, error) {
	s := &settings{}
	f := s.flags(stderr)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%q is no setting", f.Arg(0))
	}
	given := map[string]bool{}
	f.Visit(func(one *flag.Flag) { given[one.Name] = true })
	var bad []error
	f.VisitAll(func(one *flag.Flag) {
		name := "HUBWIRE_GATEWAY_" + strings.ToUpper(strings.ReplaceAll(one.Name, "-", "_"))
		if text := env(name); text != "" && !given[one.Name] {
			given[one.Name] = true
			if err := f.Set(one.Name, text); err != nil {
				bad = append(bad, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	if s.config != "" {
		members, err := readFile(s.config)
		if err != nil {
			return nil, err
		}
		for name, text := range members {
			one := f.Lookup(name)
			switch {
			case one == nil || name == "config":
				bad = append(bad, fmt.Errorf("%s: %q is no setting", s.config, name))
			case !given[name]:
				if err := f.Set(name, text); err != nil {
					bad = append(bad, fmt.Errorf("%s: %s: %w", s.config, name, err))
				}
			}
		}
	}
	return s, errors.Join(append(bad, s.check())...)
}

// readFile returns the members of a JSON object as the texts of flags.
func readFile(name string) (map[string]string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	texts := map[string]string{}
	for member, raw := range members {
		texts[member] = string(raw)
		var text string
		if json.Unmarshal(raw, &text) == nil {
			texts[member] = text
		}
	}
	return texts, nil
}

func (s *settings) check() error {
	host, _, err := net.SplitHostPort(s.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	switch {
	case s.dev && s.key != "":
		return errors.New("dev has a key of its own: leave key out")
	case s.dev && !isLoopback(host):
		return errors.New("dev: its key is known to everybody, so it listens on loopback only")
	case s.key == "" && s.key2 != "":
		return errors.New("key2 without key")
	case s.key != "" && len(s.key) < 32, s.key2 != "" && len(s.key2) < 32:
		return errors.New("a key needs 32 characters or more")
	case strings.Contains(s.key+s.key2, ";"):
		return errors.New("a key has no semicolon: connection strings have")
	case (s.tlsCert == "") != (s.tlsKey == ""):
		return errors.New("tls-cert and tls-key go together")
	case len(s.upstreams) > 0 && !s.serverless:
		return errors.New("upstream is for serverless only")
	case s.redisURL == "" && (s.redisPrefix != "" || s.localREST):
		return errors.New("redis-prefix and local-rest are for a fleet: they need redis")
	case s.redisURL != "" && s.key == "" && !s.dev:
		return errors.New("redis: the gateways of a fleet have the same key, so key is needed")
	case s.logFormat != "text" && s.logFormat != "json":
		return fmt.Errorf("log-format: %q is neither text nor json", s.logFormat)
	}
	if u, err := url.Parse(s.publicURL); s.publicURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("url: %q is no address of the web", s.publicURL)
	}
	if _, err := redis.ParseURL(s.redisURL); s.redisURL != "" && err != nil {
		return fmt.Errorf("redis: %w", withoutURL(err))
	}
	if err := new(slog.Level).UnmarshalText([]byte(s.logLevel)); err != nil {
		return fmt.Errorf("log-level: %w", err)
	}
	switch {
	case s.dev:
		s.key = emulatorKey
	case s.key == "":
		s.key, s.made = newKey(), true
	}
	return nil
}

// withoutURL is an error about a URL without that, which may hold a password.
func withoutURL(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (s *settings) keys() []string {
	if s.key2 == "" {
		return []string{s.key}
	}
	return []string{s.key, s.key2}
}

// connectionString is what app servers need to connect to a listener.
func (s *settings) connectionString(listener net.Addr) string {
	base := s.publicURL
	if base == "" {
		base = "http://" + reachable(listener.String())
		if s.tlsCert != "" {
			base = "https" + strings.TrimPrefix(base, "http")
		}
	}
	u, err := url.Parse(base)
	if err != nil {
		return "Endpoint=" + base // check has tried it
	}
	text := "Endpoint=" + u.Scheme + "://" + hostOf(u) + strings.TrimSuffix(u.Path, "/")
	if u.Port() != "" {
		text += ";Port=" + u.Port()
	}
	return text + ";AccessKey=" + s.key + ";Version=1.0;"
}

// reachable is an address at which somebody on this machine reaches the listener.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

func hostOf(u *url.URL) string {
	if strings.Contains(u.Hostname(), ":") {
		return "[" + u.Hostname() + "]"
	}
	return u.Hostname()
}

func (s *settings) logger(out io.Writer) *slog.Logger {
	level := new(slog.LevelVar)
	_ = level.UnmarshalText([]byte(s.logLevel)) // check has tried it
	o := &slog.HandlerOptions{Level: level}
	if s.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(out, o))
	}
	return slog.New(slog.NewTextHandler(out, o))
}

// options are those of a gateway; client is nil without -redis.
func (s *settings) options(log *slog.Logger, client redis.UniversalClient) *gateway.Options {
	return &gateway.Options{
		InstanceID:               s.instance,
		Redis:                    client,
		RedisPrefix:              s.redisPrefix,
		LocalREST:                s.localREST,
		AccessKeys:               s.keys(),
		MaximumClients:           s.maxClients,
		MaximumServerConnections: s.maxServers,
		QueueLimit:               s.queueLimit,
		SlowClientTimeout:        s.slow,
		TrustForwardedFor:        s.behindProxy,
		Serverless:               s.serverless,
		Upstreams:                s.upstreams,
		UpstreamTimeout:          s.upstreamTimeout,
		MaximumUpstreamRequests:  s.maxRequests,
		Logger:                   log,
	}
}
