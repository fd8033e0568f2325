package config

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the schema and the tables of the guide anew")

// TestSchema: the file that is committed is what the tables say.
func TestSchema(t *testing.T) { // H1
	want, err := newSchema()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("schema.json", want, 0o644))
	}
	b, err := os.ReadFile("schema.json")
	require.NoError(t, err)
	require.Equal(t, string(want), string(b), "run go generate")
	if !*update { // then it is the old one that was built in
		require.Equal(t, b, Schema())
		compile(t)
	}
}

// compile returns the schema ready to judge.
func compile(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("schema.json", doc))
	s, err := c.Compile("schema.json")
	require.NoError(t, err)
	return s
}
