// Package routers shows a hub behind the routers and the middleware that Go
// apps have, in every transport. It is a module of its own, so that the library
// does not require them; interop/modules runs its tests.
package routers
