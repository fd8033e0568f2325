package bridge_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/bridge"
	amijs "github.com/apn/ami/bridge/jetstream"
	"github.com/apn/ami/bridge/lease"
)

// frozen is in front of a NATS server, and lets nothing more through when it is
// told so: connections stay, as those to a machine that hangs.
func frozen(t *testing.T, url string) (through string, freeze func()) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ice := make(chan struct{})
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	pass := func(to, from net.Conn) {
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			if err != nil {
				_ = to.Close()
				return
			}
			select {
			case <-ice:
				<-ctx.Done()
				_ = to.Close()
				return
			default:
			}
			if _, err := to.Write(buf[:n]); err != nil {
				_, _ = io.Copy(io.Discard, from)
				return
			}
		}
	}
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			server, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(url, "nats://"))
			if err != nil {
				_ = conn.Close()
				continue
			}
			context.AfterFunc(ctx, func() { _ = conn.Close(); _ = server.Close() })
			running.Go(func() { pass(server, conn) })
			running.Go(func() { pass(conn, server) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		running.Wait()
	})
	return "nats://" + l.Addr().String(), sync.OnceFunc(func() { close(ice) })
}

// TestFrozenBroker: a broker that hangs does not hold up the end beyond the grace.
func TestFrozenBroker(t *testing.T) {
	for _, leases := range []bool{false, true} {
		name := "without leases"
		if leases {
			name = "with leases"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			url, freeze := frozen(t, s.URL())
			srv := asterisk(t)
			nodes := []ami.Node{{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}}
			o := bridge.Options{Dir: t.TempDir(), Instance: "a", Grace: 2 * time.Second}
			toBroker := amijs.Options{URL: url, AckTimeout: time.Hour}
			m := &member{done: make(chan error, 1)}
			if leases {
				m = joinVia(t, toBroker, url, nodes, lease.Options{TTL: 2 * time.Second, Grace: time.Second}, o)
			} else {
				var err error
				m.cluster, err = ami.NewCluster(nodes)
				require.NoError(t, err)
				broker, err := amijs.Open(t.Context(), toBroker)
				require.NoError(t, err)
				b, err := bridge.New(m.cluster, broker, o)
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(context.Background())
				m.cancel = cancel
				go func() { m.done <- b.Run(ctx) }()
			}
			m.holds(t, 1)
			nc, _ := client(t, s.URL())
			require.Eventually(t, func() bool { // all of its connections are there
				_, err := nc.Request("ami.actions.pbx1", []byte(`{"action":"Ping"}`), soon)
				return err == nil
			}, soon, 10*time.Millisecond)
			freeze()
			require.NoError(t, srv.Flood(t.Context(), 0, 100))
			began := time.Now()
			m.leave(t)
			most := o.Grace
			if leases {
				most = 3 * time.Second // of the keeper, and a TTL
			}
			require.Less(t, time.Since(began), most+soon/2, "on a busy machine, and without the grace it takes an hour")
		})
	}
}
