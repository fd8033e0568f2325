package config

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
)

// TestOnly: the nodes that are named, with their weights and all options.
func TestOnly(t *testing.T) { // H1
	c, err := Parse([]byte(`
defaults: {username: u, secret: s}
nodes: [{key: a, addr: h, weight: 3}, {key: b, addr: h}, {key: c, addr: h}]
default_node: a
keepalive: {interval: 20s}
`), nil)
	require.NoError(t, err)
	only := c.Only("c", "b", "nobody")
	var keys []string
	for _, n := range only.Nodes() {
		keys = append(keys, n.Key)
	}
	require.Equal(t, []string{"b", "c"}, keys)
	require.Len(t, c.Nodes(), 3, "the one that it was made of is as it was")
	require.Empty(t, only.weights())
	require.Len(t, only.Options(), len(c.Options())-1, "all but the weights")
	_, err = ami.NewCluster(only.Nodes(), only.Options()...)
	require.NoError(t, err, "the default node need not be there")
	require.Equal(t, map[string]int{"a": 3}, c.Only("a").weights())
}
