package server

import "context"

// A ClientMethod names a method of the clients together with the types of its
// arguments, so that the compiler checks both:
//
//	var ReceiveMessage = server.ClientMethod2[string, string]("ReceiveMessage")
//
//	err := ReceiveMessage.Send(ctx, hub.Clients().All(), user, text)
//
// The digit is the number of arguments. A ClientFunction is a method of one
// client that answers with a result; it waits as Invoke does. Package hubgen
// writes the other side of them in TypeScript and C#.
type ClientMethod0 string

// Send calls the method of the clients that p addresses; see ClientProxy.Send.
func (m ClientMethod0) Send(ctx context.Context, p ClientProxy) error {
	return p.Send(ctx, string(m))
}

// ClientMethod1 is a ClientMethod0 with 1 argument.
type ClientMethod1[A any] string

// Send calls the method of the clients that p addresses; see ClientProxy.Send.
func (m ClientMethod1[A]) Send(ctx context.Context, p ClientProxy, a A) error {
	return p.Send(ctx, string(m), a)
}

// ClientMethod2 is a ClientMethod0 with 2 arguments.
type ClientMethod2[A, B any] string

// Send calls the method of the clients that p addresses; see ClientProxy.Send.
func (m ClientMethod2[A, B]) Send(ctx context.Context, p ClientProxy, a A, b B) error {
	return p.Send(ctx, string(m), a, b)
}

// ClientMethod3 is a ClientMethod0 with 3 arguments.
type ClientMethod3[A, B, C any] string

// Send calls the method of the clients that p addresses; see ClientProxy.Send.
func (m ClientMethod3[A, B, C]) Send(ctx context.Context, p ClientProxy, a A, b B, c C) error {
	return p.Send(ctx, string(m), a, b, c)
}

// ClientMethod4 is a ClientMethod0 with 4 arguments.
type ClientMethod4[A, B, C, D any] string

// Send calls the method of the clients that p addresses; see ClientProxy.Send.
func (m ClientMethod4[A, B, C, D]) Send(ctx context.Context, p ClientProxy, a A, b B, c C, d D) error {
	return p.Send(ctx, string(m), a, b, c, d)
}

// ClientFunction0 names a method of a client that takes no arguments and returns an R.
type ClientFunction0[R any] string

// Invoke calls the method and returns its result; see Invoke.
func (f ClientFunction0[R]) Invoke(ctx context.Context, client SingleClient) (R, error) {
	return Invoke[R](ctx, client, string(f))
}

// ClientFunction1 names a method of a client that takes 1 argument and returns an R.
type ClientFunction1[A, R any] string

// Invoke calls the method and returns its result; see Invoke.
func (f ClientFunction1[A, R]) Invoke(ctx context.Context, client SingleClient, a A) (R, error) {
	return Invoke[R](ctx, client, string(f), a)
}

// ClientFunction2 names a method of a client that takes 2 arguments and returns an R.
type ClientFunction2[A, B, R any] string

// Invoke calls the method and returns its result; see Invoke.
func (f ClientFunction2[A, B, R]) Invoke(ctx context.Context, client SingleClient, a A, b B) (R, error) {
	return Invoke[R](ctx, client, string(f), a, b)
}

// ClientFunction3 names a method of a client that takes 3 arguments and returns an R.
type ClientFunction3[A, B, C, R any] string

// Invoke calls the method and returns its result; see Invoke.
func (f ClientFunction3[A, B, C, R]) Invoke(ctx context.Context, client SingleClient, a A, b B, c C) (R, error) {
	return Invoke[R](ctx, client, string(f), a, b, c)
}
