package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/apn/ami"
	"github.com/apn/ami/internal/setting"
)

// Bounds of what is read, so that a few aliases cannot stand for millions of
// values, and what is no configuration at all yields no flood of errors.
const (
	largestFile = 4 << 20
	mostValues  = 1 << 17
	mostErrors  = 100
)

// A reader takes the values out of a file and notes what is wrong with it.
type reader struct {
	values map[string]value // by path; a mapping has an entry as well
	nodes  int
	errs   Errors
	bad    map[string]bool // the paths that errs names
	seen   int             // values so far
}

// file reads a whole file.
func (r *reader) file(data []byte) {
	if len(data) > largestFile {
		r.refuse(&Error{Value: fmt.Sprintf("%d bytes", len(data)), Allowed: fmt.Sprintf("%d bytes at most", largestFile), Err: ErrValue})
		return
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		r.refuse(syntax(err))
		return
	}
	var doc, more yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF): // nothing but comments
		return
	case err != nil:
		r.refuse(syntax(err))
		return
	}
	if err := loader.Load(&more); !errors.Is(err, io.EOF) {
		r.refuse(&Error{Line: more.Line, Value: "more than one document", Allowed: "one", Err: ErrSyntax})
		return
	}
	for _, n := range doc.Content {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!null" {
			r.read(n, "", root)
		}
	}
}

var quoted = regexp.MustCompile(`'[^']*'|"[^"]*"|` + "`[^`]*`")

// syntax is the error of a file that is no YAML. What the message quotes may be a
// secret: one that begins with * looks like an alias.
func syntax(err error) *Error {
	e := &Error{Err: ErrSyntax}
	if load, ok := errors.AsType[*yaml.LoadError](err); ok {
		message := quoted.ReplaceAllString(load.Message, "that")
		e.Line, e.Err = load.Mark.Line, fmt.Errorf("%w: %s", ErrSyntax, strings.TrimPrefix(message, "yaml: "))
	}
	return e
}

func (r *reader) refuse(e *Error) {
	r.bad[e.Path] = true
	if len(r.errs) < mostErrors {
		r.errs = append(r.errs, e)
	}
}

// full reports that no more is to be read.
func (r *reader) full() bool { return len(r.errs) >= mostErrors || r.seen >= mostValues }

// count counts one more value.
func (r *reader) count(n *yaml.Node, at string) {
	if r.seen++; r.seen == mostValues {
		r.refuse(&Error{Path: at, Line: n.Line, Value: "more than that", Allowed: fmt.Sprintf("%d values at most, aliases counted as what they stand for", mostValues), Err: ErrValue})
	}
}

// read takes what stands at a path.
func (r *reader) read(n *yaml.Node, at string, b *branch) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	r.count(n, at)
	switch {
	case r.full():
	case n.Kind == yaml.MappingNode && b.below != nil:
		r.mapping(n, at, b)
	case n.Kind == yaml.SequenceNode && b.items != nil:
		for i, item := range n.Content {
			r.read(item, fmt.Sprintf("%s[%d]", at, i), b.items)
		}
		r.nodes = len(n.Content)
		r.values[at] = value{line: n.Line}
	case n.Kind == yaml.SequenceNode && b.field != nil && b.field.Kind == setting.Texts:
		r.list(n, at, b.field)
	case n.Kind == yaml.ScalarNode && b.field != nil && b.field.Kind != setting.Texts:
		r.scalar(n, at, b)
	default:
		r.refuse(&Error{Path: at, Line: n.Line, Value: kindOf(n), Allowed: b.wants(), Err: ErrType})
	}
}

// mapping takes the keys of a mapping.
func (r *reader) mapping(n *yaml.Node, at string, b *branch) {
	r.values[at] = value{line: n.Line}
	given := make(map[string]int) // key → line
	for i := 0; i+1 < len(n.Content) && !r.full(); i += 2 {
		key, child := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		below := b.below[key.Value]
		if key.Kind != yaml.ScalarNode || below == nil {
			r.unknown(key, at, b)
			continue
		}
		path := join(at, key.Value)
		if line, ok := given[key.Value]; ok {
			r.refuse(&Error{Path: path, Line: key.Line, Err: fmt.Errorf("%w: it stands in line %d already", ErrContradiction, line)})
			delete(r.bad, path) // the first one counts, and may be wrong besides
			continue
		}
		given[key.Value] = key.Line
		r.read(child, path, below)
	}
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// unknown refuses a key. Below secret it is not shown: it may be the secret.
func (r *reader) unknown(key *yaml.Node, at string, b *branch) {
	e := &Error{Path: at, Line: key.Line, Err: ErrUnknownKey, Allowed: "one of " + strings.Join(b.keys, ", ")}
	hidden := key.Kind != yaml.ScalarNode || key.Value == "" || b.field != nil && b.field.secret
	if !hidden {
		e.Path = join(at, shorten(key.Value))
	}
	if guess := nearest(key.Value, b.keys); guess != "" {
		e.Err = fmt.Errorf("%w: did you mean %s?", ErrUnknownKey, guess)
		e.Allowed = ""
	}
	r.refuse(e)
	if b.field == nil && e.Path == at {
		delete(r.bad, at) // that says nothing of its other keys
	}
}

// scalar takes one value.
func (r *reader) scalar(n *yaml.Node, at string, b *branch) {
	f := b.field
	if !f.takes(n) {
		e := &Error{Path: at, Line: n.Line, Value: f.show(n.Value), Allowed: b.wants(), Err: ErrType}
		switch {
		case n.Tag == "!!null":
			e.Value, e.Allowed = "nothing", b.wants()+": leave the key out for its default"
		case f.Kind == setting.Text:
			e.Allowed = "a text: put it in quotes"
		}
		r.refuse(e)
		return
	}
	v, err := f.parse(n.Value)
	if err != nil {
		r.refuse(&Error{Path: at, Line: n.Line, Value: v.given, Allowed: b.wants(), Err: err})
		return
	}
	v.line = n.Line
	r.values[at] = v
}

// takes reports whether a value is of the type that its field wants.
func (f *field) takes(n *yaml.Node) bool {
	switch f.Kind {
	case setting.Duration:
		return n.Tag == "!!str"
	case setting.Count:
		return n.Tag == "!!int"
	case setting.Bytes:
		return n.Tag == "!!int" || n.Tag == "!!str" && strings.HasSuffix(n.Value, "iB")
	case setting.Flag:
		return n.Tag == "!!bool"
	case setting.Text, setting.Texts:
	}
	// A choice may look like a number: 1.2 is a version.
	return n.Tag == "!!str" || f.choices != nil && slices.Contains(f.choices, n.Value)
}

// list takes a list of texts.
func (r *reader) list(n *yaml.Node, at string, f *field) {
	v := value{line: n.Line, given: "a list"}
	for i, item := range n.Content {
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		if r.count(item, at); r.full() {
			return
		}
		if item.Kind != yaml.ScalarNode || item.Tag != "!!str" {
			r.refuse(&Error{Path: fmt.Sprintf("%s[%d]", at, i), Line: item.Line, Value: kindOf(item), Allowed: "a text: put it in quotes", Err: ErrType})
			continue
		}
		v.list = append(v.list, ami.NewSecret(item.Value))
		r.values[fmt.Sprintf("%s[%d]", at, i)] = value{line: item.Line, given: f.show(item.Value)}
	}
	r.values[at] = v
}

// kindOf says what stands there, without its text: what got to the wrong place
// may be a secret.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
	default:
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!str":
		return "a text"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	default:
		return "a value of another type"
	}
}
