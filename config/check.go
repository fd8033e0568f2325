package config

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/apn/ami"
	"github.com/apn/ami/internal/setting"
)

// check notes what the library refuses, in the words of the file, and what only
// a file can have wrong.
func (b *builder) check(c *Config) {
	for id := setting.LimitLine; id <= setting.LimitBuffer; id++ {
		s := &setting.Table[id]
		if v, ok := c.values[s.Path]; ok && v.num == 0 { // in code it means the default
			b.refuse(&Error{Path: s.Path, Line: v.line, Env: v.env, Value: v.given, Allowed: s.Range(), Err: ErrValue})
		}
	}
	if home := c.home(); home != "" {
		keys := make([]string, len(c.nodes))
		for i, n := range c.nodes {
			keys[i] = n.key
		}
		if !slices.Contains(keys, home) {
			v := c.values[setting.Table[setting.DefaultNode].Path]
			e := &Error{Path: setting.Table[setting.DefaultNode].Path, Line: v.line, Env: v.env, Value: v.given, Err: fmt.Errorf("%w: no node has this key", ErrContradiction)}
			if guess := nearest(home, keys); guess != "" {
				e.Err = fmt.Errorf("%w: did you mean %s?", e.Err, guess)
			}
			b.refuse(e)
		}
	}
	for _, e := range refused(ami.Check(c.Nodes(), c.options...)) {
		if path := b.locate(c, e); !b.told(path) {
			b.refuse(b.translate(path, e))
		}
	}
}

// told reports whether it was said already what is wrong with a path, with what
// is around it, or with the default in its place.
func (b *builder) told(path string) bool {
	if i := strings.Index(path, "]."); i >= 0 && b.bad["defaults."+path[i+2:]] {
		return true
	}
	for ; path != ""; path = around(path) {
		if b.bad[path] {
			return true
		}
	}
	return false
}

// around returns the path of what a path stands in.
func around(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// refused returns the errors that ami.Check has joined.
func refused(err error) (all []*ami.ConfigError) {
	parts := []error{err}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		parts = many.Unwrap()
	}
	for _, part := range parts {
		if e, ok := errors.AsType[*ami.ConfigError](part); ok {
			all = append(all, e)
		}
	}
	return all
}

// locate returns the path of what an error of the library is about.
func (b *builder) locate(c *Config, e *ami.ConfigError) string {
	for _, f := range optionFields {
		if index, ok := strings.CutPrefix(e.Key, f.Option); ok && (index == "" || index[0] == '[') {
			return f.Path + index
		}
	}
	if e.Key == "Weights" {
		i := slices.IndexFunc(c.nodes, func(n node) bool { return n.key == e.Node && n.weight == e.Value })
		return fmt.Sprintf("nodes[%d].weight", i)
	}
	for _, f := range nodeFields {
		if f.Option == e.Key {
			_, path, _ := b.find(fmt.Sprintf("nodes[%d]", e.Place-1), f.Path)
			return path
		}
	}
	return e.Key
}

// translate makes an error of the library one of the file.
func (b *builder) translate(path string, e *ami.ConfigError) *Error {
	v, given := b.values[path]
	out := &Error{Path: path, Line: b.line(path), Env: v.env, Value: v.given, Err: e}
	if out.Value == "" && e.Value != `""` {
		out.Value = fmt.Sprint(e.Value)
	}
	i := slices.IndexFunc(setting.Table[:], func(s setting.Setting) bool { return s.Path == path })
	if i < 0 {
		return out
	}
	if s := &setting.Table[i]; s.Number() {
		out.Allowed = s.Range()
	}
	for _, r := range setting.Relations { // the file knows the other by its path
		other := &setting.Table[r.Other]
		if r.ID == setting.ID(i) && strings.Contains(e.Reason, other.Option) {
			in := *e
			in.Reason = strings.ReplaceAll(e.Reason, other.Option, other.Path)
			if out.Err = &in; !given {
				out.Line, out.Env = b.line(other.Path), b.values[other.Path].env
			}
		}
	}
	return out
}

// line returns the line of a path, or of what it would stand in.
func (b *builder) line(path string) int {
	for ; path != ""; path = around(path) {
		if v, ok := b.values[path]; ok {
			return v.line
		}
	}
	return 0
}

// errOpen is what Warnings says of a secret that is none.
var errOpen = errors.New("stands in a file that everybody may read")

// warnOfOpen notes that everybody may read a file that holds a secret. It is no
// error: the secrets that container platforms mount are like that.
func (b *builder) warnOfOpen(file, path string, v value) {
	if info, err := os.Stat(file); err == nil && open(info.Mode()) {
		b.warnings = append(b.warnings, &Error{Path: path, Line: v.line, Env: v.env, Value: file, Err: fmt.Errorf("%w (mode %#o)", errOpen, info.Mode().Perm())})
	}
}

// open reports whether everybody may read a file of this mode.
func open(mode os.FileMode) bool { return mode&0o004 != 0 && runtime.GOOS != "windows" }
