package main

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/frame"
)

// showsUser makes a fake answer "manager show user" as Asterisk 22 does.
func showsUser(srv *amitest.Server, read, write string) {
	srv.Handle("Command", func(c *amitest.Call) {
		if c.Get("Command") != "manager show user admin" {
			c.Error("Command output follows")
			return
		}
		c.Success("Command output follows", outputs("",
			"          username: admin",
			"            secret: <Set>",
			"               ACL: no",
			"         read perm: "+read,
			"        write perm: "+write,
			"   displayconnects: yes",
			"allowmultiplelogin: yes",
			"         Variables: ")...)
	}, amitest.ClassCommand)
}

// outputs makes the headers of what the CLI prints.
func outputs(lines ...string) (fields []frame.Field) {
	for _, line := range lines {
		fields = append(fields, amitest.F("Output", line))
	}
	return fields
}

func TestStatus(t *testing.T) {
	one := fake(t)
	showsUser(one, "system,call,user", "all")
	few := fake(t, amitest.WithVersion("9.0.0", "20.20.1"), amitest.WithUser(amitest.User{Name: "admin", Secret: "secret", Read: amitest.ClassCall, Write: amitest.ClassCall}))
	few.Handle("ListCommands", func(c *amitest.Call) { // as Asterisk does, which offers what the user may use
		c.Respond(amitest.F("Atxfer", "Attended transfer.  (Priv: call,all)"), amitest.F("Ping", "Keepalive command.  (Priv: <none>)"), amitest.F("Hangup", "Hangup channel.  (Priv: system,call,all)"))
	})
	file := nodes(t, one, few, dead(t))
	for _, tc := range []struct {
		name string
		args []string
	}{{"text", nil}, {"json", []string{"--json"}}} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"status", "-c", file, "--sample", "50ms"}, tc.args...)...)
			require.Equal(t, exitFailed, e.code, e.errs)
			out := e.out
			if tc.name == "json" {
				out = sorted(out)
			}
			golden(t, "status-"+tc.name, out+"stderr\n"+e.errs, append(scrub, `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`, "DATE", `"uptime_s":\d+`, `"uptime_s":N`, `\d+s `, "AGE", ` +EVENTS/S`, "  EVENTS/S", ` +UP +`, "  UP  ", ` +CALLS +PING`, "  CALLS  PING", ` +TIME +`, "  TIME  ", `AGE +`, "AGE  ")...)
		})
	}
}

// TestStatusOfTraffic: events are counted for a while.
func TestStatusOfTraffic(t *testing.T) {
	t.Parallel()
	srv := fake(t, amitest.WithCalls(100))
	e := call(t, "status", "-c", nodes(t, srv), "--sample", "2s", "--json")
	require.Zero(t, e.code, e.errs)
	var s struct {
		State  string
		Events float64 `json:"events_per_s"`
	}
	require.NoError(t, json.Unmarshal([]byte(e.out), &s))
	require.Positive(t, s.Events)
	require.Equal(t, "ready", s.State)
}

// TestStatusOfALoss: a node that goes away meanwhile is not ready.
func TestStatusOfALoss(t *testing.T) {
	t.Parallel()
	srv := fake(t)
	out, errs, done := background(t, "status", "-c", nodes(t, srv), "--sample", "10s")
	require.NoError(t, srv.WaitAction(within(t), "ListCommands", 1))
	srv.Drop()
	require.Equal(t, exitFailed, <-done)
	require.Contains(t, out.String(), "pbx1  disconnected")
	require.Contains(t, errs.String(), "ami status: pbx1: ")
}

func TestStatusInterrupted(t *testing.T) {
	srv := fake(t)
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	var out, errs bytes.Buffer
	done := make(chan int)
	file := nodes(t, srv)
	go func() { done <- run(ctx, []string{"status", "-c", file, "--sample", "1h"}, &out, &errs) }()
	require.NoError(t, srv.WaitAction(within(t), "ListCommands", 1))
	cancel()
	require.Equal(t, exitInterrupted, <-done)
	require.Equal(t, "ami status: interrupted\n", errs.String())
	require.Empty(t, out.String())
}

func TestPrivileges(t *testing.T) {
	require.Equal(t, []string{"system", "call"}, classes("system,call,all"))
	require.Equal(t, []string{"all"}, classes("all"))
	require.Empty(t, classes("<none>"))
	require.Equal(t, []string{"agent", "call"}, inferred([]action.CommandFacts{
		{Privilege: []string{"call"}}, {Privilege: []string{"agent"}}, {Privilege: []string{"call"}}, {Privilege: []string{"system", "user"}}, {},
	}))
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m1s", 2*time.Hour + 3*time.Minute: "2h3m", 50*time.Hour + time.Minute: "2d2h",
	} {
		require.Equal(t, want, age(d))
	}
}
