package ami_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
)

// testServerEnv makes the test binary a server in a process of its own: in the
// same one the raw ping-pong stays on one thread, which no real server does.
const testServerEnv = "AMI_TEST_SERVER"

// The kinds of server.
const (
	pingMode  = "ping"  // answers every action with the Response of a Ping
	floodMode = "flood" // likewise, behind the events of a flood
)

// serveTest is that process. It ends with its standard input.
func serveTest(mode string) error {
	session := answerPings
	if mode == floodMode {
		session = floodAndAnswer
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go session(conn)
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// pingServer starts a server that answers Pings and returns its address.
func pingServer(b *testing.B) string {
	b.Helper()
	return testServer(b, pingMode)
}

// testServer starts that process and returns its address.
func testServer(b *testing.B, mode string) string {
	b.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), os.Args[0]) // ended by its input
	cmd.Env = append(os.Environ(), testServerEnv+"="+mode)
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	onOneCore(b, cmd.Start)
	b.Cleanup(func() {
		require.NoError(b, in.Close())
		require.NoError(b, cmd.Wait())
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(b, err)
	return strings.TrimSpace(addr)
}

func answerPings(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	_, _ = conn.Write([]byte("Asterisk Call Manager/11.0.0\r\n"))
	out, id := make([]byte, 0, 256), ""
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(line) > 10 && string(line[:10]) == "ActionID: " {
			id = string(line[10:])
		}
		if len(line) > 2 {
			continue
		}
		out = append(out[:0], "Response: Success\r\nActionID: "...)
		out = append(out, id...)
		out = append(out, "Ping: Pong\r\nTimestamp: 1795419656.589808\r\n\r\n"...)
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// rawPing sends the same bytes and reads up to the blank line.
func rawPing(conn net.Conn, in *bufio.Reader, ping []byte) error {
	if _, err := conn.Write(ping); err != nil {
		return err
	}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			return nil
		}
	}
}

// handedPing sends the same bytes by a writer goroutine and gets the answer from
// a reader goroutine over bare channels: the least that a client costs whose
// reading waits for nobody.
func handedPing(b *testing.B, addr string, ping []byte) func() error {
	b.Helper()
	conn, in := greeted(b, addr)
	out, got := make(chan []byte, 1), make(chan error, 1)
	go func() {
		for p := range out {
			if _, err := conn.Write(p); err != nil {
				return // the reader tells
			}
		}
	}()
	go func() {
		for {
			line, err := in.ReadSlice('\n')
			if err != nil || len(line) <= 2 {
				got <- err
			}
			if err != nil {
				return
			}
		}
	}()
	b.Cleanup(func() {
		close(out)
		require.NoError(b, conn.Close())
		require.Error(b, <-got, "the reader ends")
	})
	return func() error {
		out <- ping
		return <-got
	}
}

// greeted connects and reads the greeting.
func greeted(b *testing.B, addr string) (net.Conn, *bufio.Reader) {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(b, err)
	in := bufio.NewReader(conn)
	_, err = in.ReadSlice('\n')
	require.NoError(b, err)
	return conn, in
}

// BenchmarkSendPing sends a Ping over loopback through the client, raw, and
// through two bare goroutines, in turns within one run. "x-raw" is the ratio of
// the client's median to the raw one, "x-handed" that to the bare goroutines'.
func BenchmarkSendPing(b *testing.B) {
	ping := []byte("Action: Ping\r\nActionID: pbx1:0123456789ab:1000\r\n\r\n")
	for _, procs := range []int{1, 2} {
		b.Run(fmt.Sprintf("procs=%d", procs), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			addr := pingServer(b)
			c, err := ami.Dial(b.Context(), ami.Node{Key: "pbx1", Addr: addr, Username: "u", Secret: ami.NewSecret("s")})
			require.NoError(b, err)
			defer c.Close()
			conn, in := greeted(b, addr)
			defer conn.Close()
			ways := []func() error{
				func() error { _, err := c.Send(b.Context(), action.Ping{}); return err },
				func() error { return rawPing(conn, in, ping) },
				handedPing(b, addr, ping),
			}
			const turn = 100
			took := make([][]time.Duration, len(ways))
			b.ReportAllocs()
			for b.Loop() {
				for i, send := range ways {
					for range turn {
						start := time.Now()
						if err := send(); err != nil {
							b.Fatal(err)
						}
						took[i] = append(took[i], time.Since(start))
					}
				}
			}
			median := func(i int) float64 {
				slices.Sort(took[i])
				return float64(took[i][len(took[i])/2])
			}
			b.ReportMetric(median(0), "p50-ns")
			b.ReportMetric(median(0)/median(1), "x-raw")
			b.ReportMetric(median(0)/median(2), "x-handed")
		})
	}
}

// BenchmarkIdleNode measures heap and stacks of a connected node that does
// nothing, the client's side only.
func BenchmarkIdleNode(b *testing.B) {
	addr := pingServer(b)
	const nodes = 200
	for b.Loop() {
		before := memoryInUse()
		var clients []*ami.Client
		for i := range nodes {
			c, err := ami.Dial(b.Context(), ami.Node{Key: fmt.Sprint("pbx", i), Addr: addr, Username: "u", Secret: ami.NewSecret("s")})
			require.NoError(b, err)
			clients = append(clients, c)
		}
		total := memoryInUse() - before
		b.ReportMetric(float64(total)/nodes/1024, "KiB/node")
		for _, c := range clients {
			require.NoError(b, c.Close())
		}
	}
}
