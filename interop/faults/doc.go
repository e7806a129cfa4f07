// Package faults measures what is lost when Redis is lost: faults.mjs plays
// faults of Redis against any two nodes, Hubwire's or ASP.NET Core's, and prints
// the table of docs/redis.md. The test plays one of them against our node.
package faults
