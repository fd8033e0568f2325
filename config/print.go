package config

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/apn/ami/internal/redact"
	"github.com/apn/ami/internal/setting"
)

// String returns the whole configuration as YAML: defaults and what nodes inherit
// filled in, secrets masked, and behind each value that does not stand in the
// file where it comes from.
func (c *Config) String() string {
	b, err := yaml.Dump(c.tree())
	if err != nil {
		return "config: " + err.Error() // it cannot happen: the tree is ours
	}
	return string(b)
}

// Format makes every verb print what String returns.
func (c *Config) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

// MarshalYAML returns what String prints.
func (c *Config) MarshalYAML() (any, error) { return c.tree(), nil }

// MarshalJSON returns what String prints as JSON.
func (c *Config) MarshalJSON() ([]byte, error) {
	var v any
	if err := c.tree().Load(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// tree makes the document.
func (c *Config) tree() *yaml.Node {
	doc := &yaml.Node{Kind: yaml.MappingNode}
	for i, f := range optionFields {
		v, given := c.values[f.Path]
		if n := c.option(setting.ID(i), f); n != nil {
			put(doc, f.Path, n, origin(v, given))
		}
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, n := range c.nodes {
		list.Content = append(list.Content, n.tree())
	}
	put(doc, "nodes", list, "")
	return doc
}

// origin says where a value comes from, if not from the file.
func origin(v value, given bool) string {
	switch {
	case !given:
		return "default"
	case v.env != "":
		return v.env
	default:
		return ""
	}
}

// option returns the value of an option in force; nil for one that is not set and
// has no default.
func (c *Config) option(id setting.ID, f *field) *yaml.Node {
	v := c.effective(id)
	switch f.Kind {
	case setting.Text:
		if c.home() == "" {
			return nil
		}
		return scalar("!!str", c.home())
	case setting.Texts:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, s := range c.list(id) {
			if f.secret {
				s = redact.Mask
			}
			list.Content = append(list.Content, quote(s))
		}
		return list
	case setting.Flag:
		return scalar("!!bool", strconv.FormatBool(v == 1))
	case setting.Duration, setting.Count, setting.Bytes:
	}
	s := f.Show(v)
	if s == strconv.FormatInt(v, 10) {
		return scalar("!!int", s)
	}
	return scalar("!!str", s)
}

// tree makes the mapping of a node.
func (n *node) tree() *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	text := func(path, s string) {
		if s != "" {
			put(m, path, quote(s), "")
		}
	}
	text("key", n.key)
	text("addr", n.addr)
	text("username", n.username)
	switch {
	case n.secretFile != "":
		text("secret.file", n.secretFile)
	case n.secretEnv != "":
		text("secret.env", n.secretEnv)
	default:
		text("secret", n.secret.String())
	}
	text("auth", n.auth)
	text("events", n.events)
	put(m, "tls.enabled", scalar("!!bool", strconv.FormatBool(n.secured)), "")
	if n.secured {
		text("tls.ca", n.files.CA)
		text("tls.certificate", n.files.Certificate)
		text("tls.key", n.files.Key)
		text("tls.server_name", n.files.ServerName)
		text("tls.min_version", n.minVersion())
	}
	put(m, "weight", scalar("!!int", strconv.Itoa(n.weight)), "")
	return m
}

func scalar(tag, s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: s} }

// quote returns a text, in quotes: plain ones may look like something else.
func quote(s string) *yaml.Node {
	n := scalar("!!str", s)
	n.Style = yaml.DoubleQuotedStyle
	return n
}

// put puts a value at a path of a mapping, with a comment behind it.
func put(m *yaml.Node, path string, v *yaml.Node, comment string) {
	key, rest, nested := strings.Cut(path, ".")
	if nested {
		child := below(m, key)
		put(child, rest, v, comment)
		return
	}
	k := scalar("!!str", key)
	if comment != "" {
		v.LineComment = "# " + comment
	}
	m.Content = append(m.Content, k, v)
}

// below returns the mapping at a key, a new one if there is none.
func below(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	child := &yaml.Node{Kind: yaml.MappingNode}
	m.Content = append(m.Content, scalar("!!str", key), child)
	return child
}
