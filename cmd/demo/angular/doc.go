// Package angular is a page of Angular and the official JavaScript client, with
// what hubgen has written, and what builds it. The page reads config.json beside it,
// which says what nodes there are and which clients to show. interop/demo tests it
// in a browser with the demo, interop/angular with a node that is killed.
package angular
