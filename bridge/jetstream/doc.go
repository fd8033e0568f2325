// Package jetstream publishes a bridge's records on NATS JetStream, keeps the
// latest state of each node in a key-value bucket, takes requests for actions,
// and fences a node off from the process that held it before.
//
// # Subjects
//
//	<prefix>.events.<node>.<name>      records; name is the event's, or Gap, State, Takeover
//	<prefix>.actions.<node>            requests for a node
//	<prefix>.actions.any               requests that any node may take
//
// The stream has <prefix>.events.>; the bucket, named after the stream with
// _STATES behind it, has a key for each node.
//
// Nodes and names stand in subjects and keys as they are, if they have letters,
// digits, "-", "_" and "/" only. Any other byte is written as "=" and two
// hexadecimal digits: node pbx1.example is pbx1=2Eexample. A node named "any"
// is =61ny, and an event that Asterisk would name Gap, State or Takeover has
// its first letter written in this way: those subjects are the bridge's own.
//
// # Headers
//
// A record has Nats-Msg-Id (its ID), Ami-Node, Ami-Instance, Ami-Epoch, Ami-Seq,
// Ami-Kind and Ami-Time (RFC 3339, UTC). Its payload is stored as it is.
//
// # Delivery
//
// A record that Publish has confirmed is stored. One whose confirmation got lost
// is sent again: within the stream's duplicates window the server knows it by its
// ID and stores it once; after a longer outage the records of the last window
// that was sent (at most 1024) may be there twice, and consumers know them by ID.
// Records of a node are stored in their order; the one exception is told by
// Stats.Reordered.
//
// The server confirms what it has handed to the operating system. It survives the
// death of the server, and that of the machine once the server has synced its
// files (sync_interval, 2 minutes unless configured) or another replica has it.
//
// # Fencing
//
// The token of Fence is the stream sequence of the takeover. A record with a
// token is stored only while that takeover is the newest of its node: the server
// compares at the moment it stores, so nothing of an older holder can come behind
// a newer takeover. It binds those that publish with a token; no process may
// publish a node's records without one if another uses them.
//
// If the stream's limits have removed the takeover, the server refuses the
// holder's records as well: Publish returns ErrFenced although nobody else has
// taken the node. Fence may simply be called again, and gives a new token. Limits
// that keep a node's records for longer than one process holds it avoid that.
package jetstream
