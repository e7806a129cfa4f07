package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hubwire/hubwire/azure"
)

// config is what the flags say. The flags are those of the reference node,
// which takes them in the style of ASP.NET Core: each has a value.
type config struct {
	addresses        []string      // host:port
	azure            azure.Options // without a connection string: clients connect here
	redis, prefix    string
	redisWait        time.Duration // until the node serves without Redis
	detailed         bool
	logger           *slog.Logger
	maximumMessage   int
	parallel         int
	clientTimeout    time.Duration
	keepAlive        time.Duration
	handshakeTimeout time.Duration
	pollTimeout      time.Duration
	disconnect       time.Duration
	statefulBuffer   int
	legacyPolling    bool
	stamps           bool
	nodes            int
	direct           bool
	metrics          bool
	refusals         string // a file
}

// clientTimeout is how long clients may be silent where no flag says so.
const clientTimeout = 30 * time.Second

func parseConfig(args []string) (*config, error) {
	c := &config{logger: slog.New(slog.DiscardHandler), redisWait: redisWait}
	flags := flag.NewFlagSet("node", flag.ContinueOnError)
	c.addAzureFlags(flags)
	flags.Func("urls", "addresses to listen on, divided by semicolons; port 0 is a free one", c.setAddresses)
	flags.StringVar(&c.redis, "redis", "", "host:port of the Redis that several nodes share")
	flags.StringVar(&c.prefix, "prefix", "", "what every Redis channel begins with")
	flags.Func("detailed", "true: clients see the text of every error", func(s string) (err error) {
		c.detailed, err = strconv.ParseBool(strings.ToLower(s))
		return err
	})
	flags.Func("legacy-polling", "true: a poll of another user is a refresh", func(s string) (err error) {
		c.legacyPolling, err = strconv.ParseBool(strings.ToLower(s))
		return err
	})
	flags.Func("stamps", "true: messages on Redis carry the time when they were sent", func(s string) (err error) {
		c.stamps, err = strconv.ParseBool(strings.ToLower(s))
		return err
	})
	flags.Func("log", "log to standard error from this .NET LogLevel on", c.setLog)
	flags.IntVar(&c.maximumMessage, "max-message", 32<<10, "bytes of the largest hub message")
	flags.IntVar(&c.parallel, "parallel", 1, "calls of one client that run at the same time")
	flags.IntVar(&c.statefulBuffer, "stateful-buffer", 0, "bytes kept for a client that may reconnect")
	flags.IntVar(&c.nodes, "nodes", 1, "nodes of a fleet behind a balancer that gives each request to a random one; more than 1 need --redis")
	flags.Func("direct", "true: the nodes pass requests on directly, not over Redis", func(s string) (err error) {
		c.direct, err = strconv.ParseBool(strings.ToLower(s))
		return err
	})
	flags.StringVar(&c.refusals, "refusals", "", "file to which a byte is added for each answer of 503")
	flags.Func("metrics", "true: measure what server/otel measures, with OpenTelemetry's SDK", func(s string) (err error) {
		c.metrics, err = strconv.ParseBool(strings.ToLower(s))
		return err
	})
	for name, d := range map[string]*time.Duration{
		"redis-wait-ms":         &c.redisWait,
		"client-timeout-ms":     &c.clientTimeout,
		"keepalive-ms":          &c.keepAlive,
		"handshake-timeout-ms":  &c.handshakeTimeout,
		"poll-timeout-ms":       &c.pollTimeout,
		"disconnect-timeout-ms": &c.disconnect,
	} {
		flags.Func(name, "milliseconds", func(s string) error {
			ms, err := strconv.ParseFloat(s, 64)
			*d = time.Duration(ms * float64(time.Millisecond))
			return err
		})
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if c.azure.ConnectionString != "" && c.redis != "" {
		return nil, errors.New("--azure goes without --redis: the service reaches all clients")
	}
	if c.keepAlive >= clientTimeout && c.clientTimeout == 0 {
		c.clientTimeout = 2 * c.keepAlive // a hub refuses a ping interval longer than its client timeout
	}
	if c.addresses == nil {
		c.addresses = []string{"127.0.0.1:5000"} // as ASP.NET Core
	}
	return c, nil
}

func (c *config) setAddresses(urls string) error {
	for one := range strings.SplitSeq(urls, ";") {
		u, err := url.Parse(one)
		if err != nil {
			return err
		}
		if u.Scheme != "http" || u.Hostname() == "" {
			return fmt.Errorf("%q is no http address", one)
		}
		port := u.Port()
		if port == "" {
			port = "80"
		}
		c.addresses = append(c.addresses, net.JoinHostPort(u.Hostname(), port))
	}
	return nil
}

// logLevels are the names of .NET's LogLevel.
var logLevels = map[string]slog.Level{
	"trace":       slog.LevelDebug - 4,
	"debug":       slog.LevelDebug,
	"information": slog.LevelInfo,
	"warning":     slog.LevelWarn,
	"error":       slog.LevelError,
	"critical":    slog.LevelError + 4,
}

func (c *config) setLog(level string) error {
	l, ok := logLevels[strings.ToLower(level)]
	if !ok {
		return errors.New("must be Trace, Debug, Information, Warning, Error or Critical")
	}
	c.logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
	return nil
}
