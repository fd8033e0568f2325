package ami

import (
	"fmt"
	"io"
	"log/slog"
)

// Redaction says what is a secret, besides headers and assignments whose name
// speaks of a secret, password, token, auth, key or credential. No printing,
// logging or marshalling shows Values, which may hold what they are to hide.
type Redaction struct {
	// Headers are names whose values are hidden, whatever the case. They and
	// Names hold for the names of variables and database keys as well.
	Headers []string
	// Names are regular expressions; the value of a header whose name matches
	// one is hidden.
	Names []string
	// Values are regular expressions; what matches in any value is hidden, or,
	// if the expression has groups, what its groups match.
	Values []string
}

// String returns headers and names, and how many values there are.
func (r Redaction) String() string {
	return fmt.Sprintf("redaction of headers %q, names %q, values %d", r.Headers, r.Names, len(r.Values))
}

// GoString returns what String returns.
func (r Redaction) GoString() string { return r.String() }

// Format makes every verb print what String returns.
func (r Redaction) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, r.String()) }

// LogValue is what String returns.
func (r Redaction) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalText returns what String returns, for JSON, XML and YAML.
func (r Redaction) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
