// Package lease shares the nodes out between any number of processes: each node
// is held by one live process, the nodes are spread evenly, and they move when a
// process dies, leaves or joins.
//
// The processes meet in a key-value bucket of NATS JetStream. A process keeps one
// key of its own alive there; each node has a key that names its holder, and a
// compare-and-swap on it decides who that is. So what it costs is one small write
// for each process and third of a TTL, whatever the number of nodes.
//
// No clock of another machine is trusted, nor one of the broker. A process is
// dead for an observer if its key has not changed for a whole TTL of the
// observer's own monotonic clock, and the observer could see that it did not: it
// writes a key itself and counts only up to its last write that came back by the
// watch. The broker delivers in order, so what had been written before that one
// has been seen. After any doubt about the watch the count begins anew.
//
// Leases decide who should hold a node. For short times two processes may both
// believe that they do; what makes that harmless is the fence in the stream that
// they publish to, see bridge.Fencer.
package lease
