package action_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/action"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
	"github.com/apn/ami/strategy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines returns the action as Asterisk reads it, without the ActionID.
func lines(t *testing.T, a action.Action) []string {
	t.Helper()
	fields, err := a.AppendFields(nil)
	require.NoError(t, err)
	wire, err := frame.AppendAction(nil, a.Name(), fields)
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(wire), "\r\n\r\n"), "\r\n")
}

// TestEncoding: every field of every typed action is one header, in Asterisk's
// spelling, and an empty one that is not required is none (C7).
func TestEncoding(t *testing.T) {
	secret := action.NewSecret("s3cr3t")
	for _, tc := range []struct {
		name string
		a    action.Action
		want []string
	}{
		{"Ping", action.Ping{}, []string{"Action: Ping"}},
		{"Events", action.Events{EventMask: "call,agent"}, []string{"Action: Events", "EventMask: call,agent"}},
		{"Command", action.Command{Command: "core show channels"}, []string{"Action: Command", "Command: core show channels"}},
		{"CoreShowChannels", action.CoreShowChannels{}, []string{"Action: CoreShowChannels"}},
		{"CoreSettings", action.CoreSettings{}, []string{"Action: CoreSettings"}},
		{"Status of all", action.Status{}, []string{"Action: Status"}},
		{"Status of one", action.Status{Channel: "PJSIP/1"}, []string{"Action: Status", "Channel: PJSIP/1"}},
		{"Hangup", action.Hangup{Channel: "PJSIP/1"}, []string{"Action: Hangup", "Channel: PJSIP/1"}},
		{"Hangup with cause", action.Hangup{Channel: "PJSIP/1", Cause: 17}, []string{"Action: Hangup", "Channel: PJSIP/1", "Cause: 17"}},
		{"Hangup, last cause", action.Hangup{Channel: "PJSIP/1", Cause: 127}, []string{"Action: Hangup", "Channel: PJSIP/1", "Cause: 127"}},
		{
			"Redirect",
			action.Redirect{Channel: "PJSIP/1", Context: "c", Exten: "e", Priority: "1"},
			[]string{"Action: Redirect", "Channel: PJSIP/1", "Exten: e", "Context: c", "Priority: 1"},
		},
		{"Getvar, global", action.Getvar{Variable: "V"}, []string{"Action: Getvar", "Variable: V"}},
		{"Getvar", action.Getvar{Channel: "PJSIP/1", Variable: "V"}, []string{"Action: Getvar", "Variable: V", "Channel: PJSIP/1"}},
		{"Setvar, global and empty", action.Setvar{Variable: "V"}, []string{"Action: Setvar", "Variable: V", "Value: "}},
		{
			"Setvar",
			action.Setvar{Channel: "PJSIP/1", Variable: "V", Value: `a,b="c"`},
			[]string{"Action: Setvar", "Channel: PJSIP/1", "Variable: V", `Value: a,b="c"`},
		},
		{
			"UserEvent",
			action.UserEvent{UserEvent: "U", Headers: []frame.Field{{Key: "B", Value: "1"}, {Key: "A", Value: ""}, {Key: "B", Value: "2"}}},
			[]string{"Action: UserEvent", "UserEvent: U", "B: 1", "A: ", "B: 2"},
		},
		{"WaitEvent, none", action.WaitEvent{}, []string{"Action: WaitEvent", "Timeout: 0"}},
		{"WaitEvent", action.WaitEvent{Timeout: time.Minute}, []string{"Action: WaitEvent", "Timeout: 60"}},
		{"DBGet", action.DBGet{Family: "f", Key: "k"}, []string{"Action: DBGet", "Family: f", "Key: k"}},
		{"IAXpeers", action.IAXpeers{}, []string{"Action: IAXpeers"}},
		{"IAXnetstats", action.IAXnetstats{}, []string{"Action: IAXnetstats"}},
		{"Login", action.Login{Username: "u", Secret: secret}, []string{"Action: Login", "Username: u", "Secret: s3cr3t"}},
		{
			"Login with mask",
			action.Login{Username: "u", Secret: secret, Events: "off"},
			[]string{"Action: Login", "Username: u", "Secret: s3cr3t", "Events: off"},
		},
		{
			"Login with key",
			action.Login{Username: "u", Secret: secret, Key: action.NewSecret("0f")},
			[]string{"Action: Login", "Username: u", "AuthType: MD5", "Key: 0f"},
		},
		{"Challenge", action.Challenge{}, []string{"Action: Challenge", "AuthType: MD5"}},
		{"Logoff", action.Logoff{}, []string{"Action: Logoff"}},
		{"QueueStatus of all", action.QueueStatus{}, []string{"Action: QueueStatus"}},
		{
			"QueueStatus",
			action.QueueStatus{Queue: "q", Member: "PJSIP/1"},
			[]string{"Action: QueueStatus", "Queue: q", "Member: PJSIP/1"},
		},
		{
			"Originate to an application",
			action.Originate{Channel: "PJSIP/1", Application: "Playback", Data: "demo"},
			[]string{"Action: Originate", "Channel: PJSIP/1", "Application: Playback", "Data: demo"},
		},
		{
			"Originate with all",
			action.Originate{
				Channel: "PJSIP/1", Context: "c", Exten: "e", Priority: "1", Timeout: 1500 * time.Millisecond,
				CallerID: `"A" <1>`, Account: "acc", Codecs: "ulaw,alaw", EarlyMedia: true, Async: true,
				Variables: []action.Variable{{Name: "A", Value: "1"}, {Name: "B", Value: `x,"y"(z)[\]`}, {Name: "CALLERID(num)", Value: ""}},
				ChannelID: "id1", OtherChannelID: "id2", PreDialGoSub: "sub,s,1",
			},
			[]string{
				"Action: Originate", "Channel: PJSIP/1", "Context: c", "Exten: e", "Priority: 1", "Timeout: 1500",
				`CallerID: "A" <1>`, "Account: acc", "Codecs: ulaw,alaw", "EarlyMedia: true", "Async: true",
				"Variable: A=1", `Variable: B=x\,\"y\"\(z\)\[\\\]`, "Variable: CALLERID(num)=",
				"ChannelId: id1", "OtherChannelId: id2", "PreDialGoSub: sub,s,1",
			},
		},
		{"generic", action.New("QueueAdd", "Queue", "q", "Queue", "r"), []string{"Action: QueueAdd", "Queue: q", "Queue: r"}},
		{"generic, nothing", action.New("Ping"), []string{"Action: Ping"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, lines(t, tc.a))
			require.Equal(t, tc.want, lines(t, tc.a), "sending it does not change it")
			how := tc.a.Strategy()
			require.NoError(t, how.Validate())
			before := []frame.Field{{Key: "ActionID", Value: "1"}}
			after, err := tc.a.AppendFields(before)
			require.NoError(t, err)
			require.Equal(t, before, after[:1], "it appends")
			require.Len(t, after, len(tc.want))
		})
	}
}

// TestInvalid: what is missing or out of range is refused with the parameter's
// name, in Asterisk's spelling, and without any value.
func TestInvalid(t *testing.T) { // C7
	redirect := action.Redirect{Channel: "canary", Context: "canary", Exten: "canary", Priority: "canary"}
	originate := action.Originate{Channel: "canary", Context: "canary", Exten: "canary", Priority: "canary"}
	for _, tc := range []struct {
		name  string
		a     action.Action
		param string
	}{
		{"Events", action.Events{}, "EventMask"},
		{"Command", action.Command{}, "Command"},
		{"Hangup", action.Hangup{}, "Channel"},
		{"Hangup, negative cause", action.Hangup{Channel: "canary", Cause: -1}, "Cause"},
		{"Hangup, cause too large", action.Hangup{Channel: "canary", Cause: 128}, "Cause"},
		{"Redirect, channel", change(redirect, func(a *action.Redirect) { a.Channel = "" }), "Channel"},
		{"Redirect, context", change(redirect, func(a *action.Redirect) { a.Context = "" }), "Context"},
		{"Redirect, extension", change(redirect, func(a *action.Redirect) { a.Exten = "" }), "Exten"},
		{"Redirect, priority", change(redirect, func(a *action.Redirect) { a.Priority = "" }), "Priority"},
		{"Redirect, the first is told", action.Redirect{}, "Channel"},
		{"Getvar", action.Getvar{Channel: "canary"}, "Variable"},
		{"Setvar", action.Setvar{Channel: "canary", Value: "canary"}, "Variable"},
		{"UserEvent", action.UserEvent{Headers: []frame.Field{{Key: "canary", Value: "canary"}}}, "UserEvent"},
		{"WaitEvent, negative", action.WaitEvent{Timeout: -time.Second}, "Timeout"},
		{"WaitEvent, a fraction", action.WaitEvent{Timeout: 1500 * time.Millisecond}, "Timeout"},
		{"DBGet, family", action.DBGet{Key: "canary"}, "Family"},
		{"DBGet, key", action.DBGet{Family: "canary"}, "Key"},
		{"Login, user", action.Login{Secret: action.NewSecret("canary")}, "Username"},
		{"Login, secret", action.Login{Username: "canary"}, "Secret"},
		{"Originate, channel", change(originate, func(a *action.Originate) { a.Channel = "" }), "Channel"},
		{"Originate, nowhere to", action.Originate{Channel: "canary"}, "Exten"},
		{"Originate, context", change(originate, func(a *action.Originate) { a.Context = "" }), "Exten"},
		{"Originate, priority", change(originate, func(a *action.Originate) { a.Priority = "" }), "Exten"},
		{"Originate, negative timeout", change(originate, func(a *action.Originate) { a.Timeout = -time.Second }), "Timeout"},
		{"Originate, a fraction", change(originate, func(a *action.Originate) { a.Timeout = time.Microsecond }), "Timeout"},
		{"Originate, variable without a name", change(originate, withVariable("")), "Variable"},
		{"Originate, variable with =", change(originate, withVariable("canary=1")), "Variable"},
		{"Originate, variable with comma", change(originate, withVariable("canary,b")), "Variable"},
		{"generic, odd", action.Custom("Odd", "canary", "canary", "canary"), "headers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fields, err := tc.a.AppendFields(nil)
			require.Nil(t, fields)
			e, ok := errors.AsType[*action.InvalidError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tc.a.Name(), e.Action)
			require.Equal(t, tc.param, e.Param)
			require.NotEmpty(t, e.Reason)
			require.Equal(t, "action "+e.Action+": "+e.Param+" "+e.Reason, e.Error())
			require.NotContains(t, err.Error(), "canary")
		})
	}
}

func change[A action.Action](a A, f func(*A)) A {
	f(&a)
	return a
}

func withVariable(name string) func(*action.Originate) {
	return func(a *action.Originate) { a.Variables = []action.Variable{{Name: name, Value: "canary"}} }
}

// TestStrategies: how each typed action is answered, as the recordings show it.
func TestStrategies(t *testing.T) { // C2
	for _, tc := range []struct {
		a        action.Action
		kind     strategy.Kind
		ends     []string
		timeout  time.Duration
		blocking bool
	}{
		{action.Ping{}, strategy.Single, nil, 0, false},
		{action.Command{}, strategy.Command, nil, 0, false},
		{action.Hangup{}, strategy.Auto, nil, 0, false},
		{action.Custom("Odd"), strategy.Auto, nil, 0, false},
		{action.CoreShowChannels{}, strategy.List, []string{"CoreShowChannelsComplete"}, 0, false},
		{action.Status{}, strategy.List, []string{"StatusComplete"}, 0, false},
		{action.QueueStatus{}, strategy.List, []string{"QueueStatusComplete"}, 0, false},
		{action.DBGet{}, strategy.List, []string{"DBGetComplete"}, 0, false},
		{action.IAXpeers{}, strategy.List, []string{"PeerlistComplete"}, 0, false},
		{action.IAXnetstats{}, strategy.Bare, nil, 0, false},
		{action.WaitEvent{Timeout: time.Minute}, strategy.List, []string{"WaitEventComplete"}, 70 * time.Second, true},
		{action.Originate{}, strategy.Single, nil, 40 * time.Second, true},
		{action.Originate{Timeout: time.Second}, strategy.Single, nil, 11 * time.Second, true},
		{action.Originate{Async: true}, strategy.Async, []string{"OriginateResponse"}, 40 * time.Second, false},
	} {
		s := tc.a.Strategy()
		require.Equal(t, tc.kind, s.Kind, tc.a.Name())
		require.Equal(t, tc.ends, s.Terminal, tc.a.Name())
		require.Equal(t, tc.timeout, s.Timeout, tc.a.Name())
		require.Equal(t, tc.blocking, s.Blocking, tc.a.Name())
	}
}

// TestGenericIsImmutable: copies share nothing that one of them can change.
func TestGenericIsImmutable(t *testing.T) { // C7
	headers := []string{"A", "1"}
	base := action.Custom("Odd", headers...)
	headers[1] = "2"
	require.Equal(t, []string{"Action: Odd", "A: 1"}, lines(t, base))

	base = base.With("B", "1").With("C", "1") // the slice may have room now
	one, two := base.With("D", "one"), base.With("D", "two")
	require.Equal(t, []string{"Action: Odd", "A: 1", "B: 1", "C: 1"}, lines(t, base))
	require.Equal(t, []string{"Action: Odd", "A: 1", "B: 1", "C: 1", "D: one"}, lines(t, one))
	require.Equal(t, []string{"Action: Odd", "A: 1", "B: 1", "C: 1", "D: two"}, lines(t, two))

	got, err := base.AppendFields(nil)
	require.NoError(t, err)
	got[0].Value = "changed"
	require.Equal(t, []string{"Action: Odd", "A: 1", "B: 1", "C: 1"}, lines(t, base))

	list := base.Answered(strategy.ListOf("OddComplete"))
	require.Equal(t, strategy.Auto, base.Strategy().Kind)
	require.Equal(t, strategy.List, list.Strategy().Kind)
}

// TestChallengeKey: the key that a real server accepted.
func TestChallengeKey(t *testing.T) { // D3
	for _, name := range []string{"1-login-md5", "9-v18-login-md5"} {
		t.Run(name, func(t *testing.T) {
			challenge := find(t, captures.Server(name), "Challenge")
			key := action.ChallengeKey(challenge, action.NewSecret("s3cr3t-Adm1n"))
			require.Equal(t, find(t, captures.Client(name), "Key"), key.Reveal())
		})
	}
}

// find returns the value of the first header of that name.
func find(t *testing.T, stream []byte, name string) string {
	t.Helper()
	for line := range strings.Lines(string(stream)) {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSpace(value)
		}
	}
	require.Fail(t, "no header "+name)
	return ""
}
