package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hubwire/hubwire/internal/rescue"
	"github.com/hubwire/hubwire/internal/seam"
	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// A Hub serves the methods of one Go type to SignalR clients. It is an
// http.Handler for the route clients know (say /chat) and what is below it
// (/chat/negotiate); Mount registers both. It is safe for concurrent use.
//
// A hub without connections has no goroutines: one that is no longer used needs
// no Shutdown.
type Hub struct {
	name        string
	fullName    string // see FullName
	opts        *Options
	methods     *methodTable
	chain       chain
	codecs      map[string]protocol.Codec
	manager     *hubManager
	local       bool         // manager is the one of this package: it never waits
	log         *slog.Logger // of the package
	userLog     *slog.Logger // of hub methods: no line is left out
	watch       watch
	observer    *Observer     // nil: nobody observes
	unknownTold func(CallEnd) // for calls of methods that there are not; nil: nobody wants to know
	traffic     *traffic      // nil: it is not counted
	ping        *Message
	main        *transport.Endpoint
	remote      seam.Remote // nil: clients connect here

	mu        sync.Mutex
	endpoints []*transport.Endpoint
	refuses   bool // new clients
	down      bool
	draining  atomic.Bool
	running   tasks // goroutines of connections
}

// NewHub returns a hub whose clients can call the exported methods of hub,
// which serves all of them concurrently. A nil opts means defaults. See
// NewHubFunc for a hub that keeps the state of a connection in its fields.
//
// A method takes at most one *Call first, then its arguments. An argument of
// type <-chan T or iter.Seq2[T, error] is a stream that the client sends. It
// returns nothing, a value, an error, or a value and an error; a value of type
// <-chan T, iter.Seq[T] or iter.Seq2[T, error] is streamed to the client.
// OnConnected(*Call) error and OnDisconnected(*Call, error), where they exist,
// are called around the life of each connection and cannot be called by
// clients. Names match without regard to letter case. What hub embeds counts:
// clients can call its methods, and its OnConnected is the hub's, unless it is
// a type of the standard library or of this package. MethodOptions.Hidden keeps
// an exported method from clients.
//
// The error that OnDisconnected is given is nil when the client has closed the
// connection, when the network was lost, and after Abort and Shutdown, as in
// ASP.NET Core; the log says which.
//
// NewHub returns a *HubTypeError that names every method that cannot be served,
// and why, and every option that is wrong; opts.LifetimeManager can then serve
// a hub as before. NewHub keeps a copy of opts. H should be the hub's own type:
// where it is an interface, methods are called by reflection, which is slower.
func NewHub[H any](hub H, opts *Options) (*Hub, error) {
	return newHub(&instances[H]{one: hub}, opts)
}

// MustHub is NewHub for hubs and options that are written in the program: it
// panics where NewHub returns an error.
func MustHub[H any](hub H, opts *Options) *Hub { return must(NewHub(hub, opts)) }

// NewHubFunc returns a hub with a value of its own for each connection, whose
// fields are the connection's state. create makes it before OnConnected, and all
// that the connection calls is called on it; it is released with the connection,
// after OnDisconnected. An error of create refuses the connection as one of
// OnConnected does, and OnDisconnected is then not called, nor is it for a
// connection that ends before. create may be called concurrently, for different
// connections.
//
// ASP.NET Core makes a hub for each call. Here calls of one connection share one:
// they run one after the other, unless
// Options.MaximumParallelInvocationsPerClient is more than 1, a call waits for a
// client result, or it streams. OnDisconnected does not wait for calls that are
// still running. A hub for which one of these is true guards its fields, as with
// a mutex.
//
// The rules for H and the errors are those of NewHub. H must not be an interface.
func NewHubFunc[H any](create func(call *Call) (H, error), opts *Options) (*Hub, error) {
	if create == nil {
		return nil, newHubTypeError(reflect.TypeFor[H]().String(), []error{errors.New("the function that makes the hubs is nil")})
	}
	return newHub(&instances[H]{create: create}, opts)
}

// MustHubFunc is NewHubFunc for functions and options that are written in the
// program: it panics where NewHubFunc returns an error.
func MustHubFunc[H any](create func(call *Call) (H, error), opts *Options) *Hub {
	return must(NewHubFunc(create, opts))
}

func must(h *Hub, err error) *Hub {
	if err != nil {
		panic(err)
	}
	return h
}

func newHub[H any](hub *instances[H], opts *Options) (*Hub, error) {
	if opts == nil {
		opts = &Options{}
	}
	table, err := newMethodTable(hub, opts.Methods)
	errs := append([]error{err}, opts.check()...)
	if err := newHubTypeError(hub.name(), errs); err != nil {
		return nil, err
	}
	h := serveMethods(table, opts)
	if m := opts.LifetimeManager; m != nil {
		if other := managers.bind(m, h); other != nil { // since opts.check has asked
			return nil, newHubTypeError(hub.name(), []error{errManagerTaken(other)})
		}
	}
	h.manager.keepSessions(h.opts.Sessions)
	return h, nil
}

// serveMethods makes a hub of methods and options that have been checked.
func serveMethods(methods *methodTable, opts *Options) *Hub {
	o := opts.withDefaults()
	h := &Hub{
		name:    methods.hubName,
		opts:    o,
		methods: methods,
		chain:   newChain(methods, o.Filters),
		codecs:  make(map[string]protocol.Codec, len(o.Protocols)),
		userLog: rescue.Logger(o.Logger).With("hub", methods.hubName),
		ping:    NewMessage(&protocol.Ping{}),
	}
	h.fullName = strings.TrimPrefix(methods.typeName, "*")
	h.log = rescue.Limited(h.userLog)
	h.observer = guardedObserver(o.Observer, h.log)
	_, h.local = o.LifetimeManager.(*localManager)
	codecs := make([]protocol.Codec, len(o.Protocols))
	for i, codec := range o.Protocols {
		codecs[i], _ = guarded(codec)
		h.codecs[strings.ToLower(codecs[i].Name())] = codecs[i]
	}
	h.manager = newHubManager(o.LifetimeManager, codecs)
	for _, m := range methods.exact {
		m.pool.reuse = m.canReuse() && h.manager.standard && len(o.Filters) == 0 && !h.traces()
	}
	h.watch.tasks = &h.running
	h.observeMethods()
	h.countTraffic(codecs)
	h.main = h.newEndpoint(o.Endpoint)
	if h.observer != nil && h.observer.Hub != nil {
		h.observer.Hub(h)
	}
	return h
}

// ServeHTTP serves the hub's route with Options.Endpoint.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.main.ServeHTTP(w, r) }

// Endpoint returns a handler that serves the same hub, its clients and groups
// on another route with other transport options. Connections belong to the
// endpoint at which they negotiated. After Shutdown it answers 503.
//
// Endpoint panics with a *HubTypeError if opts are wrong.
func (h *Hub) Endpoint(opts EndpointOptions) http.Handler {
	if err := newHubTypeError(h.methods.typeName, opts.check("EndpointOptions.")); err != nil {
		panic(err)
	}
	return h.newEndpoint(opts)
}

func (h *Hub) newEndpoint(opts EndpointOptions) *transport.Endpoint {
	t := opts.transportOptions(h.opts.Authenticate, h.log)
	t.SlowClientTimeout, t.Limit = h.opts.SlowClientTimeout, h.opts.QueueLimit.limit
	joinCluster(&t, h.opts.LifetimeManager)
	e := transport.NewEndpoint(t, func(c *transport.Conn) transport.App { return (*hubApp)(newConnection(h, c, opts)) })
	h.mu.Lock()
	if h.remote != nil {
		e.SetElsewhere(elsewhereOf(h.remote, opts))
	}
	down, refuses := h.down, h.refuses
	if !down {
		h.endpoints = append(h.endpoints, e)
	}
	h.mu.Unlock()
	if refuses {
		e.Refuse()
	}
	if down { // it has no connections to wait for, and takes none
		_ = e.Shutdown(context.Background())
	}
	return e
}

// FullName is the name of the hub's Go type with that of its package, as in
// "blog.PostHub". Metrics and traces have it.
func (h *Hub) FullName() string { return h.fullName }

// Clients addresses the clients of the hub from outside any call.
func (h *Hub) Clients() Clients { return Clients{h.manager} }

// Groups adds connections to groups from outside any call.
func (h *Hub) Groups() Groups { return Groups{h.manager, h.opts.MaximumGroupNameLength} }

// Shutdown refuses new connections, tells every client that it may reconnect
// elsewhere (a Close message with allowReconnect, close frame 1000), and waits
// until all have gone and OnDisconnected has returned for each. When ctx is
// done first, it cuts what is left and returns ctx.Err(). The hub cannot be
// used afterwards: sends and changes of groups return ErrShutdown. Call it
// before http.Server.Shutdown, which does not know hijacked connections, as a
// Node does. Drain does the same without haste.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.down = true
	endpoints := h.endpoints
	h.mu.Unlock()
	h.leave(ctx, false)
	errs := make([]error, len(endpoints))
	var wg sync.WaitGroup
	for i, e := range endpoints {
		wg.Go(func() { errs[i] = e.Shutdown(ctx) })
	}
	wg.Wait()
	errs = append(errs, h.running.wait(ctx)) // methods may outlive their connections
	h.manager.down.Store(true)
	if h.remote != nil {
		h.remote.Close()
	}
	managers.release(h.opts.LifetimeManager, h)
	return errors.Join(errs...)
}
