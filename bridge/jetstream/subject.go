package jetstream

import (
	"strings"

	"github.com/apn/ami/bridge"
)

// own are the names of the records that are not events of Asterisk.
const (
	nameGap      = "Gap"
	nameState    = "State"
	nameTakeover = "Takeover"
)

const upperHex = "0123456789ABCDEF"

// token writes a text as one token of a subject, which is a valid key of a bucket
// as well. Two texts never have the same token: "=" stands for nothing but an
// escape.
func token(s string) string {
	if s == "" {
		return "="
	}
	plain := 0
	for plain < len(s) && isPlain(s[plain]) {
		plain++
	}
	if plain == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	b.WriteString(s[:plain])
	for i := plain; i < len(s); i++ {
		if isPlain(s[i]) {
			b.WriteByte(s[i])
		} else {
			escape(&b, s[i])
		}
	}
	return b.String()
}

func isPlain(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '/':
		return true
	}
	return false
}

func escape(b *strings.Builder, c byte) {
	b.WriteByte('=')
	b.WriteByte(upperHex[c>>4])
	b.WriteByte(upperHex[c&15])
}

// reserved is token, but for a text that must not be taken for one of ours.
func reserved(s string) string {
	var b strings.Builder
	escape(&b, s[0])
	b.WriteString(s[1:])
	return b.String()
}

// nodeToken is the token of a node.
func nodeToken(node string) string {
	if node == anyNode {
		return reserved(node)
	}
	return token(node)
}

// nameToken is the token of a record's name.
func nameToken(r *bridge.Record) string {
	switch r.Kind {
	case bridge.KindGap:
		return nameGap
	case bridge.KindState:
		return nameState
	case bridge.KindTakeover:
		return nameTakeover
	}
	switch r.Name {
	case nameGap, nameState, nameTakeover:
		return reserved(r.Name)
	}
	return token(r.Name)
}

// events is the subject of all records of all nodes.
func (o *Options) events() string { return o.Prefix + ".events.>" }

// eventsOf is the subject of all records of a node.
func (o *Options) eventsOf(node string) string { return o.Prefix + ".events." + nodeToken(node) + ".>" }

// takeovers is the subject of the takeovers of a node.
func (o *Options) takeovers(node string) string {
	return o.Prefix + ".events." + nodeToken(node) + "." + nameTakeover
}

// subject is that of a record.
func (o *Options) subject(r *bridge.Record) string {
	return o.Prefix + ".events." + nodeToken(r.Node) + "." + nameToken(r)
}

// actions is the subject of the requests for a node.
func (o *Options) actions(node string) string { return o.Prefix + ".actions." + nodeToken(node) }

// actionsAny is the subject of the requests that any node may take.
func (o *Options) actionsAny() string { return o.Prefix + ".actions." + anyNode }

const anyNode = "any"

// own reports whether a subject is one of the bridge or of the server, where an
// answer would be taken for something else: a record, a takeover, a command.
func (o *Options) own(subject string) bool {
	return strings.HasPrefix(subject, "$") || strings.HasPrefix(subject, o.Prefix+".events.") ||
		strings.HasPrefix(subject, o.Prefix+".actions.")
}
