package frame

import (
	"fmt"
	"io"
)

// Field is one header of an outgoing action: a name and its value, without
// the colon, the blank after it and the line end. Order and repetition are
// significant: Variable, for one, may occur many times.
//
// A Field prints and marshals without its value, which may be a secret.
type Field struct {
	Key   string
	Value string
}

// String returns the name, and a mark in place of the value.
func (f Field) String() string { return f.Key + ": [redacted]" }

// Format makes every verb print what String returns.
func (f Field) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, f.String()) // a fmt.State has nowhere to report to
}

// MarshalText returns what String returns, for JSON and slog.
func (f Field) MarshalText() ([]byte, error) { return []byte(f.String()), nil }
