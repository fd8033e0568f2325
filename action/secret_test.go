package action_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/action"
	"github.com/apn/ami/frame"
)

func TestSecret(t *testing.T) { // G2
	require.Empty(t, action.Secret{}.Reveal())
	s := action.NewSecret("canary")
	require.Equal(t, "canary", s.Reveal())
	require.Equal(t, "[redacted]", s.String())
	require.Equal(t, "[redacted]", s.GoString())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%10.2s"} {
		require.Equal(t, "[redacted]", fmt.Sprintf(verb, s), verb)
		require.Equal(t, "[redacted]", fmt.Sprintf(verb, &s), verb)
		require.Equal(t, "[redacted]", fmt.Sprintf(verb, action.Secret{}), "an empty one looks the same")
	}
	b, err := json.Marshal(map[string]any{"s": s, "p": &s})
	require.NoError(t, err)
	require.JSONEq(t, `{"s":"[redacted]","p":"[redacted]"}`, string(b))
	type named struct{ S action.Secret }
	b, err = xml.Marshal(named{s})
	require.NoError(t, err)
	require.Contains(t, string(b), "<S>[redacted]</S>")
	require.Equal(t, "[redacted]", s.LogValue().String())
}

// texts returns all texts that reflection finds in v, unexported fields included.
func texts(v reflect.Value) (found []string) {
	switch v.Kind() {
	case reflect.String:
		found = append(found, v.String())
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			found = texts(v.Elem())
		}
	case reflect.Struct:
		for _, f := range v.Fields() {
			found = append(found, texts(f)...)
		}
	}
	return found
}

// A failing takes what a failed assertion prints.
type failing struct{ printed strings.Builder }

func (f *failing) Errorf(format string, args ...any) { fmt.Fprintf(&f.printed, format, args...) }

// TestSecretByReflection: what follows pointers and asks no method finds nothing, be
// it a dumper or a test that fails (G2).
func TestSecretByReflection(t *testing.T) {
	type nested struct {
		Name   string
		s      action.Secret
		Secret action.Secret
		p      *action.Secret
	}
	s := action.NewSecret("canary")
	v := nested{"seen", s, s, &s}
	require.Equal(t, []string{"seen"}, texts(reflect.ValueOf(&v)))
	var out failing
	require.False(t, assert.Equal(&out, nested{Name: "other"}, v))
	require.Contains(t, out.printed.String(), "seen")
	require.NotContains(t, out.printed.String(), "canary")
	require.Equal(t, s, action.Login{Secret: s}.Secret)
}

// TestPrinting: actions print what they are for, and no value that may be a
// secret.
func TestPrinting(t *testing.T) { // G2
	for _, tc := range []struct {
		name string
		v    any
		want string
		text string // as JSON and slog show it
	}{
		{"generic", action.Custom("Odd", "Secret", "canary", "Queue", "q"), "Odd (2 headers)", "{}"},
		{"variable", action.Variable{Name: "V", Value: "canary"}, "V=[redacted]", `"V=[redacted]"`},
		{"set variable", action.Setvar{Channel: "C", Variable: "V", Value: "canary"}, `Setvar "C" V=[redacted]`, `"Setvar \"C\" V=[redacted]"`},
		{"header", frame.Field{Key: "K", Value: "canary"}, "K: [redacted]", `"K: [redacted]"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
				require.Equal(t, tc.want, fmt.Sprintf(verb, tc.v), verb)
			}
			b, err := json.Marshal(tc.v)
			require.NoError(t, err)
			require.Equal(t, tc.text, string(b))
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", tc.v)
			require.NotContains(t, log.String(), "canary")
		})
	}
}
