package ami_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
)

// BenchmarkIdleCluster measures heap and stacks of a cluster of 1,000 nodes
// that are connected, with one subscription, and do nothing; the client's side
// only.
func BenchmarkIdleCluster(b *testing.B) {
	addr := pingServer(b)
	nodes := make([]ami.Node, 1000)
	for i := range nodes {
		nodes[i] = ami.Node{Key: fmt.Sprint("pbx", i), Addr: addr, Username: "u", Secret: ami.NewSecret("s")}
	}
	var totals []uint64
	for b.Loop() {
		before := memoryInUse()
		cl, err := ami.NewCluster(nodes)
		require.NoError(b, err)
		cl.Subscribe()
		var running sync.WaitGroup
		running.Go(func() { _ = cl.Run(context.WithoutCancel(b.Context())) }) // nil: Close ends it
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		require.NoError(b, cl.Ready(ctx, 0), "a socket is needed for each node here and in the server: see ulimit -n")
		cancel()
		totals = append(totals, memoryInUse()-before)
		require.NoError(b, cl.Close())
		running.Wait()
	}
	slices.Sort(totals)
	b.ReportMetric(float64(totals[len(totals)/2])/(1<<20), "MiB")
}

// memoryInUse returns the bytes of heap and stacks after a collection.
func memoryInUse() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers held, and stacks that shrink
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
