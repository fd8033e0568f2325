package action

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a text that no printing, logging or marshalling shows, wherever
// it is nested: all of them say "[redacted]". What prints by reflection alone, as
// test libraries do with differences, finds a function. Only Reveal returns the text.
// The zero Secret is empty. Compare what Reveal returns: two Secrets of the same text
// are not equal.
type Secret struct{ text *func() string }

const redacted = "[redacted]"

// NewSecret returns the Secret of text.
func NewSecret(text string) Secret {
	f := func() string { return text }
	return Secret{&f}
}

// Reveal returns the text itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return (*s.text)()
}

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return redacted }

// Format implements fmt.Formatter: every verb prints the same.
func (Secret) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, redacted) // a fmt.State has nowhere to report to
}

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler for JSON, XML and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
