package event_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

func TestAsAndInvalid(t *testing.T) { // F1
	e := of(t, "HANGUP", "Channel: PJSIP/a-1\r\nUniqueid: 1.2\r\nCause: <unknown>\r\nCause-txt: User busy\r\nTechCause: 486\r\n")
	_, ok := event.As[event.Newchannel](e)
	require.False(t, ok)
	h, ok := event.As[event.Hangup](e)
	require.True(t, ok, "whatever the case")
	require.Equal(t, e, h.Event)
	require.Equal(t, "PJSIP/a-1", h.Channel.Name)
	require.Equal(t, "User busy", h.CauseTxt)
	require.Equal(t, 486, h.TechCause, "what comes behind a bad value is decoded")
	require.Zero(t, h.Cause)

	want := []event.FieldError{{Event: "HANGUP", Key: "Cause", Value: "<unknown>", Want: "a whole number"}}
	require.Equal(t, want, event.Invalid(h))
	require.Equal(t, "<unknown>", h.Get("Cause"), "the text is there")
	require.EqualError(t, want[0], "event HANGUP: Cause is not a whole number")
	require.Zero(t, h.Cause, "asking changes nothing")

	h, _ = event.As[event.Hangup](of(t, "Hangup", "Cause: 17\r\n"))
	require.Empty(t, event.Invalid(h))
	require.Equal(t, event.HangupCauseUserBusy, h.Cause)
}

// own is an event that a module of somebody's own sends.
type own struct{ Volume string }

func (*own) EventName() string { return "Own" }

func (o *own) DecodeEvent(e event.Event) []event.FieldError {
	o.Volume = e.Get("Volume")
	return nil
}

func TestEventsOfOnesOwn(t *testing.T) { // F1
	o, ok := event.As[own](of(t, "Own", "Volume: 11\r\n"))
	require.True(t, ok)
	require.Equal(t, "11", o.Volume)
	require.Empty(t, event.Invalid(o), "it does not embed the Event, and there is nothing to decode again")
}

func TestEscapes(t *testing.T) { // F1
	for wire, want := range map[string]string{
		`plain`:                        "plain",
		`\a\b\f\n\r\t\v\\\'\"\?`:       "\a\b\f\n\r\t\v\\'\"?",
		`C:\\new\ttab`:                 "C:\\new\ttab",
		`ends with \`:                  `ends with \`,
		`ends with \\`:                 `ends with \`,
		`\x41 \0 \N are none`:          `\x41 \0 \N are none`,
		`\\n is a backslash and an n`:  `\n is a backslash and an n`,
		"\\\xff\xfe not even UTF-8 \\": "\\\xff\xfe not even UTF-8 \\",
		``:                             ``,
	} {
		v, ok := event.As[event.VarSet](of(t, "VarSet", "Variable: "+wire+"\r\nValue: "+wire+"\r\nCallerIDName: "+wire+"\r\nCallerIDNum: "+wire+"\r\nChanVariable: N="+wire+"\r\n"))
		require.True(t, ok)
		require.Equal(t, want, v.Value)
		require.Equal(t, want, v.Channel.CallerIDName)
		require.Equal(t, []event.Variable{{Name: "N", Value: want}}, v.Channel.Variables)
		require.Equal(t, wire, v.Variable, "Asterisk writes no escapes there")
		require.Equal(t, wire, v.Channel.CallerIDNum)
	}
}

func TestLimitsOfValues(t *testing.T) { // F1: and nothing that JSON does not take
	for _, tc := range []struct {
		header, value string
		ok            bool
	}{
		{"LastCall", "0", true},
		{"LastCall", "253402300799", true},
		{"LastCall", "253402300800", false},
		{"LastCall", "-1", false},
		{"LastCall", "1.-5", false},
		{"LastCall", "1.", true},
		{"LastCall", ".5", false},
		{"Wrapuptime", "9223372036", true},
		{"Wrapuptime", "9223372037", false},
		{"Wrapuptime", "-9223372036", true},
		{"Wrapuptime", "-9223372037", false},
		{"Wrapuptime", "1.5", false},
		{"Penalty", "-1", true},
		{"Penalty", " 1", false},
		{"Status", "9", true}, // a state that is not known
		{"Status", "NOT_INUSE", true},
		{"Status", "Not in use", true},
		{"Status", "not_inuse", false},
		{"Paused", "2", false},
	} {
		m, ok := event.As[event.QueueMember](of(t, "QueueMember", tc.header+": "+tc.value+"\r\nQueue: q\r\n"))
		require.True(t, ok)
		require.Equal(t, tc.ok, len(event.Invalid(m)) == 0, "%s: %s", tc.header, tc.value)
		require.Equal(t, "q", m.Queue)
		_, err := json.Marshal(m)
		require.NoError(t, err, "%s: %s", tc.header, tc.value)
	}
	for _, value := range []string{"nan", "-nan", "inf", "-Infinity", "1e999"} {
		r, _ := event.As[event.RTCPReceived](of(t, "RTCPReceived", "MES: "+value+"\r\n"))
		require.Len(t, event.Invalid(r), 1, value)
	}
	m, _ := event.As[event.QueueMember](of(t, "QueueMember", "LastCall: 0\r\n"))
	require.True(t, m.LastCall.IsZero(), "never")
	r, _ := event.As[event.RTCPSent](of(t, "RTCPSent", "SentNTP: 1700000000.0250001\r\n"))
	require.Equal(t, time.Unix(1700000000, 25_000_000), r.SentNTP)
}

func TestRTCPReports(t *testing.T) { // F1
	r, _ := event.As[event.RTCPReceived](of(t, "RTCPReceived", "ReportCount: 2\r\n"+
		"Report1SourceSSRC: 0x2\r\nReport0SourceSSRC: 0x1\r\nReport0DLSR: 1.5\r\nReport1IAJitter: x\r\n"+
		"Report30LSR: 9\r\nReport31LSR: 9\r\nReport99999999999LSR: 9\r\nReport-1LSR: 9\r\nReportLSR: 9\r\nReport0New: 9\r\n"+
		"From: 10.0.0.1:4000\r\n"))
	require.Len(t, r.Reports, 31, "the most that a packet has: no header makes it grow without end")
	require.Equal(t, event.RTCPReport{SourceSSRC: "0x1", DLSR: 1.5}, r.Reports[0])
	require.Equal(t, event.RTCPReport{SourceSSRC: "0x2"}, r.Reports[1])
	require.Equal(t, event.RTCPReport{LSR: 9}, r.Reports[30])
	require.Equal(t, "10.0.0.1:4000", r.From)
	require.Equal(t, "Report1IAJitter", event.Invalid(r)[0].Key)
}

func TestRepeatedHeaders(t *testing.T) { // F1
	s, _ := event.As[event.Status](of(t, "Status", "Variable: A=1\r\nVariable: B\r\nChanVariable: C=3\r\nChanVariable: D=4=5\r\n"))
	require.Equal(t, []event.Variable{{Name: "A", Value: "1"}, {Name: "B"}}, s.Variables)
	require.Equal(t, []event.Variable{{Name: "C", Value: "3"}, {Name: "D", Value: "4=5"}}, s.Channel.Variables)
	f, _ := event.As[event.SendFAX](of(t, "SendFAX", "FileName: a\r\nFileName: b\r\n"))
	require.Equal(t, []string{"a", "b"}, f.FileNames)
}

// TestFirstHeaderCounts: fields say what Get says. What a dialplan puts into its
// UserEvent, or a line end in a value makes, comes behind what Asterisk tells.
func TestFirstHeaderCounts(t *testing.T) { // F1
	for _, tc := range load(t) {
		headers, want := tc.frameOf(-1, "")
		v, invalid := decode(tc.typed, of(t, tc.Name, headers))
		require.Empty(t, invalid)
		require.Equal(t, want, fields(v))
		var again strings.Builder
		for _, h := range tc.headers {
			if reflect.TypeOf(h.value) == nil || reflect.TypeOf(h.value).Kind() != reflect.Slice {
				again.WriteString(h.key + ": 0\r\n")
			}
		}
		v, _ = decode(tc.typed, of(t, tc.Name, headers+again.String()))
		require.Equal(t, want, fields(v), tc.Name)
	}
	u, _ := event.As[event.UserEvent](of(t, "UserEvent", "Channel: PJSIP/a\r\nUniqueid: 1.1\r\nUserEvent: X\r\nUniqueid: 9.9\r\n"))
	require.Equal(t, "1.1", u.Channel.UniqueID)
	require.Equal(t, u.Get("Uniqueid"), u.Channel.UniqueID)
	m, _ := event.As[event.QueueMember](of(t, "QueueMember", "Penalty: x\r\nPenalty: 7\r\nCallsTaken: y\r\n"))
	require.Zero(t, m.Penalty)
	invalid := event.Invalid(m)
	require.Len(t, invalid, 2)
	require.Equal(t, "Penalty", invalid[0].Key, "in the order of the event")
}

func TestSecretsHaveNoField(t *testing.T) { // F1, G2
	for id := range generic {
		name, key, _ := strings.Cut(id, ".")
		if !strings.Contains(generic[id], "secret") {
			continue
		}
		e := of(t, name, key+": canary\r\n")
		v := event.Decode(e)
		b, err := json.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, string(b), "canary", id)
		require.Equal(t, "canary", v.(interface{ Get(key string) string }).Get(key), "who asks gets it")
	}
}

// FuzzDecode decodes whatever headers as event number n, and as what they say.
func FuzzDecode(f *testing.F) { // F1
	var types []typed
	for _, tc := range load(f) {
		headers, _ := tc.frameOf(-1, "")
		f.Add(uint8(len(types)), headers)
		types = append(types, tc.typed)
	}
	f.Fuzz(func(t *testing.T, n uint8, headers string) {
		m, err := frame.Parse(headers)
		if err != nil {
			return
		}
		e := event.Event{Frame: m}
		v, invalid := decode(types[int(n)%len(types)], e)
		if _, err := json.Marshal(v); err != nil {
			t.Fatalf("%T: %v", v, err)
		}
		for _, i := range invalid {
			if !strings.Contains(m.Wire(), i.Value) {
				t.Fatalf("%+v is not in %q", i, m.Wire())
			}
		}
		event.Decode(e)
	})
}
