// Package proxies has the official JavaScript client behind nginx and haproxy,
// with the least of settings and with those that are recommended, in every
// transport.
package proxies
