package action

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a text that no printing, logging or marshalling shows, wherever
// it is nested: all of them say "[redacted]". Only Reveal returns it. The zero
// Secret is empty.
type Secret struct{ text *string }

const redacted = "[redacted]"

// NewSecret returns the Secret of text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the text itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
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
