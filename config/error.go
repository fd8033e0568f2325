package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apn/ami"
)

// Errors to compare with errors.Is. They come as the Err of an *Error.
var (
	// ErrUnknownKey reports a key that has no meaning where it stands.
	ErrUnknownKey = errors.New("unknown key")
	// ErrType reports a value of another kind than its key wants.
	ErrType = errors.New("wrong type")
	// ErrValue reports a value that its key does not take.
	ErrValue = errors.New("not allowed")
	// ErrContradiction reports keys that exclude each other.
	ErrContradiction = errors.New("contradiction")
	// ErrSyntax reports a file that is no YAML, or YAML of more than one document.
	ErrSyntax = errors.New("no valid YAML")
)

// An Error is one thing that is wrong with a configuration, or, among the
// warnings, doubtful.
type Error struct {
	Path    string // where: "nodes[2].tls.ca"; "" for the file as a whole
	Line    int    // in the file, from 1; 0 if it does not stand there
	Env     string // the variable, if it comes from the environment
	Value   string // what was given; never a secret
	Allowed string // what would be allowed; "" if Err says all
	Err     error  // one of the errors above, an *ami.ConfigError, an *ami.FileError …
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	b.WriteString(cmp.Or(e.Path, "the file"))
	if e.Env != "" {
		fmt.Fprintf(&b, " (%s)", e.Env)
	}
	if e.Value != "" {
		b.WriteString(" = " + e.Value)
	}
	b.WriteString(": " + reason(e.Err))
	if _, said := errors.AsType[*ami.ConfigError](e.Err); e.Allowed != "" && !said {
		b.WriteString(": must be " + e.Allowed)
	}
	return b.String()
}

// MarshalText returns what Error returns, for JSON and YAML.
func (e *Error) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// reason is the text of err without what Error says itself.
func reason(err error) string {
	if e, ok := errors.AsType[*ami.ConfigError](err); ok {
		return e.Reason
	}
	return err.Error()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Errors is all that is wrong with a configuration: first what does not stand in
// the file, then in the order of the lines.
type Errors []*Error

func (all Errors) Error() string {
	lines := make([]string, len(all))
	for i, e := range all {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the errors, for errors.Is and errors.As.
func (all Errors) Unwrap() []error {
	errs := make([]error, len(all))
	for i, e := range all {
		errs[i] = e
	}
	return errs
}

// sorted returns the errors in the order of the lines, those of the environment
// first, each once.
func (all Errors) sorted() Errors {
	slices.SortStableFunc(all, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Env, b.Env))
	})
	type same struct{ path, env, text string }
	seen := make(map[same]bool)
	return slices.DeleteFunc(all, func(e *Error) bool {
		s := same{e.Path, e.Env, e.Error()}
		double := seen[s]
		seen[s] = true
		return double
	})
}

// nearest returns the candidate that one may have meant, or "".
func nearest(word string, candidates []string) string {
	best, least := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(word, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance returns how many letters must be put in, taken out or replaced to
// make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}
