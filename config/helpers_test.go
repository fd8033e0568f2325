package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// oneNode is a node that nothing is wrong with.
const oneNode = "nodes: [{key: a, addr: 192.0.2.1, username: u, secret: s}]\n"

// with returns oneNode and values at paths of their own, as they would be
// written.
func with(t testing.TB, values ...string) []byte {
	t.Helper()
	doc := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(values); i += 2 {
		var v yaml.Node
		require.NoError(t, yaml.Load([]byte(values[i+1]), &v))
		put(doc, values[i], v.Content[0], "")
	}
	b, err := yaml.Dump(doc)
	require.NoError(t, err)
	if len(values) == 0 {
		b = nil
	}
	return append(b, oneNode...)
}

// all returns what Parse has found wrong.
func all(t testing.TB, err error) Errors {
	t.Helper()
	found, ok := errors.AsType[Errors](err)
	require.True(t, ok, "%v", err)
	require.NotEmpty(t, found)
	return found
}

// one returns the only thing that Parse has found wrong.
func one(t testing.TB, err error) *Error {
	t.Helper()
	found := all(t, err)
	require.Len(t, found, 1, "%v", err)
	return found[0]
}

// asJSON returns a YAML document as the value that a JSON Schema judges.
func asJSON(t testing.TB, data []byte) any {
	t.Helper()
	var v, clean any
	require.NoError(t, yaml.Load(data, &v))
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &clean))
	return clean
}

// forms are all ways in which v might be printed.
func forms(t testing.TB, v any) string {
	t.Helper()
	var b strings.Builder
	for _, v := range []any{v, []any{v}, map[string]any{"k": v}, struct{ V any }{v}, &v} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&b, verb+"\n", v)
		}
		j, err := json.Marshal(v)
		fmt.Fprintln(&b, string(j), err)
		y, err := yaml.Dump(v)
		fmt.Fprintln(&b, string(y), err)
	}
	return b.String()
}
