package config

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// agree checks that an editor with the schema and the loader say the same of a text:
// one that the schema takes has the right type for the loader too, and may be out of
// range at most, which no pattern can tell; one that it refuses is refused.
func agree(t *testing.T, schema *jsonschema.Schema, path, text string) (taken bool) {
	t.Helper()
	quoted, err := json.Marshal(text)
	require.NoError(t, err)
	file := with(t, path, string(quoted))
	bad := schema.Validate(asJSON(t, file))
	_, err = Parse(file, nil)
	if bad == nil {
		require.NotErrorIs(t, err, ErrType, "%s %q: the schema takes it", path, text)
	} else {
		require.Error(t, err, "%s %q: the schema refuses it: %v", path, text, bad)
	}
	environ := Errors(nil)
	variable := variable(path)
	if _, err := Parse([]byte(oneNode), []string{variable + "=" + text}); err != nil && text != "" {
		environ, _ = errors.AsType[Errors](err)
	}
	if bad == nil {
		require.NotErrorIs(t, environ, ErrType, "%s=%q", variable, text)
	}
	return bad == nil && err == nil
}

const aDuration, aSize = "read_idle", "limits.buffer"

// TestLoaderAndSchemaAgree: the table of what could be written (H1).
func TestLoaderAndSchemaAgree(t *testing.T) {
	schema := compile(t)
	for _, tc := range []struct {
		path, text string
		taken      bool
	}{
		{aDuration, "90s", true},
		{aDuration, "1m30s", true},
		{aDuration, "1.5m", true},
		{aDuration, "5.m", true},
		{aDuration, "090s", true},
		{aDuration, "90000000us", true},
		{aDuration, "90000000µs", true}, // the micro sign
		{aDuration, "90000000μs", true}, // the Greek letter
		{aDuration, "90000000000ns", true},
		{aDuration, "0", false},
		{aDuration, "", false},
		{aDuration, "90", false},
		{aDuration, ".5m", false},
		{aDuration, "+90s", false},
		{aDuration, "-90s", false},
		{aDuration, "90 s", false},
		{aDuration, " 90s", false},
		{aDuration, "90s\n", false},
		{aDuration, "90S", false},
		{aDuration, "1d", false},
		{aDuration, "1e3s", false},
		{aDuration, "1h-30m", false},
		{aDuration, "99999999999999999999h", false},
		{aDuration, "٩٠s", false},

		{aSize, "4MiB", true},
		{aSize, "4 MiB", true},
		{aSize, "2304KiB", true},
		{aSize, "04MiB", false},
		{aSize, "0KiB", false},
		{aSize, "4  MiB", false},
		{aSize, "+4MiB", false},
		{aSize, "-4MiB", false},
		{aSize, "4.5MiB", false},
		{aSize, "4mib", false},
		{aSize, "4MB", false},
		{aSize, "4MiB ", false},
		{aSize, "MiB", false},
		{aSize, "4194304", false}, // a number in quotes
		{aSize, "9999999999999999999GiB", false},
		{aSize, "99999999999999999999GiB", false},
	} {
		require.Equal(t, tc.taken, agree(t, schema, tc.path, tc.text), "%s %q", tc.path, tc.text)
	}
}

// FuzzScalars: whatever is written for a duration or a size, the schema and the
// loader say the same (H1).
func FuzzScalars(f *testing.F) {
	for _, seed := range []string{"90s", ".5s", "+5s", "5μs", "1h-1m", "0", "010KiB", "4 MiB", "-4MiB", "1e3s", "9999999999999999999h"} {
		f.Add(seed)
	}
	schema := compile(f)
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // no YAML
		}
		agree(t, schema, aDuration, text)
		agree(t, schema, aSize, text)
	})
}
