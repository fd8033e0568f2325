package strategy_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
	"github.com/apn/ami/strategy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Frames of many cases, as Asterisk writes them.
const (
	success   = "Response: Success\nActionID: a\nMessage: ok"
	pong      = "Response: Success\nActionID: a\nPing: Pong\nTimestamp: 1795419286.129645"
	refusal   = "Response: Error\nActionID: a\nMessage: Permission denied"
	start     = "Response: Success\nActionID: a\nEventList: start\nMessage: will follow"
	item      = "Event: Entry\nActionID: a\nName: x"
	peer      = "Event: PeerEntry\nChanneltype: IAX2\nObjectName: iaxa"
	complete  = "Event: EntryComplete\nActionID: a\nEventList: Complete\nListItems: 1"
	userEvent = "Event: UserEvent\nPrivilege: user,all\nUserEvent: EntryComplete\nActionID: a\nEventList: Complete"
	// A broadcast that has even the name of the terminal event.
	impostor = "Event: EntryComplete\nPrivilege: user,all\nActionID: a\nEventList: Complete"
	status   = "Event: Status\nPrivilege: Call\nActionID: a\nChannel: Local/1"
	decided  = "Event: OriginateResponse\nPrivilege: call,all\nActionID: a\nResponse: Success\nReason: 4"
	text     = "-------- LOCAL ---------------------"
	output   = "Message: Command output follows\nOutput: first\nOutput: second"
)

func parse(t *testing.T, wire string) *frame.Frame {
	t.Helper()
	f, err := frame.Parse(wire + "\n\n")
	require.NoError(t, err)
	return f
}

// A step is a frame and what it must mean; without a frame, the end of the
// action's time.
type step struct {
	wire string
	want strategy.Verdict
}

type sequence struct {
	name  string
	s     strategy.Strategy
	steps []step
}

func run(t *testing.T, cases []sequence) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, tc.s.Validate())
			p := tc.s.Begin()
			for i, st := range tc.steps {
				if st.wire == "" {
					require.Equal(t, st.want, p.Expire(), "step %d: expire", i)
					continue
				}
				require.Equal(t, st.want, p.Offer(parse(t, st.wire)), "step %d: %q", i, st.wire)
			}
		})
	}
}

func with(s strategy.Strategy, change func(*strategy.Strategy)) strategy.Strategy {
	change(&s)
	return s
}

var entries = strategy.ListOf("EntryComplete")

func TestSingleStrategies(t *testing.T) { // C2, C4, C9
	t.Parallel()
	single := strategy.Strategy{Kind: strategy.Single}
	jabber := strategy.Strategy{Kind: strategy.Single, Responses: 2}
	run(t, []sequence{
		{"success", single, []step{{success, strategy.Done}}},
		{"error", single, []step{{refusal, strategy.Refused}}},
		{"error in lower case", single, []step{{"Response: error\nActionID: a", strategy.Refused}}},
		{"goodbye", single, []step{{"Response: Goodbye\nActionID: a", strategy.Done}}},
		{"its own user event", single, []step{{userEvent, strategy.Foreign}, {success, strategy.Done}}},
		{"list item", single, []step{{item, strategy.Foreign}, {complete, strategy.Foreign}, {success, strategy.Done}}},
		{"text", single, []step{{text, strategy.Foreign}, {success, strategy.Done}}},
		{"no answer", single, []step{{"", strategy.Expired}}},
		{"JabberSend answers twice", jabber, []step{{success, strategy.Keep}, {success, strategy.Done}}},
		{"JabberSend fails at once", jabber, []step{{refusal, strategy.Refused}}},
		{"JabberSend fails second", jabber, []step{{success, strategy.Keep}, {refusal, strategy.Refused}}},
		{"JabberSend answers once only", jabber, []step{{success, strategy.Keep}, {"", strategy.Expired}}},
	})
}

func TestListStrategies(t *testing.T) { // C2, C4, C9
	t.Parallel()
	dbGet := with(strategy.ListOf("DBGetComplete"), func(s *strategy.Strategy) {
		s.Empty = []string{"No conferences", "Database entry not found"}
	})
	goesOn := with(entries, func(s *strategy.Strategy) { s.ErrorGoesOn = true })
	statuses := with(strategy.ListOf("StatusComplete"), func(s *strategy.Strategy) { s.Items = []string{"status"} })
	waitEvent := with(strategy.ListOf("WaitEventComplete"), func(s *strategy.Strategy) { s.Unannounced = true })
	const end = "Event: WaitEventComplete\nActionID: a"
	run(t, []sequence{
		{"regular", entries, []step{{start, strategy.Keep}, {item, strategy.Keep}, {item, strategy.Keep}, {complete, strategy.Done}}},
		{"zero items", entries, []step{{start, strategy.Keep}, {complete, strategy.Done}}},
		{"FAXSessions says Start", entries, []step{{"Response: Success\nActionID: a\nEventList: Start", strategy.Keep}, {complete, strategy.Done}}},
		{"items and end in one message", with(entries, func(s *strategy.Strategy) { s.Merged = true }), []step{{start, strategy.Keep}, {item + "\nEvent: Entry\nX: 2", strategy.Keep}, {item + "\nEvent: EntryComplete", strategy.Done}}},
		{"an end within an item is data", entries, []step{{start, strategy.Keep}, {item + "\nEvent: EntryComplete", strategy.Keep}, {complete, strategy.Done}}},
		{"names in another case", strategy.ListOf("ENTRYcomplete"), []step{{start, strategy.Keep}, {complete, strategy.Done}}},
		{"one of two terminals", strategy.Strategy{Kind: strategy.List, Terminal: []string{"Other", "EntryComplete"}}, []step{{start, strategy.Keep}, {complete, strategy.Done}}},
		{"complete of another list", strategy.ListOf("Other"), []step{{start, strategy.Keep}, {complete, strategy.Keep}, {"", strategy.Expired}}},
		{"empty is a plain success", entries, []step{{success, strategy.Done}}},
		{"empty is an error", dbGet, []step{{"Response: Error\nActionID: a\nMessage:  database entry not found ", strategy.Done}}},
		{"another error", dbGet, []step{{refusal, strategy.Refused}}},
		{"that error after the start", dbGet, []step{{start, strategy.Keep}, {"Response: Error\nActionID: a\nMessage: Database entry not found", strategy.Refused}}},
		{"error before the start", entries, []step{{refusal, strategy.Refused}}},
		{"ShowDialPlan: error after the start ends it", entries, []step{{start, strategy.Keep}, {item, strategy.Keep}, {refusal, strategy.Refused}}},
		{"PJSIPShowEndpoint: error goes on to the end", goesOn, []step{{start, strategy.Keep}, {refusal, strategy.Keep}, {item, strategy.Keep}, {complete, strategy.Refused}}},
		{"error that goes on never ends", goesOn, []step{{start, strategy.Keep}, {refusal, strategy.Keep}, {"", strategy.Refused}}},
		{"error before the start does not go on", goesOn, []step{{refusal, strategy.Refused}}},
		{"no error with ErrorGoesOn", goesOn, []step{{start, strategy.Keep}, {complete, strategy.Done}}},
		{"second success", entries, []step{{start, strategy.Keep}, {success, strategy.Keep}, {complete, strategy.Done}}},
		{"terminal without response", entries, []step{{complete, strategy.Missing}}},
		{"item before the response", entries, []step{{item, strategy.Foreign}, {start, strategy.Keep}, {complete, strategy.Done}}},
		{"item and terminal without response", entries, []step{{item, strategy.Foreign}, {complete, strategy.Missing}}},
		{"user event is no item and no end", entries, []step{{userEvent, strategy.Foreign}, {start, strategy.Keep}, {userEvent, strategy.Foreign}, {impostor, strategy.Foreign}, {complete, strategy.Done}}},
		{"text", entries, []step{{start, strategy.Keep}, {text, strategy.Foreign}, {complete, strategy.Done}}},
		{"status items have a Privilege", statuses, []step{{start, strategy.Keep}, {status, strategy.Keep}, {userEvent, strategy.Foreign}, {"Event: StatusComplete\nActionID: a\nEventList: Complete", strategy.Done}}},
		{"unlisted broadcast", strategy.ListOf("StatusComplete"), []step{{start, strategy.Keep}, {status, strategy.Foreign}}},
		{"WaitEvent", waitEvent, []step{{success, strategy.Keep}, {"Event: Hangup\nActionID: a", strategy.Keep}, {end, strategy.Done}}},
		{"WaitEvent fails", waitEvent, []step{{refusal, strategy.Refused}}},
		{"WaitEvent without response", waitEvent, []step{{end, strategy.Missing}}},
		{"list that stops", entries, []step{{start, strategy.Keep}, {item, strategy.Keep}, {"", strategy.Expired}}},
	})
}

func TestAutoStrategies(t *testing.T) { // C2, C4, C7, C9
	t.Parallel()
	var auto strategy.Strategy
	run(t, []sequence{
		{"single", auto, []step{{success, strategy.Done}}},
		{"error", auto, []step{{refusal, strategy.Refused}}},
		{"list", auto, []step{{start, strategy.Keep}, {item, strategy.Keep}, {complete, strategy.Done}}},
		{"error in the list", auto, []step{{start, strategy.Keep}, {refusal, strategy.Refused}}},
		{"user event", auto, []step{{start, strategy.Keep}, {userEvent, strategy.Foreign}, {complete, strategy.Done}}},
		{"item before the response", auto, []step{{item, strategy.Foreign}, {success, strategy.Done}}},
		{"terminal without response", auto, []step{{complete, strategy.Missing}}},
		{"list that stops", auto, []step{{start, strategy.Keep}, {"", strategy.Expired}}},
	})
}

func TestCommandStrategies(t *testing.T) { // C2, C4
	t.Parallel()
	command := strategy.Strategy{Kind: strategy.Command}
	run(t, []sequence{
		{"success with output", command, []step{{"Response: Success\nActionID: a\n" + output, strategy.Done}}},
		{"error with output", command, []step{{"Response: Error\nActionID: a\n" + output, strategy.Refused}}},
		{"follows, as up to Asterisk 13", command, []step{{"Response: Follows\nPrivilege: Command\nActionID: a\nfirst\nsecond\n--END COMMAND--", strategy.Done}}},
		{"event", command, []step{{complete, strategy.Foreign}}},
	})
}

func TestAsyncStrategies(t *testing.T) { // C2, C4, C9
	t.Parallel()
	originate := strategy.AsyncBy("OriginateResponse")
	run(t, []sequence{
		{"success", originate, []step{{success, strategy.Keep}, {decided, strategy.Done}}},
		{"refused", originate, []step{{refusal, strategy.Refused}}},
		{"refused after the response", originate, []step{{success, strategy.Keep}, {refusal, strategy.Refused}}},
		{"event overtakes the response", originate, []step{{decided, strategy.Keep}, {success, strategy.Done}}},
		{"event overtakes the refusal", originate, []step{{decided, strategy.Keep}, {refusal, strategy.Refused}}},
		{"event without response", originate, []step{{decided, strategy.Keep}, {"", strategy.Missing}}},
		{"response without event", originate, []step{{success, strategy.Keep}, {"", strategy.Expired}}},
		{"other events with the id", originate, []step{{userEvent, strategy.Foreign}, {success, strategy.Keep}, {userEvent, strategy.Foreign}, {item, strategy.Foreign}, {decided, strategy.Done}}},
		{"second success", originate, []step{{success, strategy.Keep}, {success, strategy.Keep}, {decided, strategy.Done}}},
	})
}

func TestEventOnlyStrategies(t *testing.T) { // C2, C4, C9
	t.Parallel()
	fax := strategy.Strategy{Kind: strategy.EventOnly, Terminal: []string{"FAXSession"}, Items: []string{"Status"}}
	const end = "Event: FAXSession\nActionID: a"
	run(t, []sequence{
		{"without response", fax, []step{{end, strategy.Done}}},
		{"with response", fax, []step{{success, strategy.Keep}, {end, strategy.Done}}},
		{"refused", fax, []step{{refusal, strategy.Refused}}},
		{"items", fax, []step{{item, strategy.Keep}, {status, strategy.Keep}, {end, strategy.Done}}},
		{"user event", fax, []step{{userEvent, strategy.Foreign}, {end, strategy.Done}}},
		{"response only", fax, []step{{success, strategy.Keep}, {"", strategy.Expired}}},
	})
}

func TestBareStrategies(t *testing.T) { // C2, C4, C9
	t.Parallel()
	bare := strategy.Strategy{Kind: strategy.Bare}
	run(t, []sequence{
		{"texts up to the pong", bare, []step{{text, strategy.Keep}, {text, strategy.Keep}, {pong, strategy.Done}}},
		{"no text", bare, []step{{pong, strategy.Done}}},
		{"refused", bare, []step{{refusal, strategy.Keep}, {pong, strategy.Refused}}},
		{"ping is refused too", bare, []step{{refusal, strategy.Keep}, {refusal, strategy.Refused}}},
		{"events are not part of it", bare, []step{{userEvent, strategy.Foreign}, {complete, strategy.Foreign}, {pong, strategy.Done}}},
		{"no pong", bare, []step{{text, strategy.Keep}, {"", strategy.Expired}}},
		{"refused and no pong", bare, []step{{refusal, strategy.Keep}, {"", strategy.Refused}}},
	})
}

func TestMaxMessages(t *testing.T) { // C2
	t.Parallel()
	three := with(entries, func(s *strategy.Strategy) { s.MaxMessages = 3 })
	run(t, []sequence{
		{"as many as may be", three, []step{{start, strategy.Keep}, {item, strategy.Keep}, {complete, strategy.Done}}},
		{"one more item", three, []step{{start, strategy.Keep}, {item, strategy.Keep}, {item, strategy.Keep}, {item, strategy.Overflow}}},
		{"one more terminal", three, []step{{start, strategy.Keep}, {item, strategy.Keep}, {item, strategy.Keep}, {complete, strategy.Overflow}}},
		{"foreign frames do not count", three, []step{{item, strategy.Foreign}, {userEvent, strategy.Foreign}, {start, strategy.Keep}, {userEvent, strategy.Foreign}, {item, strategy.Keep}, {complete, strategy.Done}}},
	})

	t.Run("default", func(t *testing.T) {
		t.Parallel()
		p := entries.Begin()
		f := parse(t, item)
		require.Equal(t, strategy.Keep, p.Offer(parse(t, start)))
		for i := 1; i < strategy.DefaultMaxMessages; i++ {
			if v := p.Offer(f); v != strategy.Keep {
				require.FailNow(t, "wrong verdict", "%v for message %d", v, i+1)
			}
		}
		assert.Equal(t, strategy.Overflow, p.Offer(f))
	})
}

func TestPartial(t *testing.T) { // C2, C4
	t.Parallel()
	list := with(entries, func(s *strategy.Strategy) { s.Partial = true })
	run(t, []sequence{
		{"what came", list, []step{{start, strategy.Keep}, {item, strategy.Keep}, {"", strategy.PartialDone}}},
		{"nothing came", list, []step{{"", strategy.Expired}}},
		{"only foreign frames came", list, []step{{item, strategy.Foreign}, {"", strategy.Expired}}},
		{"an error came", with(list, func(s *strategy.Strategy) { s.ErrorGoesOn = true }), []step{{start, strategy.Keep}, {refusal, strategy.Keep}, {"", strategy.Refused}}},
		{"the response never came", with(strategy.AsyncBy("OriginateResponse"), func(s *strategy.Strategy) { s.Partial = true }), []step{{decided, strategy.Keep}, {"", strategy.Missing}}},
		{"events without response", strategy.Strategy{Kind: strategy.EventOnly, Terminal: []string{"End"}, Partial: true}, []step{{item, strategy.Keep}, {"", strategy.PartialDone}}},
	})
}

func TestItemsWithoutActionID(t *testing.T) { // C2, C9
	t.Parallel()
	peers := with(strategy.ListOf("PeerlistComplete"), func(s *strategy.Strategy) { s.NoActionID = []string{"PeerEntry"} })
	p := peers.Begin()
	assert.False(t, p.Open(), "the list has not begun")
	require.Equal(t, strategy.Foreign, p.Offer(parse(t, peer)), "and has no items yet")
	require.Equal(t, strategy.Keep, p.Offer(parse(t, start)))
	assert.True(t, p.Open())
	assert.True(t, p.Owns("peerentry"))
	assert.False(t, p.Owns("Hangup"))
	require.Equal(t, strategy.Keep, p.Offer(parse(t, peer)))
	require.Equal(t, strategy.Foreign, p.Offer(parse(t, "Event: PeerEntry\nPrivilege: system,all")), "a broadcast of that name")
	require.Equal(t, strategy.Done, p.Offer(parse(t, "Event: PeerlistComplete\nActionID: a\nEventList: Complete")))

	p = entries.Begin()
	require.Equal(t, strategy.Keep, p.Offer(parse(t, start)))
	assert.False(t, p.Open(), "all items of this one have an ActionID")
	assert.False(t, p.Owns("PeerEntry"))
}

// offerRecorded offers the frames of a recording that have the ActionID, or
// none while the answer is open, and returns the last verdict and how many
// frames were part of the answer.
func offerRecorded(t *testing.T, recording, id string, s strategy.Strategy) (last strategy.Verdict, kept int) {
	t.Helper()
	require.NoError(t, s.Validate())
	r := frame.NewReader(bytes.NewReader(captures.Server(recording)), frame.Limits{})
	_, err := r.Banner()
	require.NoError(t, err)
	p := s.Begin()
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return last, kept
		}
		require.NoError(t, err)
		got := f.Get("ActionID")
		without := got == "" && f.Kind() == frame.Event && p.Open() && p.Owns(f.Name())
		if got != id && !without || last > strategy.Keep {
			continue
		}
		if v := p.Offer(f); v != strategy.Foreign {
			last = v
			kept++
		}
	}
}

func TestRecordedConversations(t *testing.T) { // C2, C4, C9
	t.Parallel()
	endpoint := with(strategy.ListOf("EndpointDetailComplete"), func(s *strategy.Strategy) { s.ErrorGoesOn = true })
	iaxPeers := with(strategy.ListOf("PeerlistComplete"), func(s *strategy.Strategy) { s.NoActionID = []string{"PeerEntry"} })
	waitEvent := with(strategy.ListOf("WaitEventComplete"), func(s *strategy.Strategy) { s.Unannounced = true })
	dbGet := with(strategy.ListOf("DBGetComplete"), func(s *strategy.Strategy) { s.Empty = []string{"Database entry not found"} })
	for _, tc := range []struct {
		recording, id string
		s             strategy.Strategy
		want          strategy.Verdict
		frames        int
	}{
		{"2-ping", "a-1", strategy.Strategy{Kind: strategy.Single}, strategy.Done, 1},
		{"2-ping", "a-1", strategy.Strategy{}, strategy.Done, 1},
		{"2-command-unknown", "a-1", strategy.Strategy{Kind: strategy.Command}, strategy.Refused, 1},
		{"2-command-dialplan-show", "a-1", strategy.Strategy{Kind: strategy.Command}, strategy.Done, 1},
		{"3-iaxpeers", "a-1", iaxPeers, strategy.Done, 4},
		{"3-dbget", "a-1", dbGet, strategy.Done, 3},
		{"3-dbget", "a-1", strategy.Strategy{}, strategy.Done, 3},
		{"3-dbget-nosuch", "a-1", dbGet, strategy.Done, 1},
		{"3-dbget-nosuch", "a-1", strategy.Strategy{}, strategy.Refused, 1},
		{"3-waitevent", "a-1", waitEvent, strategy.Done, 2},
		{"3-status-0", "a-1", strategy.ListOf("StatusComplete"), strategy.Done, 2},
		{"3-voicemailuserslist", "a-1", strategy.ListOf("VoicemailUserEntryComplete"), strategy.Done, 5},
		{"4-userevent", "u-1", strategy.Strategy{Kind: strategy.Single}, strategy.Done, 1},
		{"4-originate-async-busy", "o-1", strategy.AsyncBy("OriginateResponse"), strategy.Done, 2},
		{"4-originate-async-eventsoff", "o-1", strategy.AsyncBy("OriginateResponse"), strategy.Keep, 1},
		{"8-pjsip-showendpoint", "pjsipshowendpoint-0", endpoint, strategy.Done, 7},
		{"8-pjsip-showendpoint", "pjsipshowendpoint-3", endpoint, strategy.Done, 7},
		{"8-pjsip-showendpoint", "pjsipshowendpoint-4", endpoint, strategy.Refused, 1},
	} {
		t.Run(tc.recording+" "+tc.s.Kind.String(), func(t *testing.T) {
			t.Parallel()
			last, frames := offerRecorded(t, tc.recording, tc.id, tc.s)
			assert.Equal(t, tc.want, last)
			assert.Equal(t, tc.frames, frames)
		})
	}
}

func TestValidate(t *testing.T) { // C2
	t.Parallel()
	for _, tc := range []struct {
		name   string
		s      strategy.Strategy
		field  string // empty: valid
		reason string
	}{
		{"zero", strategy.Strategy{}, "", ""},
		{"list", entries, "", ""},
		{"async", strategy.AsyncBy("OriginateResponse"), "", ""},
		{"all set", strategy.Strategy{Kind: strategy.Bare, Timeout: time.Second, MaxMessages: 1, Responses: 1}, "", ""},
		{"kind", strategy.Strategy{Kind: strategy.Bare + 1}, "Kind", "is 7"},
		{"list without end", strategy.Strategy{Kind: strategy.List}, "Terminal", "list"},
		{"async without end", strategy.Strategy{Kind: strategy.Async}, "Terminal", "async"},
		{"event-only without end", strategy.Strategy{Kind: strategy.EventOnly}, "Terminal", "event-only"},
		{"timeout", strategy.Strategy{Timeout: -time.Second}, "Timeout", "-1s"},
		{"messages", strategy.Strategy{MaxMessages: -1}, "MaxMessages", "-1"},
		{"responses", strategy.Strategy{Responses: -2}, "Responses", "-2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := tc.s.Validate()
			if tc.field == "" {
				require.NoError(t, err)
				return
			}
			var ve *strategy.ValidationError
			require.ErrorAs(t, err, &ve)
			assert.Equal(t, tc.field, ve.Field)
			assert.Contains(t, ve.Reason, tc.reason)
			assert.Equal(t, "strategy: "+ve.Field+" "+ve.Reason, err.Error())
		})
	}
}

func TestKindString(t *testing.T) { // C2
	t.Parallel()
	for k, want := range map[strategy.Kind]string{
		strategy.Auto: "auto", strategy.Single: "single", strategy.List: "list", strategy.Command: "command",
		strategy.Async: "async", strategy.EventOnly: "event-only", strategy.Bare: "bare", 99: "kind(99)",
	} {
		assert.Equal(t, want, k.String())
	}
}

func TestConcerns(t *testing.T) { // C9
	named := strategy.Strategy{Kind: strategy.List, Terminal: []string{"StatusComplete"}, Items: []string{"Status"}}
	async := strategy.AsyncBy("OriginateResponse")
	for name, tc := range map[string]struct {
		s    strategy.Strategy
		wire string
		want bool
	}{
		"response":        {strategy.Strategy{}, "Response: Success", true},
		"item":            {strategy.Strategy{}, "Event: Entry", true},
		"broadcast":       {strategy.Strategy{}, "Event: UserEvent\nPrivilege: user,all", false},
		"named broadcast": {named, "Event: Status\nPrivilege: Call", true},
		"outcome":         {async, "Event: OriginateResponse\nPrivilege: call,all", true},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := frame.Parse(tc.wire + "\n\n")
			require.NoError(t, err)
			require.Equal(t, tc.want, tc.s.Concerns(f))
		})
	}
}
