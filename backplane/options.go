package backplane

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/protocol"
)

// defaultPublishTimeout is that of Options and BusOptions.
const defaultPublishTimeout = 5 * time.Second

// Options configures the backplane of one hub. For every duration, zero means
// the default.
type Options struct {
	// HubName is what nodes of one hub have in common. Where ASP.NET Core nodes
	// share the Redis it is the full name of the hub's class, with namespace:
	// "BlogApp.Hubs.PostHub". It must not be empty.
	HubName string

	// ChannelPrefix is put before the name of every channel, as it is: a
	// separator must be part of it, as in "BlogApp:SignalR:". Apps with
	// different prefixes do not get each other's messages; Redis databases do
	// not separate them.
	ChannelPrefix string

	// ServerName tells this node from all others; two hubs of one process need
	// two names. Empty means the machine's name and 32 random hex digits, as in
	// ASP.NET Core.
	ServerName string

	// Protocols are the hub protocols that any client of any node may speak;
	// each message is published in all of them. Nil means JSON and MessagePack.
	Protocols []protocol.Codec

	// AckTimeout is how long AddToGroup and RemoveFromGroup wait for the node
	// that owns a connection. Nobody answers for a connection that does not
	// exist. Zero means 30 seconds; negative means as long as the context.
	AckTimeout time.Duration

	// ClientResultTimeout is how long a client of another node may take to
	// return its result; if that node dies, no result ever comes. Zero means
	// one minute; negative means as long as the context.
	ClientResultTimeout time.Duration

	// PublishTimeout is how long a send, a join or a connecting client waits
	// for a Redis that is away; the context of a send or join may end it
	// earlier. Zero means 5 seconds, as in ASP.NET Core; negative means not at
	// all, and 5 seconds for the answer of one that is there.
	PublishTimeout time.Duration

	// OnStateChange is called for each change of Health, one after the other.
	// It must not block, nor call Close; a panic is logged. Nil means that
	// nothing is called.
	OnStateChange func(Health)

	// AnyNode lets every node serve any request of every connection, so that the
	// balancer in front needs no sticky sessions; see the type. Nil means that a
	// node serves the connections that were negotiated with it.
	AnyNode *AnyNode

	// Presence lets every node know who is connected to any; see Redis.Fleet. Nil
	// means that nodes tell each other nothing of that.
	Presence *PresenceOptions

	// Observer is told what the backplane does, for metrics; see package
	// backplane/otel. With Observer.Delivered, messages carry the time when they
	// were sent. Nil means that nobody is told.
	Observer *Observer

	// Logger receives the log. Nil means slog.Default(). Changes of state are
	// logged once each.
	Logger *slog.Logger
}

func (o *Options) withDefaults() (*Options, error) {
	c := Options{}
	if o != nil {
		c = *o
	}
	if c.HubName == "" {
		return nil, errors.New("backplane: Options.HubName is empty")
	}
	for name, text := range map[string]string{"HubName": c.HubName, "ChannelPrefix": c.ChannelPrefix, "ServerName": c.ServerName} {
		if !utf8.ValidString(text) {
			return nil, fmt.Errorf("backplane: Options.%s %q is not UTF-8, as other nodes read it", name, text)
		}
	}
	if c.ServerName == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "node"
		}
		id := make([]byte, 16)
		_, _ = rand.Read(id) // it never fails
		c.ServerName = host + "_" + hex.EncodeToString(id)
	}
	if c.Protocols == nil {
		c.Protocols = []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}}
	}
	if len(c.Protocols) == 0 {
		return nil, errors.New("backplane: Options.Protocols is empty")
	}
	names := map[string]bool{}
	for _, codec := range c.Protocols {
		if v := reflect.ValueOf(codec); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
			return nil, fmt.Errorf("backplane: Options.Protocols has a nil codec (%T)", codec)
		}
		if codec.Name() == wire.ExtensionName {
			return nil, fmt.Errorf("backplane: Options.Protocols has a codec of the name %q, which nodes use among themselves", wire.ExtensionName)
		}
		if names[codec.Name()] {
			return nil, fmt.Errorf("backplane: Options.Protocols has two codecs of the name %q", codec.Name())
		}
		names[codec.Name()] = true
	}
	for _, d := range []struct {
		value  *time.Duration
		preset time.Duration
	}{{&c.AckTimeout, 30 * time.Second}, {&c.ClientResultTimeout, time.Minute}, {&c.PublishTimeout, defaultPublishTimeout}} {
		if *d.value == 0 {
			*d.value = d.preset
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.AnyNode != nil {
		if err := c.AnyNode.check(); err != nil {
			return nil, err
		}
	}
	return &c, nil
}
