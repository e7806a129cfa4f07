// Package routers shows a hub behind the routers, the middleware and the server
// settings that Go apps have, in every transport: what works, and what becomes of
// the rest. docs/routers.md has its snippets from here. It is a module of its own, so that the library
// does not require them; interop/modules runs its tests.
package routers
