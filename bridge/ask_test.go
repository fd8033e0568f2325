package bridge

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

// An answer is one to a request.
type answer struct {
	OK       bool   `json:"ok"`
	Node     string `json:"node"`
	ActionID string `json:"action_id"`
	Response map[string]any
	Items    []map[string]any
	End      map[string]any
	Error    struct {
		Code      string
		Message   string
		RetrySafe bool `json:"retry_safe"`
	}
}

// asker answers requests without a bridge around it.
func asker(t *testing.T, allow Allow) (*requests, map[string]*amitest.Server) {
	t.Helper()
	servers := make(map[string]*amitest.Server)
	for _, key := range []string{"pbx1", "pbx2"} {
		servers[key] = amitest.NewServer()
		t.Cleanup(servers[key].Close)
	}
	cl, _ := clusterOf(t, servers)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cl.Run(context.Background())
	}()
	t.Cleanup(func() {
		require.NoError(t, cl.Close())
		<-done
	})
	require.NoError(t, cl.Ready(t.Context(), 0))
	rules, err := allow.rules()
	require.NoError(t, err)
	return &requests{cluster: cl, rules: rules, most: 100_000, count: func(string) {}}, servers
}

func (q *requests) ask(t *testing.T, node, data string) answer {
	t.Helper()
	b := q.handle(t.Context(), Request{Node: node, Data: []byte(data)})
	var a answer
	require.NoError(t, json.Unmarshal(b, &a), "%s", b)
	return a
}

func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, servers := asker(t, Allow{AllNodes: {"*"}})
		a := q.ask(t, "pbx1", `{"action":"ping"}`)
		require.True(t, a.OK)
		require.Equal(t, "pbx1", a.Node)
		require.Equal(t, "Pong", a.Response["Ping"])
		require.NotEmpty(t, a.ActionID)

		a = q.ask(t, "", `{"action":"Ping"}`)
		require.True(t, a.OK)
		require.NotEmpty(t, a.Node, "any")

		a = q.ask(t, "", `{"action":"Originate","node":"pbx2","timeout_ms":60000,"headers":{"Channel":"Local/1@default","Application":"Wait","Data":"1","Async":true,"Timeout":30000,"Variable":["a=1","b=2"]}}`)
		require.Equal(t, "pbx2", a.Node)
		sent, err := servers["pbx2"].WaitLedger(t.Context(), func(e amitest.Entry) bool { return e.Action == "Originate" })
		require.NoError(t, err)
		var variables []string
		for _, f := range sent.Fields {
			if f.Key == "Variable" {
				variables = append(variables, f.Value)
			}
		}
		require.Equal(t, []string{"a=1", "b=2"}, variables)

		a = q.ask(t, "pbx1", `{"action":"CoreShowChannels"}`)
		require.True(t, a.OK)
		require.Equal(t, "CoreShowChannelsComplete", a.End["Event"])

		a = q.ask(t, "pbx1", `{"action":"DBGet","headers":{"Family":"no","Key":"no"}}`)
		require.True(t, a.OK, "an empty list is no failure")
		require.Equal(t, "Database entry not found", a.Response["Message"])
	})
}

// TestBadRequests: each is told what is wrong with it, and nothing was sent.
func TestBadRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, servers := asker(t, nil)
		before := len(servers["pbx1"].Ledger())
		for _, tc := range []struct{ name, node, data, code, message string }{
			{"empty", "", "", "bad_request", "ends too early"},
			{"no JSON", "", "hello", "bad_request", "no JSON"},
			{"cut short", "", `{"action":"Ping"`, "bad_request", "ends too early"},
			{"list", "", `[]`, "bad_request", "must be an object"},
			{"null", "", `null`, "bad_request", "must be an object"},
			{"more behind it", "", `{"action":"Ping"}{}`, "bad_request", "more follows"},
			{"no action", "", `{}`, "bad_request", "action is required"},
			{"action twice", "", `{"action":"Ping","action":"Hangup"}`, "bad_request", "occurs twice"},
			{"unknown member", "", `{"action":"Ping","Timeout":1}`, "bad_request", `"Timeout" has no meaning`},
			{"action of another type", "", `{"action":1}`, "bad_request", "action must be a text"},
			{"headers of another type", "", `{"action":"Ping","headers":[]}`, "bad_request", "headers: must be an object"},
			{"header of another type", "", `{"action":"Ping","headers":{"A":{}}}`, "bad_request", `"A" must be a text`},
			{"header null", "", `{"action":"Ping","headers":{"A":null}}`, "bad_request", `"A" must be a text`},
			{"list in a list", "", `{"action":"Ping","headers":{"A":[["x"]]}}`, "bad_request", `"A" must be a text`},
			{"header twice", "", `{"action":"Ping","headers":{"A":"1","A":"2"}}`, "bad_request", "occurs twice"},
			{"header twice in another case", "", `{"action":"Ping","headers":{"Ab":"1","aB":"2"}}`, "bad_request", "occurs twice"},
			{"line end in a value", "", `{"action":"Ping","headers":{"A":"1\r\nAction: Hangup"}}`, "bad_request", "CR, LF or NUL"},
			{"line end in a name", "", `{"action":"Ping","headers":{"A\n":"1"}}`, "bad_request", "CR, LF, NUL or colon"},
			{"ActionID", "", `{"action":"Ping","headers":{"actionid":"1"}}`, "bad_request", "ActionID"},
			{"value too long", "", `{"action":"Ping","headers":{"A":"` + strings.Repeat("x", 2000) + `"}}`, "bad_request", "1022 at most"},
			{"too many headers", "", `{"action":"Ping","headers":{"A":[` + strings.Repeat(`"x",`, 200) + `"x"]}}`, "bad_request", "128 at most"},
			{"time is a text", "", `{"action":"Ping","timeout_ms":"1"}`, "bad_request", "timeout_ms"},
			{"time is 0", "", `{"action":"Ping","timeout_ms":0}`, "bad_request", "timeout_ms"},
			{"time is no whole number", "", `{"action":"Ping","timeout_ms":1.5}`, "bad_request", "timeout_ms"},
			{"no UTF-8", "", "{\"action\":\"Ping\",\"headers\":{\"A\":\"\xff\"}}", "bad_request", "UTF-8"},
			{"too large", "", `{"action":"Ping","headers":{"A":"` + strings.Repeat("x", requestMost) + `"}}`, "too_large", "allowed"},
			{"unknown action", "", `{"action":"Pong"}`, "unknown_action", `"Pong"`},
			{"not allowed", "", `{"action":"Hangup","headers":{"Channel":"x"}}`, "not_allowed", "Hangup"},
			{"unknown node of the subject", "pbx9", `{"action":"Ping"}`, "unknown_node", `"pbx9"`},
			{"unknown node of the JSON", "", `{"action":"Ping","node":"pbx9"}`, "unknown_node", `"pbx9"`},
			{"two nodes", "pbx1", `{"action":"Ping","node":"pbx2"}`, "bad_request", "names node"},
		} {
			a := q.ask(t, tc.node, tc.data)
			require.False(t, a.OK, tc.name)
			require.Equal(t, tc.code, a.Error.Code, "%s: %s", tc.name, a.Error.Message)
			require.Contains(t, a.Error.Message, tc.message, tc.name)
			require.True(t, a.Error.RetrySafe, tc.name)
		}
		require.Len(t, servers["pbx1"].Ledger(), before)
		require.True(t, q.ask(t, "pbx1", `{"action":"Ping"}`).OK, "the next one")
	})
}

// TestFailedRequests: what can go wrong behind the bridge.
func TestFailedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, servers := asker(t, Allow{AllNodes: {"*", "Frobnicate"}})
		servers["pbx1"].Handle("CoreStatus", func(c *amitest.Call) { c.Wait(time.Hour) })
		servers["pbx1"].Handle("CoreSettings", func(c *amitest.Call) {
			c.Success("", amitest.F("Data", strings.Repeat("x", 900)))
		})

		a := q.ask(t, "pbx1", `{"action":"Hangup","headers":{"Channel":"none"}}`)
		require.Equal(t, "refused", a.Error.Code)
		require.False(t, a.Error.RetrySafe)
		require.Equal(t, "Error", a.Response["Response"], "what Asterisk said")

		a = q.ask(t, "pbx1", `{"action":"Frobnicate"}`)
		require.Equal(t, "unknown_action", a.Error.Code, "it was allowed by its name, and sent")

		q.most = 500
		a = q.ask(t, "pbx1", `{"action":"CoreSettings"}`)
		require.Equal(t, "too_large", a.Error.Code)
		require.False(t, a.Error.RetrySafe)

		a = q.ask(t, "pbx1", `{"action":"CoreStatus","timeout_ms":100}`)
		require.Equal(t, "deadline", a.Error.Code)
		require.False(t, a.Error.RetrySafe)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Contains(t, string(q.handle(ctx, Request{Node: "pbx1", Data: []byte(`{"action":"Ping"}`)})), `"code":"deadline"`, "behind the other")

		servers["pbx2"].SetStopping(true)
		servers["pbx2"].Session(1).Reset()
		time.Sleep(time.Second)
		a = q.ask(t, "pbx2", `{"action":"Ping"}`)
		require.Contains(t, []string{"not_ready", "lost"}, a.Error.Code)
		require.True(t, a.Error.RetrySafe)
	})
}

// TestAllowUnheard: a misspelt action is told, since it cannot be told from one of
// a module of the user's own, which is let through.
func TestAllowUnheard(t *testing.T) {
	a := Allow{AllNodes: {"Ping", "queue*", " Orginate "}, "pbx1": {"*"}, AnyNode: {"logoff", "Mine"}}
	require.Equal(t, map[string][]string{AllNodes: {"Orginate"}, AnyNode: {"Mine"}}, a.unheard())
	require.Empty(t, Allow(nil).unheard())
	require.Empty(t, Allow{AllNodes: ReadOnly()}.unheard())
}

func TestAllow(t *testing.T) {
	rules, err := Allow{
		AllNodes: {"Ping", "queue*"},
		"pbx1":   {"*"},
		"pbx2":   {},
		AnyNode:  {"CoreStatus", "Logoff", "Mine"},
	}.rules()
	require.NoError(t, err)
	for _, tc := range []struct {
		node, action string
		permitted    bool
	}{
		{"pbx3", "Ping", true},
		{"pbx3", "PING", true},
		{"pbx3", "QueueAdd", true},
		{"pbx3", "Hangup", false},
		{"pbx1", "Hangup", true},
		{"pbx1", "Logoff", false},
		{"pbx1", "events", false},
		{"pbx1", "Filter", false},
		{"pbx1", "Unheard", false},
		{"pbx2", "Ping", false},
		{"", "CoreStatus", true},
		{"", "Ping", false},
		{"", "logoff", true},
		{"", "mine", true},
		{"", "Mine2", false},
	} {
		permitted, _ := permits(rules, tc.node, tc.action)
		require.Equal(t, tc.permitted, permitted, "%s on %q", tc.action, tc.node)
	}
	none, err := Allow{}.rules()
	require.NoError(t, err)
	permitted, known := permits(none, "pbx1", "Ping")
	require.False(t, permitted)
	require.True(t, known)
	for _, bad := range []string{"", "[a"} {
		_, err = Allow{AllNodes: {bad}}.rules()
		require.ErrorContains(t, err, "Allow")
	}
}

// TestStatusVariables: a Status that asks for variables runs functions of the
// dialplan, as Getvar does, so it may not where Getvar may not.
func TestStatusVariables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, servers := asker(t, nil)
		require.True(t, q.ask(t, "pbx1", `{"action":"Status"}`).OK)
		before := len(servers["pbx1"].Ledger())
		for _, headers := range []string{
			`{"Variables":"SHELL(id)"}`, `{"variables":["A","AST_CONFIG(manager.conf,admin,secret)"]}`, `{"Channel":"x","AllVariables":true}`,
		} {
			a := q.ask(t, "pbx1", `{"action":"STATUS","headers":`+headers+`}`)
			require.Equal(t, "not_allowed", a.Error.Code, headers)
			require.Contains(t, a.Error.Message, "Getvar")
		}
		require.Len(t, servers["pbx1"].Ledger(), before)
		var err error
		q.rules, err = Allow{AllNodes: {"Status", "Getvar"}}.rules()
		require.NoError(t, err)
		require.True(t, q.ask(t, "pbx1", `{"action":"Status","headers":{"Variables":"CHANNEL(name)"}}`).OK)
	})
}

// TestAnyKeepsToTheLists: a request that names no node goes to none whose own
// list forbids the action.
func TestAnyKeepsToTheLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, servers := asker(t, Allow{AllNodes: {"*"}, "pbx1": {"Ping"}})
		for range 10 {
			require.Equal(t, "pbx2", q.ask(t, "", `{"action":"CoreStatus"}`).Node)
		}
		for _, e := range servers["pbx1"].Ledger() {
			require.NotEqual(t, "CoreStatus", e.Action)
		}
		seen := map[string]bool{}
		for range 10 {
			seen[q.ask(t, "", `{"action":"Ping"}`).Node] = true
		}
		require.Len(t, seen, 2)
		var err error
		q.rules, err = Allow{AnyNode: {"*"}, "pbx1": {}, "pbx2": {}}.rules()
		require.NoError(t, err)
		require.Equal(t, "not_allowed", q.ask(t, "", `{"action":"Ping"}`).Error.Code)
	})
}

// TestReadOnly: the default names actions that there are, and none that changes
// anything, as far as their names tell.
func TestReadOnly(t *testing.T) {
	names := ReadOnly()
	require.True(t, slices.IsSortedFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }))
	for _, name := range names {
		facts, ok := action.Lookup(name)
		require.True(t, ok, name)
		require.Equal(t, facts.Name, name)
	}
	rules, err := Allow(nil).rules()
	require.NoError(t, err)
	for _, name := range []string{"Originate", "Command", "UpdateConfig", "Hangup", "Redirect", "Setvar", "Getvar", "DBPut", "QueueAdd", "ModuleLoad", "PJSIPShowAuths", "PJSIPShowEndpoint", "Logoff", "Login"} {
		permitted, known := permits(rules, "pbx1", name)
		require.True(t, known, name)
		require.False(t, permitted, name)
	}
}

// FuzzAsk: whatever is asked, the answer is JSON, and what becomes an action can
// be sent.
func FuzzAsk(f *testing.F) {
	f.Add([]byte(`{"action":"Ping","headers":{"A":["1","2"],"B":true,"C":1e3},"timeout_ms":5,"node":"x"}`))
	f.Add([]byte(`{"action":"Ping","headers":{"A":"\u000a"}}`))
	cl, err := ami.NewCluster([]ami.Node{{Key: "pbx1", Addr: "10.0.0.1", Username: "u", Secret: ami.NewSecret("s")}})
	require.NoError(f, err)
	rules, err := Allow{AllNodes: {"*"}}.rules()
	require.NoError(f, err)
	q := &requests{cluster: cl, rules: rules, most: 1000, count: func(string) {}}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := q.handle(t.Context(), Request{Data: data})
		var a answer
		require.NoError(t, json.Unmarshal(b, &a), "%s", b)
		require.False(t, a.OK, "no node is ready")
	})
}
