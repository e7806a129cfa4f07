// Package angular is a page of Angular and the official JavaScript client, and
// the test that looks at it in a browser: two nodes, one Redis, and a node that
// is killed. By hand: npm ci && npx ng build writes dist/, which any web server
// can serve whose /hub and /api are a node; ?nodes=/n1,/n2 names several nodes
// by the paths under which that server passes them on.
package angular
