// Package members is what the lifetime managers of one process and of a
// backplane have in common: sets of connections (Set), and pending invocations
// of clients (Results).
package members
