// Package bridge publishes what many Asterisk servers send on a message broker,
// and takes actions for them from it: one process holds the connections, and any
// number of services listen.
//
// Each node's events, gaps and states become Records. They are written to a spool
// on disk first (package spool) and published from there in order, so that a
// broker that is away, or the death of the process, loses nothing that the spool
// has. A Broker takes them: package jetstream is NATS JetStream, package
// redisstream is Redis Streams.
package bridge
