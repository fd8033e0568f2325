package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/config"
)

// scrub replaces what differs from run to run.
var scrub = []string{
	`\d+\.\d\d ms`, "TIME", `"latency_ms":[\d.]+`, `"latency_ms":TIME`, `127\.0\.0\.1:\d+`, "ADDR",
	`"ActionID":"[^"]*"`, `"ActionID":"ID"`, `\d{10}\.\d{6}`, "STAMP", `\d{10}\.\d+`, "UNIQUEID",
}

// sorted puts lines in order: nodes answer as they like.
func sorted(text string) string {
	lines := strings.SplitAfter(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// dead returns a server that is not there.
func dead(t *testing.T) *amitest.Server {
	srv := fake(t)
	addr, err := net.ResolveTCPAddr("tcp", srv.Addr())
	require.NoError(t, err)
	srv.Drop()
	// Who has bound the port and does not listen keeps it from being another's.
	held, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(held) })
	require.NoError(t, syscall.Bind(held, &syscall.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}))
	return srv
}

func TestPing(t *testing.T) {
	file := nodes(t, fake(t), dead(t))
	for _, tc := range []struct {
		name string
		args []string
		code int
	}{
		{"all", nil, exitFailed},
		{"all-json", []string{"--json"}, exitFailed},
		{"good", []string{"--node", "pbx1"}, exitOK},
		{"good-json", []string{"--node", "pbx1", "--json"}, exitOK},
		{"dead", []string{"--node", "pbx2"}, exitFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"ping", "-c", file}, tc.args...)...)
			require.Equal(t, tc.code, e.code)
			golden(t, "ping-"+tc.name, sorted(e.out)+"stderr\n"+e.errs, scrub...)
		})
	}
}

// TestPingWithFlags: one server needs no file, and $AMI_SECRET will do.
func TestPingWithFlags(t *testing.T) {
	srv := fake(t)
	t.Setenv("AMI_SECRET", "secret")
	e := call(t, "ping", "--addr", srv.Addr(), "--user", "admin")
	require.Zero(t, e.code, e.errs)
	require.Regexp(t, `^127\.0\.0\.1  \d+\.\d\d ms\n$`, e.out)
	require.Empty(t, e.errs)

	t.Setenv("AMI_SECRET", "canary")
	e = call(t, "ping", "--addr", srv.Addr(), "--user", "admin")
	require.Equal(t, exitFailed, e.code)
	require.Contains(t, e.errs, "login refused")
	require.NotContains(t, e.errs, "canary")
}

// TestTimeout: a node that does not answer costs --timeout and no more.
func TestTimeout(t *testing.T) {
	silent := fake(t)
	silent.SetFaults(amitest.Faults{SilentAfterAction: 1})
	file := write(t, "ami.yaml", yaml(silent)+"login_timeout: 5m\ndial_timeout: 5m\n") // they end nothing
	e := call(t, "ping", "-c", file, "--timeout", "300ms", "--json")
	require.Equal(t, exitFailed, e.code)
	require.Regexp(t, `{"node":"pbx1","ok":false,"error":"the time of --timeout is up, still \w+"}`, e.out)
}

// TestTimeoutOfOne: the others have answered by then.
func TestTimeoutOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, silent := amitest.NewServer(), amitest.NewServer()
		defer good.Close()
		defer silent.Close()
		silent.SetFaults(amitest.Faults{SilentAfterAction: 1})
		c, err := config.Parse([]byte("defaults: {username: admin, secret: secret}\nnodes: [{key: pbx1, addr: 192.0.2.1}, {key: pbx2, addr: 192.0.2.2}]\n"), nil)
		require.NoError(t, err)
		s, err := connect(t.Context(), c, "", nil, ami.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == "192.0.2.1:5038" {
				return good.DialContext(ctx, network, addr)
			}
			return silent.DialContext(ctx, network, addr)
		}))
		require.NoError(t, err)
		defer s.close()
		start := time.Now()
		bounded, cancel := limited(t.Context(), 300*time.Millisecond)
		defer cancel()
		became := make(map[string]string)
		for got := range each(bounded, s, func(ctx context.Context, c *ami.Client) (*ami.Response, error) { return c.Send(ctx, action.Ping{}) }) {
			became[got.node] = "ok"
			if got.err != nil {
				became[got.node] = explain(got.node, got.err)
			}
		}
		require.Equal(t, map[string]string{"pbx1": "ok", "pbx2": "the time of --timeout is up, still authenticating"}, became)
		require.Equal(t, 300*time.Millisecond, time.Since(start), "and no more")
	})
}

// TestInterruptedAsking: Ctrl-C ends it, with the code for that.
func TestInterruptedAsking(t *testing.T) {
	silent := fake(t)
	silent.SetFaults(amitest.Faults{SilentAfterAction: 2})
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		l := start(t, "ping", "-c", nodes(t, silent))
		require.NoError(t, silent.WaitSessions(within(t), 1))
		require.Equal(t, exitInterrupted, l.ends(t, signal))
		require.Equal(t, "ami ping: interrupted\n", l.errs.String())
		require.NoError(t, silent.WaitConnections(within(t), 0))
	}
}

func TestSend(t *testing.T) {
	few := amitest.WithUser(amitest.User{Name: "admin", Secret: "secret", Read: amitest.ClassAll, Write: amitest.ClassUser | amitest.ClassReporting})
	srv := fake(t, few)
	srv.Handle("QueueAdd", func(c *amitest.Call) { c.Success("Added interface to queue") }, amitest.ClassUser)
	srv.Handle("MyAction", func(c *amitest.Call) {
		c.ListStart("Mine follow")
		c.Event("Mine", amitest.F("Name", "\x1b[1mone"), amitest.F("Variable", "a=1"), amitest.F("Variable", "b=2"))
		c.Event("Mine", amitest.F("Name", "two"))
		c.ListComplete("MineComplete", 2)
	})
	file := nodes(t, srv)
	for _, tc := range []struct {
		name string
		args []string
		code int
	}{
		{"ping", []string{"ping"}, exitOK},
		{"header", []string{"QueueAdd", "Queue=support", "Interface=PJSIP/2001=x"}, exitOK},
		{"list", []string{"MyAction", "--custom"}, exitOK},
		{"list-json", []string{"MyAction", "--custom", "--json"}, exitOK},
		{"refused", []string{"CoreShowChannelMap", "Channel=x"}, exitFailed},
		{"denied", []string{"Originate", "Channel=x", "Application=Wait"}, exitFailed},
		{"denied-json", []string{"Originate", "Channel=x", "Application=Wait", "--json"}, exitFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"send", "-c", file}, tc.args...)...)
			require.Equal(t, tc.code, e.code, e.errs)
			golden(t, "send-"+tc.name, e.out+"stderr\n"+e.errs, scrub...)
		})
	}
	entry, err := srv.WaitLedger(within(t), func(e amitest.Entry) bool { return e.Action == "QueueAdd" })
	require.NoError(t, err)
	require.Contains(t, entry.Fields, amitest.F("Interface", "PJSIP/2001=x"))
}

// TestSendRefuses: nothing is connected for a call that is wrong.
func TestSendRefuses(t *testing.T) {
	srv := fake(t)
	file := nodes(t, srv)
	for _, tc := range []struct {
		name string
		args []string
		says string
	}{
		{"nothing", nil, "requires at least 1 arg"},
		{"unknown action", []string{"CoreShowChanels"}, `has the action "CoreShowChanels": did you mean CoreShowChannels?; --custom sends it`},
		{"no value", []string{"Ping", "Queue"}, `"Queue" must be Key=Value`},
		{"line end", []string{"Getvar", "Variable=x\r\nAction: Originate"}, `header "Variable"`},
		{"line end in the name", []string{"Getvar", "Vari\nable=x"}, "header"},
		{"line end in the action", []string{"--custom", "Ping\r\nAction: Originate"}, "action"},
		{"no name", []string{"Getvar", "=x"}, "the name is empty"},
		{"own id", []string{"Ping", "actionid=7"}, "ActionID is set by the command"},
		{"too long", []string{"Getvar", "Variable=" + strings.Repeat("x", 1100)}, `header "Variable"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"send", "-c", file}, tc.args...)...)
			require.Equal(t, exitUsage, e.code, e.errs)
			require.Contains(t, e.errs, tc.says)
		})
	}
	require.Empty(t, srv.Ledger())
}

// TestActionNames: the list is that of docs/actions.md, and each is an action.
func TestActionNames(t *testing.T) {
	doc, err := os.ReadFile("../../docs/actions.md")
	require.NoError(t, err)
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\w+) \|`).FindAllStringSubmatch(string(doc), -1) {
		if m[1] != "action" {
			names = append(names, m[1])
		}
	}
	if *update {
		require.NoError(t, os.WriteFile("actions.txt", []byte(strings.Join(names, "\n")+"\n"), 0o600))
	}
	require.Equal(t, names, strings.Fields(actionNames), "go test -run TestActionNames -update writes it")
	for _, name := range names {
		facts, ok := action.Lookup(name)
		require.True(t, ok && facts.Name == name, name)
	}
	e := call(t, "__complete", "send", "Core")
	require.Contains(t, firstWords(e.out), "CoreShowChannels")
}

func TestCommand(t *testing.T) {
	one, two := fake(t), fake(t, amitest.WithVersion("9.0.0", "20.20.1"), amitest.WithUser(amitest.User{Name: "admin", Secret: "secret", Write: amitest.ClassCall}))
	file := nodes(t, one, two)
	for _, tc := range []struct {
		name string
		args []string
		code int
	}{
		{"one", []string{"core show version", "--node", "pbx1"}, exitOK},
		{"words", []string{"core", "show", "version", "--node", "pbx1", "--json"}, exitOK},
		{"unknown", []string{"core shw version", "--node", "pbx1"}, exitFailed},
		{"unknown-json", []string{"core shw version", "--node", "pbx1", "--json"}, exitFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"command", "-c", file}, tc.args...)...)
			require.Equal(t, tc.code, e.code, e.errs)
			golden(t, "command-"+tc.name, e.out+"stderr\n"+e.errs, scrub...)
		})
	}
	e := call(t, "command", "-c", file, "core show version\r\nAction: Originate")
	require.Equal(t, exitUsage, e.code)
	require.Contains(t, e.errs, `header "Command"`)

	e = call(t, "command", "-c", file, "core show version") // one of them may not
	require.Equal(t, exitFailed, e.code)
	require.Regexp(t, `^pbx1:\nAsterisk 22.*\n$`, e.out)
	require.Equal(t, "ami command: pbx2: refused: Permission denied; Command needs write = command in the user's section of manager.conf\nami command: 1 of 2 nodes failed\n", e.errs)
}

func TestOriginate(t *testing.T) {
	one, two := fake(t), fake(t)
	file := nodes(t, one, two)
	to := []string{"--context", "default", "--exten", "100"}
	for _, tc := range []struct {
		name string
		args []string
		code int
	}{
		{"answered", append([]string{"PJSIP/2001", "-n", "pbx1"}, to...), exitOK},
		{"answered-json", append([]string{"PJSIP/2001", "-n", "pbx1", "--json"}, to...), exitOK},
		{"busy", append([]string{"PJSIP/busy", "-n", "pbx1"}, to...), exitFailed},
		{"busy-json", append([]string{"PJSIP/busy", "--all", "--json"}, to...), exitFailed},
		{"queued", append([]string{"PJSIP/busy", "-n", "pbx2", "--queued"}, to...), exitOK},
		{"refused", append([]string{"nosuch", "-n", "pbx2"}, to...), exitFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"originate", "-c", file}, tc.args...)...)
			require.Equal(t, tc.code, e.code, e.errs)
			golden(t, "originate-"+tc.name, sorted(e.out)+"stderr\n"+e.errs, append(scrub, `-0000\d+`, "-N")...)
		})
	}
	e := call(t, "originate", "-c", file, "PJSIP/2001", "-n", "pbx2", "--application", "Wait", "--data", "1", "--var", "A=1,2", "--caller-id", `"Bob" <100>`, "--ring", "5s")
	require.Zero(t, e.code, e.errs)
	entry, err := two.WaitLedger(within(t), func(e amitest.Entry) bool {
		return slices.Contains(e.Fields, amitest.F("Application", "Wait"))
	})
	require.NoError(t, err)
	for _, f := range []string{"Channel: PJSIP/2001", `Variable: A=1\,2`, `CallerID: "Bob" <100>`, "Timeout: 5000", "Async: true"} {
		key, value, _ := strings.Cut(f, ": ")
		require.Contains(t, entry.Fields, amitest.F(key, value))
	}
}

// TestOriginateRefuses: no call without an explicit choice, and none that is wrong.
func TestOriginateRefuses(t *testing.T) {
	srv := fake(t)
	file := nodes(t, srv, srv)
	for _, tc := range []struct{ name, args, says string }{
		{"no node", "PJSIP/1 --application Wait", "--node KEY, or --all for a call on each of pbx1, pbx2"},
		{"no channel", "--application Wait --all", "accepts 1 arg"},
		{"no target", "PJSIP/1 --all", "Exten or Application is required"},
		{"exten alone", "PJSIP/1 --exten 1 --all", "context"},
		{"both", "PJSIP/1 --exten 1 --context d --application Wait --all", "none of the others can be"},
		{"variable", "PJSIP/1 --application Wait --var A --all", "NAME=VALUE"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"originate", "-c", file}, strings.Fields(tc.args)...)...)
			require.Equal(t, exitUsage, e.code, e.errs)
			require.Contains(t, e.errs, tc.says)
		})
	}
	require.Empty(t, srv.Ledger())
	t.Setenv("AMI_SECRET", "secret")
	e := call(t, "originate", "--addr", srv.Addr(), "--user", "admin", "PJSIP/1", "--application", "Wait", "--data", "1")
	require.Zero(t, e.code, "one server is a choice: %s", e.errs)
}

// TestAskingOnTerminal: colours there and nowhere else.
func TestAskingOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	file := nodes(t, fake(t))
	require.Contains(t, onTerminal(t, process(t.Context(), "send", "Ping", "-c", file)), "\x1b[32mSuccess\x1b[0m")
	out, err := process(t.Context(), "send", "Ping", "-c", file).Output()
	require.NoError(t, err)
	require.NotContains(t, string(out), "\x1b[")
}

// TestAllJSONIsJSON: whatever comes, each line is an object with node and ok.
func TestAllJSONIsJSON(t *testing.T) {
	file := nodes(t, fake(t), dead(t))
	for _, args := range []string{"ping", "send CoreStatus", "command core show version", "originate PJSIP/1 --all --application Wait --data 1"} {
		e := call(t, append(strings.Fields(args), "-c", file, "--json")...)
		require.Equal(t, exitFailed, e.code, "%s: %s", args, e.errs)
		ok := make(map[string]bool)
		for line := range strings.Lines(e.out) {
			var o outcome
			require.NoError(t, json.Unmarshal([]byte(line), &o), line)
			ok[o.Node] = o.OK
			require.Equal(t, o.OK, o.Error == "")
		}
		require.Equal(t, map[string]bool{"pbx1": true, "pbx2": false}, ok, args)
	}
}
