// Package storm measures what a node's running traffic notices when the clients
// of another one come to it at once, with an Admission and without. docs/storm.md
// has figures and the command. It has tests only.
package storm
