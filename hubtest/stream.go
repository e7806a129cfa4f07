package hubtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/hubwire/hubwire/internal/hubclient"
)

// A Stream is what a hub method streams to the client. One goroutine may use it.
type Stream struct {
	client *Client
	method string
	call   *hubclient.Call
	err    error
}

// Stream calls a method of the hub that streams. Items are received whether or
// not Next is called.
func (c *Client) Stream(method string, args ...any) *Stream {
	c.t.Helper()
	s, err := c.stream(method, args)
	if err != nil {
		c.t.Fatalf("hubtest: %s: %v", method, err)
	}
	return s
}

func (c *Client) stream(method string, args []any) (*Stream, error) {
	plain, uploads := split(args)
	call, err := c.client().Stream(method, plain, uploads...)
	if err != nil {
		return nil, publicError(err)
	}
	return &Stream{client: c, method: method, call: call}, nil
}

// Next waits for an item and decodes it into the pointer item. It reports false
// at the end; see Err.
func (s *Stream) Next(item any) bool {
	if s.err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.client.config.patience)
	defer cancel()
	ok, err := s.call.Next(ctx, item)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w to %s within %v", ErrNoAnswer, s.method, s.client.config.patience)
	}
	s.err = publicError(err)
	return ok && err == nil
}

// Err is why the stream has ended: nil at its end, else as of Client.Invoke.
func (s *Stream) Err() error { return s.err }

// Cancel tells the server that no more items are wanted. Those that are on their
// way still come, and then the end.
func (s *Stream) Cancel() {
	_ = s.call.Cancel() // Next sees a connection that has ended
}

// Items calls a method of the hub that streams and yields its items, and at last
// the error, if there is one. Leaving the loop cancels the stream.
//
//	for n, err := range hubtest.Items[int](c, "Countdown", 3) { ... }
func Items[T any](c *Client, method string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		s, err := c.stream(method, args)
		if err != nil {
			yield(none, err)
			return
		}
		for {
			var item T
			if !s.Next(&item) {
				break
			}
			if !yield(item, nil) {
				s.Cancel()
				return
			}
		}
		if s.err != nil {
			yield(none, s.err)
		}
	}
}

// List calls a method of the hub that streams and returns all of its items. An
// error fails the test.
func List[T any](c *Client, method string, args ...any) []T {
	c.t.Helper()
	var list []T
	for item, err := range Items[T](c, method, args...) {
		if err != nil {
			c.t.Fatalf("hubtest: %s, after %d items: %v", method, len(list), err)
		}
		list = append(list, item)
	}
	return list
}

// split takes the streams out of arguments.
func split(args []any) (plain []any, uploads []hubclient.Upload) {
	plain = []any{}
	for _, arg := range args {
		if upload := uploadOf(arg); upload != nil {
			uploads = append(uploads, upload)
		} else {
			plain = append(plain, arg)
		}
	}
	return plain, uploads
}

// uploadOf returns arg as a stream, or nil if it is none.
func uploadOf(arg any) hubclient.Upload {
	v := reflect.ValueOf(arg)
	switch {
	case !v.IsValid():
		return nil
	case v.Kind() == reflect.Chan && v.Type().ChanDir()&reflect.RecvDir != 0:
		return func(stop <-chan struct{}) iter.Seq2[any, error] { return received(v, stop) }
	case v.Kind() == reflect.Func && v.Type().CanSeq2() && v.Type().In(0).In(1) == reflect.TypeFor[error]():
		return func(<-chan struct{}) iter.Seq2[any, error] {
			return func(yield func(any, error) bool) {
				for item, err := range v.Seq2() {
					failure, _ := err.Interface().(error)
					if !yield(item.Interface(), failure) {
						return
					}
				}
			}
		}
	case v.Kind() == reflect.Func && v.Type().CanSeq():
		return func(<-chan struct{}) iter.Seq2[any, error] {
			return func(yield func(any, error) bool) {
				for item := range v.Seq() {
					if !yield(item.Interface(), nil) {
						return
					}
				}
			}
		}
	}
	return nil
}

// received yields what comes from a channel until stop is closed.
func received(channel reflect.Value, stop <-chan struct{}) iter.Seq2[any, error] {
	cases := []reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: channel},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(stop)},
	}
	return func(yield func(any, error) bool) {
		for {
			at, item, ok := reflect.Select(cases)
			if at == 1 || !ok || !yield(item.Interface(), nil) {
				return
			}
		}
	}
}
