// Package members is what the lifetime managers of one process and of a backplane
// have in common: sets of connections (Set), and what clients are asked for and
// have not answered yet (Results).
package members
