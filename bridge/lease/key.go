package lease

import (
	"encoding/hex"
	"strings"
)

// The keys of the bucket. What varies is escaped.
const (
	formatKey    = "format"
	memberPrefix = "member." // and the instance: a memberRecord
	listPrefix   = "nodes."  // and the instance: a listRecord
	leasePrefix  = "node."   // and the node: a leaseRecord
)

// escape makes a name part of a key: all but letters, digits, - and _ becomes =XX.
// Different names stay different.
func escape(name string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(name))
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'=', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// unescape is the reverse. It takes only what escape has made.
func unescape(key string) (name string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c == '=' && i+2 < len(key) {
			if raw, err := hex.DecodeString(key[i+1 : i+3]); err == nil {
				c, i = raw[0], i+2
			}
		}
		b.WriteByte(c)
	}
	name = b.String()
	return name, name != "" && escape(name) == key
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
