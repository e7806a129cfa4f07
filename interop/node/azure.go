package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"strings"
	"time"

	"github.com/hubwire/hubwire/azure"
	"github.com/hubwire/hubwire/server"
)

// addAzureFlags adds the flags of interop/azure/node, the ASP.NET Core app with
// AddAzureSignalR.
func (c *config) addAzureFlags(flags *flag.FlagSet) {
	o := &c.azure
	flags.StringVar(&o.ConnectionString, "azure", "", "connection string of the service that has the clients")
	flags.StringVar(&o.ApplicationName, "application", "", "what the hub's name at the service begins with; empty: a name that no other node has")
	flags.IntVar(&o.InitialConnections, "connections", 2, "service connections")
	flags.Func("shutdown", "Off, WaitForClientsClose or MigrateClients", func(s string) (err error) {
		o.Shutdown.Mode, err = oneOf(s, map[string]azure.ShutdownMode{
			"off": azure.ShutdownOff, "waitforclientsclose": azure.ShutdownWaitForClients, "migrateclients": azure.ShutdownMigrateClients,
		})
		return err
	})
	flags.Func("sticky", "Preferred or Required", func(s string) (err error) {
		o.Sticky, err = oneOf(s, map[string]azure.StickyMode{
			"disabled": azure.StickyOff, "preferred": azure.StickyPreferred, "required": azure.StickyRequired,
		})
		return err
	})
}

func oneOf[T any](name string, values map[string]T) (value T, err error) {
	value, ok := values[strings.ToLower(name)]
	if !ok {
		err = errors.New("no such value")
	}
	return value, err
}

// newHub returns the hub, behind the service if there is one, which has then accepted
// it.
func newHub(c *config, hub *TestHub, opts *server.Options) (*server.Hub, error) {
	o := c.azure
	if o.ConnectionString == "" {
		return server.NewHub(hub, opts)
	}
	if o.ApplicationName == "" {
		o.ApplicationName = "n" + strings.ToLower(rand.Text())
	}
	h, err := azure.NewHub(hub, &o, opts)
	if err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(context.Background(), serviceTime)
	defer cancel()
	for azure.Health(h) != nil {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ready.Done():
			return nil, errors.Join(errors.New("the service does not accept the node"), h.Shutdown(ready))
		}
	}
	return h, nil
}
