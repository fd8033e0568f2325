package config

import (
	"fmt"
	"strings"

	"github.com/apn/ami/internal/setting"
)

// A field is a key that may stand in a file, and what its value may be.
type field struct {
	setting.Setting          // Min and Max of a text bound its length, if Max is not 0
	choices         []string // of a text; nil for any
	fallback        string   // of a text: its default
	secret          bool     // the value is never shown
	name            bool     // of something with a secret, in whose place that itself may stand: it is not shown as a value
	node            bool     // of a node alone: it has no place under defaults
}

// nodeFields are the keys of a node. All but those of a node alone may stand
// under defaults as well. ConfigError.Key names them by Option.
var nodeFields = []*field{
	{Setting: text("Node.Key", "key", 1, setting.MaxKey, "names the node everywhere: letters, digits and . _ - @ /"), node: true},
	{Setting: text("Node.Addr", "addr", 1, 0, "host:port, or host alone for 5038, with TLS 5039"), node: true},
	{Setting: text("Node.Username", "username", 1, setting.MaxLogin, "that of a user in manager.conf")},
	{Setting: text("Node.Secret", "secret", 1, setting.MaxLogin, "the secret itself; better a file or the environment"), secret: true},
	{Setting: text("", "secret.file", 1, 0, "a file with the secret, read at each login"), name: true},
	{Setting: text("", "secret.env", 1, 0, "a variable of the environment with the secret, read when the file is loaded"), name: true},
	{Setting: text("Node.Auth", "auth", 0, 0, "how to log in"), choices: []string{"plain", "md5"}, fallback: "plain"},
	{Setting: text("Node.Events", "events", 1, 0, "the event mask at login: on, off, or classes such as call,agent"), fallback: "on"},
	{Setting: setting.Setting{Path: "tls.enabled", Kind: setting.Flag, Doc: "true if there is any other key of tls"}},
	{Setting: text("TLSFiles.CA", "tls.ca", 1, 0, "PEM file of the authorities to trust in place of the system's")},
	{Setting: text("TLSFiles.Certificate", "tls.certificate", 1, 0, "PEM file of the client's certificate; with tls.key")},
	{Setting: text("TLSFiles.Key", "tls.key", 1, 0, "PEM file of its key"), name: true},
	{Setting: text("", "tls.server_name", 1, 0, "the name in the server's certificate, if it is not the host of addr")},
	{Setting: text("TLSFiles.MinVersion", "tls.min_version", 0, 0, "the lowest version of TLS"), choices: []string{"1.2", "1.3"}, fallback: "1.2"},
	{Setting: setting.Setting{Option: "Weights", Path: "weight", Kind: setting.Count, Default: 1, Min: 1, Max: setting.MaxWeight, Doc: "share when more than one node has events to deliver"}, node: true},
}

func text(option, path string, shortest, longest int64, doc string) setting.Setting {
	return setting.Setting{Option: option, Path: path, Kind: setting.Text, Min: shortest, Max: longest, Doc: doc}
}

// optionFields are the options of the client and the cluster.
var optionFields = func() []*field {
	fields := make([]*field, len(setting.Table))
	for i, s := range setting.Table {
		fields[i] = &field{Setting: s, secret: setting.ID(i) == setting.RedactValues}
	}
	return fields
}()

// defaultFields are those of nodeFields that a node may inherit.
var defaultFields = func() (fields []*field) {
	for _, f := range nodeFields {
		if !f.node {
			fields = append(fields, f)
		}
	}
	return fields
}()

// A branch is a place in a file: a value, a mapping with keys below it, a list of
// mappings, or, as secret is, a value or a mapping.
type branch struct {
	field *field
	keys  []string // in the order of the tables
	below map[string]*branch
	items *branch
}

// root is the whole file.
var root = func() *branch {
	b := grow(nil, optionFields)
	b.add("defaults", grow(nil, defaultFields))
	b.add("nodes", &branch{items: grow(nil, nodeFields)})
	return b
}()

// nodeTree has the keys of a node.
var nodeTree = root.below["nodes"].items

// at returns the branch of a path, which must exist.
func (b *branch) at(path string) *branch {
	for key := range strings.SplitSeq(path, ".") {
		b = b.below[key]
	}
	return b
}

// grow puts fields into a tree by their paths.
func grow(b *branch, fields []*field) *branch {
	if b == nil {
		b = new(branch)
	}
	for _, f := range fields {
		at := b
		for key := range strings.SplitSeq(f.Path, ".") {
			if at.below[key] == nil {
				at.add(key, new(branch))
			}
			at = at.below[key]
		}
		at.field = f
	}
	return b
}

func (b *branch) add(key string, child *branch) {
	if b.below == nil {
		b.below = make(map[string]*branch)
	}
	b.keys, b.below[key] = append(b.keys, key), child
}

// wants says what may stand here.
func (b *branch) wants() string {
	switch {
	case b.items != nil:
		return "a list of mappings"
	case b.field == nil:
		return "a mapping with " + strings.Join(b.keys, ", ")
	case b.below != nil:
		return b.field.wants() + ", or a mapping with " + strings.Join(b.keys, " or ")
	default:
		return b.field.wants()
	}
}

// wants says what the value may be.
func (f *field) wants() string {
	switch f.Kind {
	case setting.Duration:
		return "a duration, " + f.Range()
	case setting.Count:
		return "a number, " + f.Range()
	case setting.Bytes:
		return "a number of bytes, " + f.Range()
	case setting.Flag:
		return "true or false"
	case setting.Texts:
		return "a list of texts"
	case setting.Text:
	}
	if f.choices != nil {
		return strings.Join(f.choices, " or ")
	}
	if f.Max > 0 {
		return fmt.Sprintf("a text of %d to %d bytes", f.Min, f.Max)
	}
	return "a text"
}
