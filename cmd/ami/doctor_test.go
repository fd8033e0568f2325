package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
)

// verdicts runs the doctor on one node, with keys of the node and lines of the
// file besides.
func verdicts(t *testing.T, code int, addr, keys, lines string, args ...string) map[string]check {
	t.Helper()
	file := write(t, "ami.yaml", fmt.Sprintf("nodes: [{key: pbx1, addr: %q, username: admin, secret: secret%s}]\n%s", addr, keys, lines))
	e := call(t, append([]string{"doctor", "-c", file, "--json"}, args...)...)
	require.Equal(t, code, e.code, e.out+e.errs)
	found := make(map[string]check)
	for line := range strings.Lines(e.out) {
		var c check
		require.NoError(t, json.Unmarshal([]byte(line), &c))
		found[c.Step] = c
	}
	require.Len(t, found, len(steps))
	return found
}

// service is one that is no Asterisk: it says a line and waits, or closes.
func service(t *testing.T, says string, closes bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			_, _ = c.Write([]byte(says))
			if open = append(open, c); closes {
				_ = c.Close()
			}
		}
		for _, c := range open {
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

// TestDoctorOnTheWay: each failure is found at its step, and the fix names a line.
func TestDoctorOnTheWay(t *testing.T) {
	cert, key := certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	plain, secure := fake(t), fake(t, amitest.WithCertificate(pair))
	busy := fake(t, amitest.WithUser(amitest.User{Name: "admin", Secret: "secret", SingleLogin: true}))
	refusing := fake(t, amitest.WithUser(amitest.User{Name: "admin", Secret: "another"}))
	stopping := fake(t)
	stopping.SetFaults(amitest.Faults{LoginError: "Asterisk is shutting down"})
	silent := fake(t)
	silent.SetFaults(amitest.Faults{SilentAfterAction: 1})
	dying := fake(t)
	dying.SetFaults(amitest.Faults{ResetOnAction: 1})
	other, err := net.Dial("tcp", busy.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Close() })
	_, err = other.Write([]byte("Action: Login\r\nUsername: admin\r\nSecret: secret\r\n\r\n"))
	require.NoError(t, err)
	require.NoError(t, busy.WaitSessions(within(t), 1))
	const quick, greets = "login_timeout: 300ms\n", "dial_timeout: 3s\n" // which has the dial in it
	for _, tc := range []struct {
		name, addr, keys, lines string
		step, says, fix         string
	}{
		{"name", "does-not-exist.invalid", "", "", "name", "does-not-exist.invalid", "addr"},
		{"refused", dead(t).Addr(), "", "", "port", "nobody listens", "enabled = yes, bindaddr = 0.0.0.0, port = "},
		{"refused TLS", dead(t).Addr(), ", tls: {}", "", "port", "nobody listens", "tlsenable = yes, tlsbindaddr = 0.0.0.0:"},
		{"no TLS there", plain.Addr(), ", tls: {}", "", "tls", "speaks no TLS", "tlsbindaddr"},
		{"TLS there", secure.Addr(), "", "", "tls", "the port speaks TLS", "tls: {}"},
		{"authority", secure.Addr(), ", tls: {}", "", "tls", "not trusted", "tls.ca"},
		{"certificate's name", secure.Addr(), ", tls: {server_name: pbx1.example.com, ca: \"" + cert + "\"}", "", "tls", "pbx1.example.com", "tls.server_name"},
		{"another service", service(t, "SSH-2.0-OpenSSH\r\n", false), "", "", "banner", "SSH-2.0-OpenSSH", "port = 5038"},
		{"nobody greets", service(t, "", false), "", greets, "banner", "nobody greets", "port = 5038"},
		{"closes", service(t, "", true), "", "", "banner", "without a greeting", "authlimit"},
		{"wrong secret", refusing.Addr(), "", "", "login", "a wrong secret", "[admin]: secret ="},
		{"logged in already", busy.Addr(), "", "", "login", "once only", "allowmultiplelogin = yes"},
		{"shutting down", stopping.Addr(), "", "", "login", "shutting down", "core abort shutdown"},
		{"no answer", silent.Addr(), "", quick, "login", "does not answer the login", "load"},
		{"dies", dying.Addr(), "", "", "login", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			found := verdicts(t, exitFailed, tc.addr, tc.keys, tc.lines)
			reached := true
			for _, step := range steps {
				c := found[step]
				switch {
				case step == tc.step:
					reached = false
					require.Equal(t, wrongly, c.Verdict)
					require.Contains(t, c.Text, tc.says)
					require.Contains(t, c.Fix, tc.fix)
				case reached:
					require.Contains(t, []verdict{fine, doubt}, c.Verdict, step)
				default:
					require.Equal(t, skipped, c.Verdict, step)
				}
			}
		})
	}
}

// TestDoctorAfterTheLogin: what is wrong with the user, the mask or the clock.
func TestDoctorAfterTheLogin(t *testing.T) {
	for _, tc := range []struct {
		name, keys, lines string
		user              amitest.User
		set               func(*amitest.Server)
		code              int
		step              string
		verdict           verdict
		says, fix         string
	}{
		{name: "all is well", step: "privileges", verdict: fine, says: "read: system,call; write: all", set: func(srv *amitest.Server) { showsUser(srv, "system,call", "all") }},
		{name: "CLI not allowed", step: "privileges", verdict: fine, says: "write: at least agent,call", set: offersCommands},
		{
			name: "nothing to read", step: "privileges", verdict: wrongly, code: exitFailed, says: "no event will ever come", fix: "[admin]: read =",
			set: func(srv *amitest.Server) { showsUser(srv, "<none>", "all") },
		},
		{
			name: "nothing to read and no wish", keys: ", events: 'off'", step: "privileges", verdict: fine,
			set: func(srv *amitest.Server) { showsUser(srv, "<none>", "all") },
		},
		{name: "nothing to write", step: "privileges", verdict: doubt, says: "no action that needs a privilege", fix: "write =", set: func(srv *amitest.Server) {
			srv.Handle("ListCommands", func(c *amitest.Call) { c.Respond(amitest.F("Ping", "Keepalive command.  (Priv: <none>)")) })
		}},
		{name: "mask off", keys: ", events: 'off'", step: "events", verdict: fine, says: "no event will come"},
		{name: "unknown class", keys: ", events: calls", step: "events", verdict: wrongly, code: exitFailed, says: `takes the mask "calls" for off`, fix: "system,call,log"},
		{
			name: "class that may not be read", keys: ", events: 'call,cdr'", step: "events", verdict: doubt, says: "cdr", fix: "[admin]: read = ...,cdr",
			set: func(srv *amitest.Server) { showsUser(srv, "system,call", "all") },
		},
		{name: "broken events action", step: "events", verdict: doubt, says: "not answered", fix: "brokeneventsaction = no", set: func(srv *amitest.Server) {
			srv.Handle("Events", func(*amitest.Call) {})
		}},
		{name: "clock ahead", step: "clock", verdict: doubt, says: "ahead of ours", fix: "NTP", set: pingsAt(time.Hour)},
		{name: "clock behind", step: "clock", verdict: doubt, says: "behind ours", fix: "NTP", set: pingsAt(-time.Hour)},
		{name: "clock is right", step: "clock", verdict: fine, says: "within"},
		{
			name: "one session only", lines: "action_lanes: 1\n", step: "sessions", verdict: wrongly, code: exitFailed, says: "action lane", fix: "allowmultiplelogin = yes",
			user: amitest.User{Name: "admin", Secret: "secret", SingleLogin: true},
		},
		{name: "two sessions", lines: "action_lanes: 1\n", step: "sessions", verdict: fine, says: "2 sessions"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var opts []amitest.Option
			if tc.user.Name != "" {
				opts = append(opts, amitest.WithUser(tc.user))
			}
			srv := fake(t, opts...)
			if tc.set != nil {
				tc.set(srv)
			}
			c := verdicts(t, tc.code, srv.Addr(), tc.keys, tc.lines)[tc.step]
			require.Equal(t, tc.verdict, c.Verdict, c.Text)
			require.Contains(t, c.Text, tc.says)
			require.Contains(t, c.Fix, tc.fix)
		})
	}
}

// offersCommands makes a fake answer ListCommands as Asterisk does to a user with
// few privileges.
func offersCommands(srv *amitest.Server) {
	srv.Handle("ListCommands", func(c *amitest.Call) {
		c.Respond(amitest.F("Atxfer", "Attended transfer.  (Priv: call,all)"), amitest.F("QueueAdd", "Add.  (Priv: agent,all)"))
	})
}

// pingsAt makes a fake whose clock is wrong.
func pingsAt(ahead time.Duration) func(*amitest.Server) {
	return func(srv *amitest.Server) {
		srv.Handle("Ping", func(c *amitest.Call) {
			c.Respond(amitest.F("Ping", "Pong"), amitest.F("Timestamp", fmt.Sprintf("%.6f", float64(time.Now().Add(ahead).UnixMicro())/1e6)))
		})
	}
}

// TestDoctorText is how it looks.
func TestDoctorText(t *testing.T) {
	srv := fake(t)
	showsUser(srv, "system,call", "all")
	e := call(t, "doctor", "-c", nodes(t, srv))
	require.Zero(t, e.code, e.errs)
	golden(t, "doctor-good", e.out, append(scrub, `within \d+m?s`, "within TIME")...)
	e = call(t, "doctor", "-c", nodes(t, dead(t)))
	require.Equal(t, exitFailed, e.code)
	golden(t, "doctor-dead", e.out+"stderr\n"+e.errs, append(scrub, `port = \d+`, "port = PORT")...)
}

// TestDoctorTimeout: a time that is too short is no fault of the node's.
func TestDoctorTimeout(t *testing.T) {
	srv := fake(t)
	srv.SetFaults(amitest.Faults{LoginDelay: time.Hour})
	c := verdicts(t, exitFailed, srv.Addr(), "", "", "--timeout", "100ms")["port"]
	require.Contains(t, c.Text, "the time of --timeout is up, still ")
}
