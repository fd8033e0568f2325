package amiprom_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/asynclog"
	amiprom "github.com/apn/ami/telemetry/prometheus"
)

// floodServerEnv makes the test binary a server in a process of its own.
const floodServerEnv = "AMI_FLOOD_SERVER"

// floodEvents is how many events the server sends with the answer to a
// CoreStatus.
const floodEvents = 50_000

// serveFloods is that process. It ends with its standard input.
func serveFloods() error {
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
			go floodOnDemand(conn)
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func floodOnDemand(conn net.Conn) {
	defer conn.Close()
	const batch = 100
	events := strings.Repeat("Event: Newexten\r\nPrivilege: dialplan,all\r\nChannel: PJSIP/2001-0000002a\r\nAppData: "+
		strings.Repeat("x", 330)+"\r\n\r\n", batch)
	in := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, "Asterisk Call Manager/11.0.0\r\n") // reading tells
	var name, id string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if v, ok := strings.CutPrefix(line, "Action: "); ok {
			name = strings.TrimSpace(v)
		}
		if strings.HasPrefix(line, "ActionID: ") {
			id = line
		}
		if len(line) > 2 {
			continue
		}
		_, _ = io.WriteString(conn, "Response: Success\r\n"+id+"\r\n")
		if name == "CoreStatus" {
			for range floodEvents / batch {
				_, _ = io.WriteString(conn, events)
			}
		}
	}
}

func floodServer(b *testing.B) string {
	b.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), os.Args[0]) // ended by its input
	cmd.Env = append(os.Environ(), floodServerEnv+"=1")
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		require.NoError(b, in.Close())
		require.NoError(b, cmd.Wait())
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(b, err)
	return strings.TrimSpace(addr)
}

// A side is one of the two clients that are compared.
type side struct {
	client *ami.Client
	events *ami.Subscription
	took   []time.Duration
}

func newSide(b *testing.B, addr string, opts ...ami.Option) *side {
	b.Helper()
	c, err := ami.Dial(b.Context(), ami.Node{Key: "pbx1", Addr: addr, Username: "u", Secret: ami.NewSecret("s")},
		append(opts, ami.WithEventQueue(1_000_000))...)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Close()) })
	return &side{client: c, events: c.Subscribe(ami.Buffer(2 * floodEvents))}
}

// flood takes all events of a flood.
func (s *side) flood(b *testing.B) {
	b.Helper()
	start := time.Now()
	_, err := s.client.Send(b.Context(), action.CoreStatus{})
	require.NoError(b, err)
	got := 0
	for e, err := range s.events.All(b.Context()) {
		require.NoError(b, err)
		if e.Get("Channel") == "" || e.Lost > 0 {
			b.Fatal("not what was sent")
		}
		if got++; got == floodEvents {
			break
		}
	}
	s.took = append(s.took, time.Since(start))
}

func (s *side) ping(b *testing.B) {
	b.Helper()
	start := time.Now()
	if _, err := s.client.Send(b.Context(), action.Ping{}); err != nil {
		b.Fatal(err)
	}
	s.took = append(s.took, time.Since(start))
}

func (s *side) median() float64 {
	slices.Sort(s.took)
	return float64(s.took[len(s.took)/2])
}

// sides returns a client without anything, and one that logs at Info and is
// measured, with what is scraped of it.
func sides(b *testing.B) (none, observed *side, scrape func() error) {
	b.Helper()
	addr := floodServer(b)
	log, err := asynclog.New(slog.NewTextHandler(io.Discard, nil))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, log.Close(context.WithoutCancel(b.Context()))) })
	metrics := amiprom.NewCollector(amiprom.WithLogDrops(func() map[asynclog.Reason]uint64 { return log.Stats().Dropped }))
	registry := prometheus.NewRegistry()
	require.NoError(b, registry.Register(metrics))
	srv := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	b.Cleanup(srv.Close)
	none = newSide(b, addr)
	observed = newSide(b, addr, ami.WithObserver(metrics), ami.WithLogger(slog.New(log)))
	metrics.WatchClient(observed.client)
	return none, observed, func() error {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, srv.URL, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := srv.Client().Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
}

// BenchmarkObservedEvents takes events over loopback, with logging at Info and
// metrics that are scraped once a second, and without, in turns within one run.
// "x-none" is the ratio of the medians of the rounds.
func BenchmarkObservedEvents(b *testing.B) {
	none, observed, scrape := sides(b)
	var sinceScrape time.Duration
	measured := func() {
		scraped := make(chan error, 1)
		if sinceScrape >= time.Second {
			sinceScrape = 0
			go func() { scraped <- scrape() }()
		} else {
			scraped <- nil
		}
		observed.flood(b)
		require.NoError(b, <-scraped)
		sinceScrape += observed.took[len(observed.took)-1]
	}
	for first := false; b.Loop(); first = !first { // each goes first as often
		if first {
			measured()
			none.flood(b)
		} else {
			none.flood(b)
			measured()
		}
	}
	require.Zero(b, observed.client.Stats().Delivery.Dropped)
	b.ReportMetric(none.median()/floodEvents, "none-ns/event")
	b.ReportMetric(observed.median()/floodEvents, "observed-ns/event")
	b.ReportMetric(observed.median()/none.median(), "x-none")
}

// BenchmarkObservedPing is the same for actions, which cost an observer each.
func BenchmarkObservedPing(b *testing.B) {
	none, observed, _ := sides(b)
	for b.Loop() {
		for range 100 {
			none.ping(b)
		}
		for range 100 {
			observed.ping(b)
		}
	}
	b.ReportMetric(none.median(), "none-ns")
	b.ReportMetric(observed.median(), "observed-ns")
	b.ReportMetric(observed.median()/none.median(), "x-none")
}
