// Package angular is a page of Angular and the official JavaScript client, what
// builds it, and the test that looks at it in a browser: two nodes, one Redis,
// and a node that is killed. The page wants /hub and /api of a node on the web
// server that serves it; ?nodes=/n1,/n2 names several nodes by paths of that
// server or by their URLs.
package angular
