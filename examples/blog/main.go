// Blog is a small app to copy: authors publish posts over HTTP, and readers of a
// post see its comments at once, on however many nodes. README.md has the way in.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/server"
)

func main() {
	token := flag.String("token", "", "print a token for this user, signed with JWT_KEY, and end")
	role := flag.String("role", "", "with -token: the user's role; author may publish")
	flag.Parse()
	if err := run(context.Background(), os.Getenv, *token, *role); err != nil {
		slog.Error("blog has ended", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, getenv func(string) string, token, role string) error {
	if token != "" {
		text, err := newToken(getenv("JWT_KEY"), token, role)
		fmt.Println(text)
		return err
	}
	a, err := newApp(getenv)
	if err != nil {
		return err
	}
	return errors.Join(a.node.ListenAndServe(ctx), a.close())
}

// app is one node. Its hub and backplane are all that it has in memory.
type app struct {
	authenticate func(*http.Request) (server.User, error)
	redis        *redis.Client    // nil without REDIS_URL: this node is alone
	bus          *backplane.Redis // nil likewise
	hub          *server.Hub
	node         *server.Node
}

func newApp(getenv func(string) string) (*app, error) {
	a := &app{}
	if err := a.build(getenv); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *app) build(getenv func(string) string) (err error) {
	if a.authenticate, err = authentication(getenv); err != nil {
		return err
	}
	opts := &server.Options{Authenticate: a.authenticate, Methods: rights}
	opts.Endpoint.CloseOnAuthenticationExpiration = true
	if origins := getenv("ALLOWED_ORIGINS"); origins != "" {
		opts.Endpoint.AllowedOrigins = strings.Split(origins, ",")
	}
	mux := http.NewServeMux()
	if opts.Observer, err = telemetry(mux); err != nil {
		return err
	}
	a.node = &server.Node{Server: &http.Server{
		Addr: cmp.Or(getenv("ADDR"), "127.0.0.1:8080"), Handler: mux,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
	}}
	if url := getenv("REDIS_URL"); url != "" {
		if err := a.connect(url); err != nil {
			return err
		}
		opts.LifetimeManager = a.bus
		a.node.Checks = append(a.node.Checks, a.bus.Check)
	}
	if a.hub, err = server.NewHub(Blog{}, opts); err != nil {
		return err
	}
	a.node.Hubs = []server.Drainer{a.hub}
	server.Mount(mux, "/blog", a.hub)
	mux.HandleFunc("POST /api/posts/{id}/publish", a.forAuthors(a.publish))
	mux.Handle("GET /healthz", a.node.Live())
	mux.Handle("GET /readyz", a.node.Ready())
	return nil
}

// connect joins the other nodes. It does not wait for Redis: see /readyz.
func (a *app) connect(url string) error {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	a.redis = redis.NewClient(opts)
	a.bus, err = backplane.New(a.redis, &backplane.Options{HubName: "Blog", ChannelPrefix: "Blog:"})
	return err
}

// publish tells all clients of all nodes that there is a post.
func (a *app) publish(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		http.Error(w, "the id of a post is a number", http.StatusBadRequest)
		return
	}
	if err := PostPublished.Send(r.Context(), a.hub.Clients().All(), id, r.FormValue("title")); err != nil {
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// close ends what the node does not: the connections to Redis.
func (a *app) close() error {
	var errs []error
	if a.bus != nil {
		errs = append(errs, a.bus.Close())
	}
	if a.redis != nil {
		errs = append(errs, a.redis.Close())
	}
	return errors.Join(errs...)
}

// post is the group of those who read a post.
func post(id int) string { return "post " + strconv.Itoa(id) }
