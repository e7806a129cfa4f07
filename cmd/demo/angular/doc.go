// Package angular is a page of Angular and the official JavaScript client, and
// what builds it. The page needs /hub and /api of a node on the web server that
// serves it; ?nodes=/n1,/n2 names several nodes by paths of that server or by
// their URLs. interop/angular tests it in a browser.
package angular
