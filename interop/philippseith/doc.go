// Package philippseith is a module of its own for what needs
// github.com/philippseith/signalr, so that the library does not require it:
// goclient is its client on our hubs, peer its servers on our Redis.
// interop/modules runs the tests.
package philippseith
