// Package jetstream publishes the records of a bridge to NATS JetStream, and takes
// requests over NATS.
//
// # Subjects
//
//	ami.events.<node>.<kind>.<name>   the records, in one stream: ami.events.pbx1.event.Hangup,
//	                                  ami.events.pbx1.gap.Gap, ami.events.pbx1.state.State
//	ami.do.<node>                     requests for a node; answered by request and reply
//	ami.do.any                        requests for any node
//
// ami is Options.Prefix. In a node or a name each byte but letters, digits, - and _
// is written as = and two hexadecimal digits, as a subject has no room for it:
// pbx1.example becomes pbx1=2Eexample.
//
// The latest state of each node is in a key-value bucket, by the node as it stands
// in the subjects.
//
// # Delivery
//
// A batch of records is stored as a whole or not at all (atomic publish, NATS 2.12
// and later), so that none overtakes another. Each message has the record's ID as
// its Nats-Msg-Id: within the stream's duplicate window, two minutes unless it was
// set otherwise, the server drops what comes twice. Behind that window consumers
// know duplicates by the ID.
//
// # The fence
//
// The sequence of a node's last takeover in the stream is the token of who holds
// the node. The server compares it with each batch.
package jetstream
