package lease

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// childURL is set for a process of this test that is to be a member: the broker.
const childURL = "AMI_LEASE_TEST_URL"

// child is a member that prints what its user is told, until stdin ends.
func child(url string) int {
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.Timeout(soon))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ttl, err := time.ParseDuration(os.Args[3])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	k, err := New(js, Options{Bucket: os.Args[1], Instance: os.Args[2], Nodes: os.Args[4:], TTL: ttl})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		defer leave()
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	}()
	go func() {
		for c := range k.Changes() {
			fmt.Println(c.Node, c.Held, c.Lost)
			if !c.Held {
				k.Release(c.Node)
			}
		}
	}()
	var slow *LeaveError // a busy machine
	if err = k.Run(ctx); err != nil && !errors.As(err, &slow) {
		fmt.Println(err)
		return 1
	}
	return 0
}

// TestZombie: a process that is stopped for longer than a TTL loses its nodes,
// learns that when it wakes, and then gets its share back.
func TestZombie(t *testing.T) {
	t.Parallel()
	patiently(t, func(t *testing.T, ttl time.Duration) bool {
		w := newWorld(t, startBroker(t).ClientURL(), 4)
		w.ttl = ttl
		a := w.join(t, "a")
		w.await(t, map[string]int{"a": 4})

		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		z := exec.CommandContext(ctx, os.Args[0], append([]string{w.bucket, "z", ttl.String()}, w.nodes...)...)
		z.Env = append(os.Environ(), childURL+"="+w.url)
		in, err := z.StdinPipe()
		require.NoError(t, err)
		out, err := z.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, z.Start())
		t.Cleanup(func() {
			_ = z.Process.Kill() // it may have ended
			_ = z.Wait()
		})
		lines := bufio.NewReader(out)
		told := func(n int, want string) {
			t.Helper()
			for range n {
				line, err := lines.ReadString('\n')
				require.NoError(t, err)
				if !strings.Contains(line, want) && ttl < patience {
					panic(disturbed{})
				}
				require.Contains(t, strings.TrimSpace(line), want)
			}
		}
		shared := func(deaths int) {
			t.Helper()
			held := a.Held()
			if !w.undisturbed(deaths, 0) && ttl < patience {
				panic(disturbed{})
			}
			require.Len(t, held, 2)
		}
		told(2, " true false")
		shared(0)

		start := time.Now()
		require.NoError(t, z.Process.Signal(syscall.SIGSTOP))
		w.await(t, map[string]int{"a": 4})
		took := time.Since(start)
		require.NoError(t, z.Process.Signal(syscall.SIGCONT))
		told(2, " false true")
		told(2, " true false")
		shared(1)

		require.NoError(t, in.Close())
		told(2, " false false")
		w.await(t, map[string]int{"a": 4})
		require.NoError(t, z.Wait())
		return w.undisturbed(1, 0) && took < 2*ttl
	})
}
