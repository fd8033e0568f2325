// Package redisstream publishes a bridge's records on Redis Streams, and keeps the
// latest state of each node in a hash. Requests for actions and leases are not
// offered over Redis: they need package jetstream.
//
// # Keys
//
//	<prefix>:events:<node>     the stream of a node's records
//	<prefix>:states            hash: node to its latest state, as JSON
//	<prefix>:last              hash: what was stored last; the broker's own
//
// A stream for each node, because a consumer group gives the entries of a stream
// to whichever consumer asks next: with all nodes in one stream the records of a
// node would be worked on side by side, out of their order. So a consumer takes
// nodes for itself, alone in the group on their streams, and nodes are spread over
// consumers. Each stream has its own bound, too: a storm of one node does not push
// out what others have sent. The fields of <prefix>:states are the nodes there
// are.
//
// # Fields
//
// An entry has id (bridge.Record.ID), node, epoch, seq, kind, name, time (RFC
// 3339, UTC), instance and data, the payload as it is. The entry's own ID is the
// server's.
//
// # Delivery
//
// A record that Publish has confirmed is stored, once, and the records of a node
// are in their order. One whose confirmation got lost is offered again, however
// much later: a script on the server stores it only if its seq is beyond that of
// the last record of its instance's hold of the node, which is in <prefix>:last
// for the latest 10,000 holds. Both are written as one, so they cannot differ
// unless somebody else deletes keys, or the server evicts them.
//
// How much a confirmation is worth is the server's configuration: with "appendonly
// yes" and "appendfsync always" it has synced its file before it answers; with
// "everysec" the last second or two may be lost when its machine dies, and without
// a file all is when it dies itself. A failover to a replica loses what that had not received.
//
// # Clusters
//
// The script writes several keys, which must be in one slot: a Prefix as "{ami}"
// makes them so. The broker does not follow redirections: its URL must lead to the
// node that has the slot.
package redisstream
