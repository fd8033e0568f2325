package action_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/action"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/catalog"
	"github.com/apn/ami/strategy"
)

func parse(t *testing.T, lines ...string) *frame.Frame {
	t.Helper()
	f, err := frame.Parse(strings.Join(lines, "\r\n") + "\r\n\r\n")
	require.NoError(t, err)
	return f
}

// TestEveryListCompletes: the answer that the catalogue describes is complete
// with its end and not before, item by item; and so is an empty one in each of
// the three forms that Asterisk has for it (C2).
func TestEveryListCompletes(t *testing.T) {
	all, lists := typed(), 0
	for _, a := range load(t).Actions {
		if a.List == nil {
			continue
		}
		lists++
		t.Run(a.Name, func(t *testing.T) {
			start := parse(t, "Response: Success", "ActionID: 1", "EventList: start")
			end := parse(t, "Event: "+a.List.Complete, "ActionID: 1", "EventList: Complete", "ListItems: 1")

			s := all[a.Name].Strategy()
			p := s.Begin()
			if a.List.BrokenFraming { // no blank line between the items, nor before the end
				require.Equal(t, strategy.Keep, p.Offer(start))
				require.Equal(t, strategy.Done, p.Offer(parse(t, "Event: "+a.List.Items[0], "X: 1", "Event: "+a.List.Complete, "EventList: Complete")))
			}
			p = s.Begin()
			require.Equal(t, strategy.Keep, p.Offer(start))
			for _, item := range a.List.Items {
				require.Equal(t, strategy.Keep, p.Offer(parse(t, itemLines(a, item)...)), item)
			}
			require.Equal(t, strategy.Done, p.Offer(end))

			p = s.Begin()
			require.Equal(t, strategy.Keep, p.Offer(start))
			require.Equal(t, strategy.Done, p.Offer(end), "an empty list")
			p = s.Begin()
			require.Equal(t, strategy.Done, p.Offer(parse(t, "Response: Success", "ActionID: 1")), "a plain Success")
			for _, message := range s.Empty {
				p = s.Begin()
				require.Equal(t, strategy.Done, p.Offer(parse(t, "Response: Error", "ActionID: 1", "Message: "+message)), "an Error")
			}
			p = s.Begin()
			require.Equal(t, strategy.Refused, p.Offer(parse(t, "Response: Error", "ActionID: 1", "Message: Permission denied")))
		})
	}
	require.Equal(t, 51, lists)
}

// itemLines is an item as Asterisk sends it, with its bad habits.
func itemLines(a catalog.Action, item string) []string {
	lines := []string{"Event: " + item, "X: 1"}
	switch a.Name {
	case "Status", "SIPpeerstatus":
		lines = append(lines, "Privilege: Call")
	case "IAXpeers":
		return lines // no ActionID
	}
	return append(lines, "ActionID: 1")
}

func answer(t *testing.T, lines ...string) action.Answer {
	t.Helper()
	return action.Answer{Node: "pbx1", Response: parse(t, lines...)}
}

// TestResults of Responses of which there is no recording with content.
func TestResults(t *testing.T) { // C7
	rules := action.QueueRule{}.Decode(answer(t, "Response: Success", "RuleList: a", "Rule: 10,+5,-2", "Rule: 20,1,0", "RuleList: b"))
	require.Equal(t, []action.QueueRuleList{{Name: "a", Rules: []string{"10,+5,-2", "20,1,0"}}, {Name: "b"}}, rules)
	require.Empty(t, action.QueueRule{}.Decode(answer(t, "Response: Success", "Rule: 1,2,3")), "a rule of no list")

	config := action.GetConfig{}.Decode(answer(t, "Response: Success",
		"Category-000000: general", "IsTemplate-000000: 0", "Line-000000-000000: a=b=c", "Line-000000-000001: no value",
		"Category-000001: tpl", "IsTemplate-000001: 1", `Templates-000001: "general,other"`, "Line-000009-000000: stray=1"))
	require.Equal(t, []action.ConfigCategory{
		{Name: "general", Lines: []action.ConfigLine{{Name: "a", Value: "b=c"}, {Name: "no value"}}},
		{Name: "tpl", Template: true, Bases: []string{"general", "other"}},
	}, config.Categories)
	require.Equal(t, []string{"x", "y"}, action.ListCategories{}.Decode(answer(t, "Response: Success", "Category-000000: x", "Category-000001: y")))

	require.Equal(t, []action.CommandFacts{{Name: "Ping", Synopsis: "Keepalive command."}, {Name: "Hangup", Synopsis: "Hangup channel.", Privilege: []string{"system", "call"}}},
		action.ListCommands{}.Decode(answer(t, "Response: Success", "ActionID: 1", "Ping: Keepalive command.  (Priv: <none>)", "Hangup: Hangup channel.  (Priv: system,call,all)")))

	count := action.MailboxCount{}.Decode(answer(t, "Response: Success", "Mailbox: 1@default", "NewMessages: many", "OldMessages: 3"))
	require.Equal(t, 3, count.OldMessages)
	require.Zero(t, count.NewMessages)
	require.Equal(t, []event.FieldError{{Event: "Response", Key: "NewMessages", Value: "many", Want: "a whole number"}}, count.Invalid)
	require.Zero(t, count.UrgMessages, "absent, and no error")

	settings := action.CoreSettings{}.Decode(answer(t, "Response: Success", "CoreMaxLoadAvg: 1.5", "CoreCDRenabled: Yes", "CoreHTTPenabled: perhaps"))
	require.InDelta(t, 1.5, settings.CoreMaxLoadAvg, 0)
	require.True(t, settings.CoreCDRenabled)
	require.Len(t, settings.Invalid, 1)

	peer := action.SIPshowpeer{}.Decode(answer(t, "Response: Success", "ChanVariable: a=b=c", "ChanVariable: d"))
	require.Equal(t, []event.Variable{{Name: "a", Value: "b=c"}, {Name: "d"}}, peer.ChanVariables)

	bridge := action.BridgeInfo{}.Decode(action.Answer{
		Response: &frame.Frame{}, Items: []*frame.Frame{parse(t, "Event: BridgeInfoChannel", "Channel: PJSIP/a")},
		End: parse(t, "Event: BridgeInfoComplete", "EventList: Complete", "BridgeUniqueid: b1", "BridgeNumChannels: 1"),
	})
	require.Len(t, bridge.Channels, 1)
	require.Equal(t, "b1", bridge.Bridge.UniqueID)
	require.Equal(t, 1, bridge.Bridge.NumChannels)

	line := action.SKINNYshowline{}.Decode(action.Answer{Response: &frame.Frame{}, Items: []*frame.Frame{parse(t, "Channeltype: SKINNY", "Group: 7")}})
	require.Equal(t, "7", line.Get("group"))
	require.Empty(t, line.Get("Device"))
	merged := action.Answer{Node: "pbx1", Response: &frame.Frame{}, End: parse(t, "Event: DeviceEntry", "ActionID: 1", "ObjectName: a", "NumberOfLines: 2",
		"Event: DeviceEntry", "ObjectName: b", "Event: DevicelistComplete", "EventList: Complete", "ListItems: 2")}
	phones := action.SKINNYdevices{}.Decode(merged)
	require.Len(t, phones, 2)
	require.Equal(t, "a", phones[0].ObjectName)
	require.Equal(t, 2, phones[0].NumberOfLines)
	require.Equal(t, "b", phones[1].ObjectName)
	require.Equal(t, "pbx1", phones[1].Node)
	require.Empty(t, action.SKINNYlines{}.Decode(action.Answer{Response: &frame.Frame{}, End: parse(t, "Event: LinelistComplete")}))
	require.Equal(t, "moved", action.VoicemailMove{}.Decode(answer(t, "Response: Success", "Message: moved\n")).Message())
}

func TestOriginateResult(t *testing.T) { // C2
	require.True(t, action.Originate{}.Decode(answer(t, "Response: Success")).Answered())
	for _, tc := range []struct {
		end      []string
		want     event.OriginateReason
		id       string
		answered bool
	}{
		{nil, 0, "", false}, // it is queued, and nobody has answered
		{[]string{"Event: OriginateResponse", "Response: Failure", "Channel: PJSIP/1", "Reason: 5", "Uniqueid: <unknown>"}, event.OriginateReasonBusy, "", false},
		{[]string{"Event: OriginateResponse", "Response: Success", "Channel: PJSIP/1", "Reason: 4", "Uniqueid: 1.2"}, event.OriginateReasonAnswered, "1.2", true},
		{[]string{"Event: OriginateResponse", "Response: Failure", "Channel: PJSIP/1"}, 0, "", false},
	} {
		a := answer(t, "Response: Success")
		if tc.end != nil {
			a.End = parse(t, tc.end...)
		}
		r := action.Originate{Async: true}.Decode(a)
		require.Equal(t, tc.want, r.Reason, fmt.Sprint(tc.end))
		require.Equal(t, tc.id, r.UniqueID)
		require.Equal(t, tc.answered, r.Answered())
	}
}

// TestRowsWithColons: the name of a channel may hold a port (C7).
func TestRowsWithColons(t *testing.T) {
	rows := []string{"IAX2/a-1   20  -1", "IAX2/192.0.2.1:4569-2   20  -1", "IAX2/b: 1"}
	got := action.IAXnetstats{}.Decode(action.Answer{Response: &frame.Frame{}, Items: []*frame.Frame{parse(t, rows[0]), parse(t, rows[1:]...)}})
	require.Equal(t, rows, got)
}

// TestReplyEvents: the two actions that one event answers behind the Response.
func TestReplyEvents(t *testing.T) { // C2
	for _, a := range []action.Action{action.FAXSession{SessionNumber: 1}, action.FAXStats{}} {
		s := a.Strategy()
		p := s.Begin()
		require.Equal(t, strategy.Keep, p.Offer(parse(t, "Response: Success", "ActionID: 1")))
		require.Equal(t, strategy.Done, p.Offer(parse(t, "Event: "+a.Name(), "ActionID: 1")))
		p = s.Begin()
		require.Equal(t, strategy.Refused, p.Offer(parse(t, "Response: Error", "ActionID: 1")))
	}
	stats := action.FAXStats{}.Decode(action.Answer{Response: &frame.Frame{}, End: parse(t, "Event: FAXStats", "ActionID: 1", "CurrentSessions: 3")})
	require.Equal(t, 3, stats.CurrentSessions)
}

// TestValuesThatMayBeSecrets print and marshal without them (G2).
func TestValuesThatMayBeSecrets(t *testing.T) {
	for _, v := range []any{
		action.AGI{Channel: "c", Command: "SET VARIABLE X canary"},
		action.Command{Command: "database put tokens 2001 canary"},
		action.DBPut{Family: "f", Key: "k", Val: "canary"},
		action.DialplanExtensionAdd{Application: "Authenticate", ApplicationData: "canary"},
		action.JabberSend{Message: "canary"},
		action.MessageSend{Body: "canary", Base64Body: "canary", Variables: []action.Variable{{Name: "TOKEN", Value: "canary"}}},
		action.MixMonitor{Command: "curl -u me:canary"},
		action.Originate{Application: "Authenticate", Data: "canary", Variables: []action.Variable{{Name: "TOKEN", Value: "canary"}}},
		action.PlayDTMF{Digit: "canary"},
		action.PlayMF{Digit: "canary"},
		action.QueueLog{Message: "canary"},
		action.SendText{Message: "canary"},
		action.UpdateConfig{Changes: []action.ConfigChange{{Var: "secret", Value: "canary", Match: "canary"}}},
		action.ConfigLine{Name: "secret", Value: "canary"},
		event.Channel{Variables: []event.Variable{{Name: "TOKEN", Value: "canary"}}},
		action.GetConfig{}.Decode(answer(t, "Response: Success", "Category-000000: c", "Line-000000-000000: secret=canary")),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			require.NotContains(t, fmt.Sprintf(verb, v), "canary", "%s of %T", verb, v)
			require.NotContains(t, fmt.Sprintf(verb, []any{v}), "canary", "%s of %T", verb, v)
		}
		b, err := json.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, string(b), "canary", "JSON of %T", v)
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		require.NotContains(t, log.String(), "canary", "slog of %T", v)
	}
}
