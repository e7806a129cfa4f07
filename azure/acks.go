package azure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/server"
)

// lastAck numbers the messages that need an ack, over all hubs of the process.
var lastAck atomic.Int32

// acks are the messages that wait for their ack.
type acks struct {
	mu      sync.Mutex
	waiting map[int]chan acked // with room for one
}

// acked is what an ack says.
type acked struct {
	status  int
	payload []byte // empty where there is none
}

func (a *acks) add() (id int, answer chan acked) {
	id, answer = int(lastAck.Add(1)), make(chan acked, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = map[int]chan acked{}
	}
	a.waiting[id] = answer
	return id, answer
}

// take removes an id; only the first ack counts.
func (a *acks) take(id int) chan acked {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer := a.waiting[id]
	delete(a.waiting, id)
	return answer
}

func (a *acks) settle(m *wire.Ack) {
	if waiting := a.take(m.AckID); waiting != nil {
		waiting <- acked{m.Status, bytes.Clone(m.Payload)} // its bytes are the reader's
	}
}

// Errors of acks, with ASP.NET Core's types and texts. Source: testdata/azure.
func ackError(message string, id, status int) error {
	name := fmt.Sprintf("Ack-able message Microsoft.Azure.SignalR.Protocol.%sMessage(ackId: %d)", message, id)
	switch status {
	case wire.AckOK, wire.AckNotFound:
		return nil
	case wire.AckTimeout, wire.AckInternalError:
		return server.WithErrorType("TimeoutException", errors.New(name+" timed out."))
	case wire.AckForbidden:
		return server.WithErrorType("AzureSignalRException", errors.New(name+" gets error ack status Forbidden."))
	}
	return server.WithErrorType("AzureSignalRException", fmt.Errorf("%s gets error ack status %d.", name, status))
}

// ask sends the message that is made for an ack id, and waits for its ack. found is
// false if the service does not know the client, user or group.
func (p *pool) ask(ctx context.Context, key sendKey, name string, message func(ackID int) wire.Message) (found bool, err error) {
	id, a, err := p.question(ctx, key, message)
	if err != nil {
		return false, err
	}
	return a.status == wire.AckOK, ackError(name, id, a.status)
}

// question is ask for whatever the ack says; one that does not come has timed out.
func (p *pool) question(ctx context.Context, key sendKey, message func(ackID int) wire.Message) (id int, a acked, err error) {
	id, answer := p.s.acks.add()
	defer p.s.acks.take(id)
	if err := p.send(ctx, key, message(id)); err != nil {
		return id, acked{}, err
	}
	late := time.NewTimer(ackTimeout)
	defer late.Stop()
	select {
	case a := <-answer:
		return id, a, nil
	case <-late.C:
		return id, acked{status: wire.AckTimeout}, nil
	case <-ctx.Done():
		return id, acked{}, ctx.Err()
	case <-p.s.ctx.Done():
		return id, acked{}, server.ErrShutdown
	}
}

// askAll asks every endpoint that is online. It returns at the first that has found
// it; otherwise with the first error.
func (s *service) askAll(ctx context.Context, key sendKey, name string, message func(ackID int) wire.Message) error {
	pools := s.online()
	switch len(pools) {
	case 0:
		return s.errUnreachable()
	case 1:
		_, err := pools[0].ask(ctx, key, name, message)
		return s.sendError(err)
	}
	type answer struct {
		found bool
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the others are not waited for
	answers := make(chan answer, len(pools))
	for _, p := range pools {
		go func() { // it ends with ctx
			found, err := p.ask(ctx, key, name, message)
			answers <- answer{found, err}
		}()
	}
	var first error
	for range pools {
		a := <-answers
		if a.found {
			return nil
		}
		if first == nil {
			first = a.err
		}
	}
	return s.sendError(first)
}
