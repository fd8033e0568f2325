// Package bridge publishes what many Asterisk servers send on a message broker,
// and takes actions for them from it: one process holds the connections, and any
// number of services listen.
//
// Each node's events, gaps and states become Records. They are written to a spool
// on disk first (package spool) and published from there in order, so that a
// broker that is away, or the death of the process, loses nothing that the spool
// has. A Broker takes them: package jetstream is NATS JetStream, and
// package embedded a server for it in this process.
//
//	b, err := bridge.New(cluster, broker, bridge.Options{Dir: "/var/lib/ami-bridge"})
//	...
//	err = b.Run(ctx) // runs the cluster as well, and ends it
//
// Requests for actions come the other way; Options.Allow says which. With
// Options.Leases several processes share the nodes (package lease).
package bridge
