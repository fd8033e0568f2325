package redisstream_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/internal/redistest"
	"github.com/apn/ami/bridge/redisstream"
)

// TestCluster: a prefix in braces puts all keys into one slot of a cluster; without
// them the server refuses, and says why.
func TestCluster(t *testing.T) {
	_, port, _ := strings.Cut(redistest.New(t).Addr(), ":")
	s := own(t, "--cluster-enabled", "yes", "--cluster-port", port)
	c := s.Client(t)
	do(t, c, "cluster", "addslotsrange", 0, 16383)
	require.Eventually(t, func() bool {
		return strings.Contains(c.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	}, soon, tick)
	records := append(brokertest.Records("a", 1, 3), brokertest.Records("b", 1, 3)...)

	o := redisstream.Options{URL: s.URL(), Prefix: "{ami}"}
	publish(t, open(t, o), records)
	require.Equal(t, idsOf("b", records), ids(t, o, "b"))

	o.Prefix = "ami"
	n, err := open(t, o).Publish(t.Context(), records)
	require.Zero(t, n)
	require.ErrorContains(t, err, "CROSSSLOT")
}
