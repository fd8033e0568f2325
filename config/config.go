package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/apn/ami"
)

// A Config is a checked configuration. It is immutable; its methods may be called
// from any goroutine. It prints and marshals with its secrets masked.
type Config struct {
	values   map[string]value // of the options, as given
	nodes    []node
	options  []ami.Option
	warnings Errors
}

// Load is LoadContext with a minute for the file, should it be a pipe.
func Load(path string, environ []string) (*Config, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	return LoadContext(ctx, path, environ)
}

// LoadContext reads a YAML file and what environ sets besides: lines "AMI_…=value"
// as os.Environ returns them; nil for nothing. Relative paths in the file start at
// its folder. The files that it names are read once, to see that they can be.
//
// The file may be a pipe or a terminal, as a shell makes of <(command): it is read
// until its end, or until ctx ends. A pipe that nobody opens for writing within a
// second is an error. A file that is regular takes no notice of ctx.
//
// The error is an Errors with all that is wrong, wrapped with the path, or an
// *ami.FileError if the file cannot be read.
func LoadContext(ctx context.Context, path string, environ []string) (*Config, error) {
	data, mode, err := readFile(ctx, path)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err
		}
		return nil, &ami.FileError{File: path, Err: err}
	}
	c, err := parse(data, environ, filepath.Dir(path), mode)
	if err != nil {
		return nil, fmt.Errorf("config: %s: %w", path, err)
	}
	return c, nil
}

// Parse is Load of bytes. Relative paths start at the working directory.
func Parse(data []byte, environ []string) (*Config, error) {
	c, err := parse(data, environ, "", 0)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return c, nil
}

func parse(data []byte, environ []string, dir string, mode fs.FileMode) (*Config, error) {
	b := &builder{
		reader: &reader{values: make(map[string]value), bad: make(map[string]bool)},
		dir:    dir, environ: environOf(environ), open: open(mode),
	}
	b.file(data)
	if b.bad[""] || b.full() { // what follows would be guesses
		return nil, b.errs.sorted()
	}
	b.environment()
	c := b.build()
	if len(b.errs) > 0 {
		return nil, b.errs.sorted()
	}
	return c, nil
}

// Nodes returns the nodes in the order of the file. Those with a secret or
// certificates in files read them at each login.
func (c *Config) Nodes() []ami.Node {
	nodes := make([]ami.Node, len(c.nodes))
	for i, n := range c.nodes {
		nodes[i] = n.client()
	}
	return nodes
}

// Options returns the options that were given; all others have their defaults.
// Those for clusters alone are among them if they were given: ami.New refuses
// them.
func (c *Config) Options() []ami.Option { return slices.Clone(c.options) }

// Only returns the configuration as if its file held these nodes and no other, in
// the order of the file. Keys of nodes that it does not hold are passed over.
func (c *Config) Only(keys ...string) *Config {
	only := *c
	only.nodes = slices.DeleteFunc(slices.Clone(c.nodes), func(n node) bool { return !slices.Contains(keys, n.key) })
	only.options = only.apply() // the weights are those of the nodes
	return &only
}

// Warnings returns what is doubtful but allowed: files with secrets that
// everybody may read, variables AMI_… that have no meaning.
func (c *Config) Warnings() []*Error { return slices.Clone([]*Error(c.warnings)) }
