package correlate

import (
	"crypto/rand"
	"encoding/hex"
	"hash/fnv"
)

// An ActionID is {node}:{instance}:{sequence} in at most 64 bytes. Asterisk
// formats it into fixed buffers and corrupts the framing of its answer when it
// is longer (ConfbridgeList from 68 bytes on).
const (
	idMost       = 64
	sequenceMost = 20 // digits of a uint64
	instanceSize = 6  // random bytes; twice as many digits
	nodeMost     = idMost - sequenceMost - 2*instanceSize - len("::")
	hashSize     = 8 // digits of the hash of a node key that is cut
)

// NewInstance returns what tells the ActionIDs of this client from those of
// every other client in every process.
func NewInstance() string {
	var b [instanceSize]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the process instead
	return hex.EncodeToString(b[:])
}

// Prefix returns what stands before the sequence number. A node key that is too
// long is cut and keeps a hash of the whole, so that keys with a common start
// stay apart.
func Prefix(node, instance string) string {
	if len(node) > nodeMost {
		h := fnv.New32a()
		_, _ = h.Write([]byte(node)) // never fails
		node = node[:nodeMost-hashSize-1] + "~" + hex.EncodeToString(h.Sum(nil))
	}
	return node + ":" + instance + ":"
}
