package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/embedded"
)

// A bridged is a process of "ami bridge" and where it is.
type bridged struct {
	*listener
	at struct{ NATS, HTTP, Data string }
	js jetstream.JetStream
	nc *nats.Conn
}

func startBridge(t *testing.T, file, data string, args ...string) *bridged {
	t.Helper()
	b := &bridged{listener: start(t, append([]string{
		"bridge", "-c", file, "--data", data, "--nats-port", "0", "--http", "127.0.0.1:0", "--instance", "test", "--json",
	}, args...)...)}
	require.NoError(t, json.Unmarshal([]byte(b.line(t)), &b.at))
	var err error
	b.nc, err = nats.Connect(b.at.NATS)
	require.NoError(t, err)
	t.Cleanup(b.nc.Close)
	b.js, err = jetstream.New(b.nc)
	require.NoError(t, err)
	return b
}

// get asks for a page.
func (b *bridged) get(t *testing.T, path string) (code int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+b.at.HTTP+path, http.NoBody)
	require.NoError(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}

// next waits for the next record of a subject and returns its payload.
func (b *bridged) next(t *testing.T, subject string) string {
	t.Helper()
	var c jetstream.Consumer
	require.Eventually(t, func() bool {
		var err error
		c, err = b.js.OrderedConsumer(within(t), "AMI", jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverAllPolicy})
		return err == nil
	}, soon, 10*time.Millisecond)
	m, err := c.Next(jetstream.FetchMaxWait(soon))
	require.NoError(t, err, subject)
	return string(m.Data())
}

// TestBridge: the whole command, with the NATS server in its process.
func TestBridge(t *testing.T) {
	t.Parallel()
	srv, other, data := fake(t), fake(t), t.TempDir()
	file := nodes(t, srv)
	b := startBridge(t, file, data)
	require.NoError(t, srv.WaitSessions(within(t), 1))
	hangup(srv, "PJSIP/2001-1", 17)
	require.Contains(t, b.next(t, "ami.events.pbx1.Hangup"), `"event":"Hangup","headers":{"Event":"Hangup"`)

	ask := func(node, request string) string {
		answer, err := b.nc.Request("ami.actions."+node, []byte(request), soon)
		require.NoError(t, err)
		return string(answer.Data)
	}
	require.Contains(t, ask("pbx1", `{"action":"Ping"}`), `"ok":true,"node":"pbx1"`)
	require.Contains(t, ask("any", `{"action":"Originate","headers":{"Channel":"Local/1@default"}}`), `"code":"not_allowed"`)

	code, body := b.get(t, "/readyz")
	require.Equal(t, http.StatusOK, code, body)
	code, body = b.get(t, "/metrics")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, `ami_bridge_requests_total{outcome="not_allowed"} 1`)
	require.Contains(t, body, `ami_session_state{`)
	_, body = b.get(t, "/nodes")
	require.Contains(t, body, `"node":"pbx1"`)

	require.NoError(t, os.WriteFile(file, []byte(yaml(srv, other)), 0o600))
	require.NoError(t, b.Process.Signal(syscall.SIGHUP))
	require.NoError(t, other.WaitSessions(within(t), 1))
	hangup(other, "PJSIP/2002-1", 16)
	b.next(t, "ami.events.pbx2.Hangup")
	require.Zero(t, b.ends(t, syscall.SIGTERM), b.errs.String())

	again := startBridge(t, file, data, "--cloudevents")
	gap := again.next(t, "ami.events.pbx1.Gap")
	require.Contains(t, gap, `"specversion":"1.0"`)
	require.Contains(t, gap, `the bridge was restarted`)
	require.Zero(t, again.ends(t, syscall.SIGTERM), again.errs.String())
}

// TestBridgeRefuses: wrong calls, and addresses and folders that are in use.
func TestBridgeRefuses(t *testing.T) {
	srv := fake(t)
	file := nodes(t, srv)
	_, taken, err := net.SplitHostPort(srv.Addr())
	require.NoError(t, err)
	for _, tc := range []struct {
		name string
		args []string
		code int
		text string
	}{
		{"leases without NATS", []string{"--leases"}, exitUsage, "--leases needs --nats"},
		{"leases over Redis", []string{"--leases", "--redis", "redis://127.0.0.1:1"}, exitUsage, "--leases needs --nats"},
		{"two brokers", []string{"--nats", "nats://127.0.0.1:1", "--redis", "redis://127.0.0.1:1"}, exitUsage, "exclude each other"},
		{"requests over Redis", []string{"--allow", "Ping", "--redis", "redis://127.0.0.1:1"}, exitUsage, "--allow needs NATS"},
		{"credentials of NATS for Redis", []string{"--nats-creds", "none", "--redis", "redis://127.0.0.1:1"}, exitUsage, "needs --nats"},
		{"length without Redis", []string{"--redis-maxlen", "7"}, exitUsage, "needs --redis"},
		{"bad length", []string{"--redis-maxlen", "0", "--redis", "redis://127.0.0.1:1"}, exitUsage, "must be positive"},
		{"no URL of Redis", []string{"--redis", "redis://u:hidden@%zz"}, exitUsage, "must be a URL"},
		{"another URL for Redis", []string{"--redis", "nats://u:hidden@127.0.0.1:1"}, exitUsage, "must be like redis://"},
		{"a user of Redis alone", []string{"--redis", "redis://u@127.0.0.1:1"}, exitUsage, "needs Password"},
		{"source without envelope", []string{"--source", "/x"}, exitUsage, "--cloudevents"},
		{"no data", []string{"--data", ""}, exitUsage, "--data"},
		{"bad grace", []string{"--grace", "-1s"}, exitUsage, "--grace"},
		{"small spool", []string{"--spool-bytes", "1"}, exitUsage, "--spool-bytes"},
		{"credentials that are not there", []string{"--nats", "nats://127.0.0.1:1", "--nats-creds", "none"}, exitUsage, "--nats-creds"},
		{"credentials without NATS", []string{"--nats-creds", "none"}, exitUsage, "needs --nats"},
		{"allow of an unknown node", []string{"--allow", "pbx3=Ping"}, exitUsage, "did you mean pbx1?"},
		{"allow of nothing", []string{"--allow", "pbx1="}, exitUsage, "which action?"},
		{"allow of no pattern", []string{"--allow", "[a"}, exitUsage, "pattern"},
		{"bad instance", []string{"--instance", "a b"}, exitUsage, "--instance"},
		{"bad port of NATS", []string{"--nats-port", "65536"}, exitUsage, "--nats-port"},
		{"port of NATS in use", []string{"--nats-port", taken}, exitFailed, "in use"},
		{"bad address of health", []string{"--http", "nowhere"}, exitFailed, "--http"},
		{"a password in what is no URL", []string{"--nats", "nats://u:hidden@%zz"}, exitUsage, "must be a URL"},
		{"a password without a scheme", []string{"--nats", "u:hidden@127.0.0.1:1"}, exitUsage, "must be a URL"},
		{"credentials in place of their file", []string{"--nats", "nats://127.0.0.1:1", "--nats-creds", "-----BEGIN\nhidden"}, exitUsage, "name of a file"},
		{"config", []string{"-c", "none.yaml"}, exitConfig, "none.yaml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"bridge", "-c", file, "--data", t.TempDir(), "--nats-port", "0", "--http", ""}, tc.args...)...)
			require.Equal(t, tc.code, e.code, e.errs)
			require.Contains(t, e.errs, tc.text)
			require.NotContains(t, e.errs, "hidden")
		})
	}
}

// TestBridgeLeases: two processes share two nodes, and one takes over what the
// other leaves.
func TestBridgeLeases(t *testing.T) {
	t.Parallel()
	broker, err := embedded.Start(within(t), embedded.Options{Dir: t.TempDir(), Port: embedded.AnyPort})
	require.NoError(t, err)
	defer func() { require.NoError(t, broker.Close()) }()
	file := nodes(t, fake(t), fake(t))
	a := startBridge(t, file, t.TempDir(), "--nats", broker.URL(), "--leases", "--instance", "a")
	a.hasReady(t, 2)
	b := startBridge(t, file, t.TempDir(), "--nats", broker.URL(), "--leases", "--instance", "b")
	a.hasReady(t, 1)
	b.hasReady(t, 1)
	require.Zero(t, a.ends(t, syscall.SIGTERM), a.errs.String())
	b.hasReady(t, 2)
	require.Zero(t, b.ends(t, syscall.SIGTERM), b.errs.String())
	b.nc.Close()
	a.nc.Close()
}

// hasReady waits until the process has so many nodes, and all are ready.
func (b *bridged) hasReady(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, body := b.get(t, "/readyz")
		return strings.Contains(body, fmt.Sprintf(`"nodes":%d,"nodes_ready":%d`, n, n))
	}, soon, 50*time.Millisecond, b.errs)
}

func TestParseAllow(t *testing.T) {
	none, err := parseAllow(nil, nil)
	require.NoError(t, err)
	require.Nil(t, none)
	got, err := parseAllow([]string{"Ping", "Queue*", "pbx1=Originate", "any=readonly", "pbx2=none"}, []string{"pbx1", "pbx2"})
	require.NoError(t, err)
	require.Equal(t, bridge.Allow{
		bridge.AllNodes: {"Ping", "Queue*"}, "pbx1": {"Originate"}, bridge.AnyNode: bridge.ReadOnly(), "pbx2": {},
	}, got)
}
