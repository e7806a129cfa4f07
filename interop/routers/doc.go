// Package routers tests a hub behind the routers, the middleware and the server
// settings that Go apps have, over every transport: what works, and how the rest
// fails. docs/routers.md has its snippets from here. It is a module of its own,
// so that the library does not require the routers; interop/modules runs its
// tests.
package routers
