package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
)

func TestDemoOfOneNode(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"demo", "--nodes", "1", "--for", "8s", "--rate", "5"}, &out, &errs), errs.String())
	for _, want := range []string{"logged in", "Asterisk Call Manager/", "Ping answered in", "Channels:", "in all", "Newchannel", "gap: away for", "between sessions 1 and 2", "ready -> disconnected", "authenticating -> ready", "events received", "1 gaps; 2 logins, 1 sessions lost"} {
		require.Contains(t, out.String(), want)
	}
	require.Empty(t, errs.String())
}

// TestDemoOfManyNodes wants the whole story on a machine that may be busy. There a
// server may be asked for its channels before the goroutine that makes its calls
// has made the first: a login takes some milliseconds.
func TestDemoOfManyNodes(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"demo", "--for", "12s", "--rate", "5"}, &out, &errs), errs.String())
	for _, want := range []string{
		`(?m)^  pbx1 .*Asterisk Call Manager/`, `all logged in after`, `pbx3 +\d+\.\d\d ms`, `\d+ channels on [0-3] nodes`, `Asterisk 22`,
		`pbx3 starts to flood`, `(?m) pbx3  [\d,]+ events in the last`,
		`pbx2 is killed`, `pbx2  -- connection lost: `, `pbx2  -- logged in again, session 2`, `pbx2  -- gap: away for .* between sessions 1 and 2`,
		`before the flood +\d+ events +median .* ms  worst .* ms`, `during the flood +\d+ events +median .* ms  worst .* ms`,
		`(?m)^pbx1 +\d+ +0 +0 +0$`, `(?m)^pbx2 +\d+ +0 +0 +1$`, `(?m)^pbx3 +[\d,]+ +[\d,]+ +[\d,]+ +0$`,
	} {
		require.Regexp(t, want, out.String())
	}
	require.Less(t, strings.Count(out.String(), "\n"), 100, "for a person to read")
	require.Empty(t, errs.String())
}

// TestDemoOfTwoNodes has a death and no flood.
func TestDemoOfTwoNodes(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"demo", "--nodes", "2", "--for", "8s"}, &out, &errs), errs.String())
	require.Contains(t, out.String(), "pbx2  -- gap: away for")
	require.NotContains(t, out.String(), "flood")
	require.Empty(t, errs.String())
}

// TestDemoJSON: each line is an object.
func TestDemoJSON(t *testing.T) {
	for _, nodes := range []string{"1", "3"} {
		e := call(t, "demo", "--nodes", nodes, "--for", "100ms", "--json")
		require.Zero(t, e.code, e.errs)
		for line := range strings.Lines(e.out) {
			var told struct{ Text string }
			require.NoError(t, json.Unmarshal([]byte(line), &told), line)
			require.NotEmpty(t, told.Text)
		}
		require.Contains(t, e.out, "core show version")
	}
}

func TestDemoOnAServer(t *testing.T) {
	srv := amitest.NewServer(amitest.WithTCP(), amitest.WithCalls(10))
	defer srv.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	for _, tc := range []struct {
		name, secret string
		code         int
		out, errs    string
	}{
		{"right secret", "secret\n", 0, "1 logins, 0 sessions lost", ""},
		{"wrong secret", "canary\n", 1, "", "login refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(secret, []byte(tc.secret), 0o600))
			var out, errs bytes.Buffer
			code := run(t.Context(), []string{"demo", "--for", "1s", "--addr", srv.Addr(), "--user", "admin", "--secret-file", secret}, &out, &errs)
			require.Equal(t, tc.code, code, errs.String())
			require.Contains(t, out.String(), tc.out)
			require.Contains(t, errs.String(), tc.errs)
			require.NotContains(t, out.String()+errs.String(), "canary")
		})
	}
}

// TestDemoObeysNobody: control characters that a server sends are shown, not obeyed.
func TestDemoObeysNobody(t *testing.T) {
	srv := fake(t)
	srv.Handle("Command", func(c *amitest.Call) {
		c.Success("", amitest.F("Output", "\x1b[2J\u009b2J\u202e\xff"))
	})
	secret := write(t, "secret", "secret")
	e := call(t, "demo", "--for", "10ms", "--addr", srv.Addr(), "--user", "admin", "--secret-file", secret)
	require.Zero(t, e.code, e.errs)
	require.Contains(t, e.out, `  \x1b[2J\u009b2J\u202e\xff`+"\n")
	for line := range strings.Lines(e.out) {
		line = strings.TrimSuffix(line, "\n")
		require.Equal(t, clean(line), line)
	}
}

// A breaker ends a context when a line that it waits for is printed.
type breaker struct {
	bytes.Buffer
	at  string
	end context.CancelFunc
}

func (b *breaker) Write(p []byte) (int, error) {
	if strings.Contains(string(p), b.at) {
		b.end()
	}
	return b.Buffer.Write(p)
}

func TestDemoInterrupted(t *testing.T) {
	for _, tc := range []struct{ name, nodes, at, says string }{
		{"before the login", "1", "", "interrupted before the login"},
		{"at the events", "1", "Events:", "1 logins, 0 sessions lost"},
		{"many, before the logins", "50", "", "interrupted before the events"},
		{"many, before the actions", "3", "all logged in", "interrupted before the events"},
		{"many, in the flood", "3", "starts to flood", "(?m)^interrupted$"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tc.at == "" {
				cancel()
			}
			out := breaker{at: tc.at, end: cancel}
			var errs bytes.Buffer
			require.Zero(t, run(ctx, []string{"demo", "--nodes", tc.nodes, "--for", "5s"}, &out, &errs), errs.String())
			require.Regexp(t, tc.says, out.String())
			require.Empty(t, errs.String())
		})
	}
}

// TestDemoWithFewPrivileges wants refused actions to be shown, not to end it.
func TestDemoWithFewPrivileges(t *testing.T) {
	srv := amitest.NewServer(amitest.WithTCP(), amitest.WithUser(amitest.User{Name: "watcher", Secret: "secret", Read: amitest.ClassAll, Write: amitest.ClassCall}))
	defer srv.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o600))
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"demo", "--for", "100ms", "--addr", srv.Addr(), "--user", "watcher", "--secret-file", secret}, &out, &errs), errs.String())
	require.Contains(t, out.String(), "refused: Permission denied")
}

func TestHelp(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"demo", "-h"}, &out, &errs))
	require.Contains(t, out.String(), "-secret-file")
	require.Empty(t, errs.String())
}

func TestWrongCalls(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		says string
	}{
		{"nothing", nil, "Usage"},
		{"unknown command", []string{"dance"}, "Usage"},
		{"unknown flag", []string{"demo", "--fast"}, "not defined"},
		{"no time", []string{"demo", "--for", "0s"}, "must be positive"},
		{"no calls", []string{"demo", "--rate", "0"}, "above 0"},
		{"address alone", []string{"demo", "--addr", "127.0.0.1:1"}, "needs --user"},
		{"no such file", []string{"demo", "--addr", "127.0.0.1:1", "--user", "u", "--secret-file", "/does/not/exist"}, "no such file"},
		{"rate that is no number", []string{"demo", "--rate", "NaN"}, "above 0"},
		{"user without address", []string{"demo", "--user", "u"}, "need --addr"},
		{"no nodes", []string{"demo", "--nodes", "0"}, "must be 1 to 50"},
		{"too many nodes", []string{"demo", "--nodes", "51"}, "must be 1 to 50"},
		{"nodes that are no number", []string{"demo", "--nodes", "some"}, "invalid value"},
		{"nodes and address", []string{"demo", "--nodes", "1", "--addr", "127.0.0.1:1", "--user", "u", "--secret-file", "f"}, "one of the two"},
		{"stray argument", []string{"demo", "now"}, "unexpected argument"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			require.Equal(t, 2, run(t.Context(), tc.args, &out, &errs))
			require.Contains(t, errs.String(), tc.says)
		})
	}
}
