package azure

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/seam"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// behindGatewayWith is behindGateway for servers that shut down in a mode.
func behindGatewayWith(t *testing.T, mode ShutdownMode, hooks []func(context.Context, server.Clients), f func(b *backed)) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Minute) }) // fake: all that waits has ended
		b := newBacked(t)
		for range 2 {
			b.addServer(Options{InitialConnections: 2, Shutdown: GracefulShutdown{Mode: mode, Hooks: hooks}})
		}
		settle()
		f(b)
	})
}

// at says which of the two servers has a client.
func (b *backed) at(c *hubclient.Client) string {
	settle()
	where := ""
	for i, h := range b.hubs {
		if seam.RemoteOf(h).(*service).client(c.ID()) != nil {
			where += fmt.Sprint(i)
		}
	}
	return where
}

// clientsAt connects clients until n of them are at server 0, and returns those, and
// the others.
func (b *backed) clientsAt(n int, transport string, codec protocol.Codec) (first, second []*hubclient.Client, got map[*hubclient.Client]chan string) {
	b.Helper()
	got = map[*hubclient.Client]chan string{}
	for len(first) < n || len(second) < n {
		c, heard := b.client(1, fmt.Sprint("user ", len(got)), transport, codec)
		got[c] = heard
		if b.at(c) == "0" {
			first = append(first, c)
		} else {
			second = append(second, c)
		}
		if join := b.invoke(c, "Join", "g"); join != "<nil>" {
			b.Fatalf("Join: %s", join)
		}
	}
	return first, second, got
}

func TestClientsMigrateWhenTheirServerShutsDown(t *testing.T) {
	for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
		for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
			if transport == "ServerSentEvents" && codec.Binary() {
				continue
			}
			t.Run(transport+" "+codec.Name(), func(t *testing.T) {
				behindGatewayWith(t, ShutdownMigrateClients, nil, func(b *backed) {
					moved, stay, got := b.clientsAt(2, transport, codec)
					begin := time.Now()
					if err := b.hubs[0].Shutdown(b.ctx); err != nil {
						b.Error(err)
					}
					if took := time.Since(begin); took >= 5*time.Second {
						b.Errorf("the shutdown took %v", took)
					}
					for _, c := range append(moved, stay...) {
						if where := b.at(c); where != "1" {
							b.Errorf("a client is at %q after its server has left", where)
						}
						if echo := b.invoke(c, "Echo", "x"); echo != "x" {
							b.Errorf("Echo: %s", echo)
						}
						answer, err := server.Invoke[string](b.ctx, b.hubs[1].Clients().Client(c.ID()), "Ask", "?")
						if err != nil || answer != "well" {
							b.Errorf("a result: %q, %v", answer, err)
						}
					}
					for i, send := range []server.ClientProxy{
						b.hubs[1].Clients().Group("g"), b.hubs[1].Clients().All(), b.hubs[1].Clients().Users("user 0", "user 1", "user 2", "user 3"),
					} {
						if err := send.Send(b.ctx, "M"); err != nil {
							b.Error(err)
						}
						for c, heard := range got {
							if n := count(heard); n != 1 {
								b.Errorf("send %d reached %s %d times", i, c.ID(), n)
							}
						}
					}
					for _, c := range append(moved, stay...) {
						select {
						case <-c.Done():
							b.Errorf("a client has ended: %v", c.Err())
						default:
						}
					}
				})
			})
		}
	}
}

// What a call sends after its client was moved, and its answer, reach nobody: the
// client is another server's. So it is with the SDK.
func TestACallThatRunsWhenItsClientMovesIsCutOff(t *testing.T) {
	behindGatewayWith(t, ShutdownMigrateClients, nil, func(b *backed) {
		moved, _, _ := b.clientsAt(1, "WebSockets", protocol.JSON{})
		call, err := moved[0].Start("Wait", nil)
		if err != nil {
			b.Fatal(err)
		}
		settle()
		if err := b.hubs[0].Shutdown(b.ctx); err != nil { // it waits for the call, whose context ends
			b.Error(err)
		}
		if echo := b.invoke(moved[0], "Echo", "x"); echo != "x" || b.at(moved[0]) != "1" {
			b.Errorf("Echo: %s, at %s", echo, b.at(moved[0]))
		}
		settle()
		select {
		case <-call.Done():
			b.Error("the call was answered")
		default:
		}
	})
}

func TestAServerThatWaitsServesItsClientsUntilTheyLeave(t *testing.T) {
	left := make(chan struct{})
	hook := func(ctx context.Context, clients server.Clients) {
		if err := clients.Group("g").Send(ctx, "leaving"); err != nil {
			t.Error(err)
		}
		close(left)
	}
	behindGatewayWith(t, ShutdownWaitForClients, []func(context.Context, server.Clients){hook}, func(b *backed) {
		first, _, got := b.clientsAt(1, "WebSockets", protocol.JSON{})
		over := make(chan error, 1)
		go func() { over <- b.hubs[0].Shutdown(b.ctx) }()
		<-left
		if name := <-got[first[0]]; name != "leaving" {
			b.Errorf("the client got %s", name)
		}
		for range 4 {
			if c, _ := b.client(0, "late", "WebSockets", protocol.JSON{}); b.at(c) != "1" {
				b.Errorf("a new client is at %q", b.at(c))
			}
		}
		if echo := b.invoke(first[0], "Echo", "x"); echo != "x" || b.at(first[0]) != "0" {
			b.Errorf("Echo: %s, at %s", echo, b.at(first[0]))
		}
		select {
		case err := <-over:
			b.Errorf("the shutdown is over while there is a client: %v", err)
		default:
		}
		first[0].Close()
		if err := <-over; err != nil {
			b.Error(err)
		}
	})
}

func TestClientsThatDoNotLeaveInTimeAreClosed(t *testing.T) {
	behindGatewayWith(t, ShutdownWaitForClients, nil, func(b *backed) {
		first, _, _ := b.clientsAt(1, "WebSockets", protocol.JSON{})
		begin := time.Now()
		if err := b.hubs[0].Shutdown(b.ctx); err != nil {
			b.Error(err)
		}
		if took := time.Since(begin); took < 30*time.Second || took > 40*time.Second {
			b.Errorf("the shutdown took %v, want half a minute", took)
		}
		<-first[0].Done()
		closed := (*hubclient.CloseMessage)(nil)
		if !errors.As(first[0].Err(), &closed) || !closed.AllowReconnect {
			b.Errorf("the client ended with %v", first[0].Err())
		}
	})
}
