// Package angular tests the page of cmd/demo/angular in a browser: two nodes,
// one Redis, and a node that is killed.
package angular
