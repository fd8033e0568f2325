package event_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/catalog"
)

// TestNumberedEnums shows that every number of the catalogue has Asterisk's word
// for it, and others a word of their own.
func TestNumberedEnums(t *testing.T) { // F1
	c, err := catalog.Load()
	require.NoError(t, err)
	for list, tc := range map[string]struct {
		name   string
		of     func(int) fmt.Stringer
		values int
	}{
		"channel_state":    {"ChannelState", func(n int) fmt.Stringer { return event.ChannelState(n) }, 11},
		"device_state":     {"DeviceState", func(n int) fmt.Stringer { return event.DeviceState(n) }, 9},
		"extension_state":  {"ExtensionState", func(n int) fmt.Stringer { return event.ExtensionState(n) }, 10},
		"hangup_cause":     {"HangupCause", func(n int) fmt.Stringer { return event.HangupCause(n) }, 50},
		"originate_reason": {"OriginateReason", func(n int) fmt.Stringer { return event.OriginateReason(n) }, 6},
		"reload_result":    {"ReloadResult", func(n int) fmt.Stringer { return event.ReloadResult(n) }, 7},
	} {
		var values map[int]json.RawMessage
		require.NoError(t, json.Unmarshal(c.Enums[list], &values))
		require.Len(t, values, tc.values, list)
		for n, raw := range values {
			word, _, _ := strings.Cut(tc.of(n).String(), " (")
			require.Contains(t, string(raw), word, "%s %d", list, n)
			require.NotContains(t, word, tc.name)
		}
		for _, n := range []int{-3, 300, 1 << 30} {
			require.Equal(t, fmt.Sprintf("%s(%d)", tc.name, n), tc.of(n).String())
		}
	}
	require.Equal(t, "User busy", event.HangupCauseUserBusy.String())
	require.Equal(t, "NOT_INUSE", event.DeviceStateNotInUse.String())
	require.Equal(t, "InUse&Ringing", event.ExtensionStateInUseRinging.String())
}

// TestDeviceStates takes a number and both of the names that Asterisk has for it.
func TestDeviceStates(t *testing.T) { // F1
	c, err := catalog.Load()
	require.NoError(t, err)
	var states map[string][]string
	require.NoError(t, json.Unmarshal(c.Enums["device_state"], &states))
	for number, names := range states {
		for _, text := range append(names, number) {
			d, _ := event.As[event.DeviceStateChange](of(t, "DeviceStateChange", "State: "+text+"\r\n"))
			require.Equal(t, number, strconv.Itoa(int(d.State)), text)
			require.Empty(t, event.Invalid(d))
		}
	}
}

func TestTextEnums(t *testing.T) { // F1: a value that is not known stays as it came
	d, _ := event.As[event.DialEnd](of(t, "DialEnd", "DialStatus: CHANUNAVAIL\r\n"))
	require.Equal(t, event.DialStatusChanUnavailable, d.DialStatus)
	d, _ = event.As[event.DialEnd](of(t, "DialEnd", "DialStatus: SHINY\r\n"))
	require.Equal(t, "SHINY", d.DialStatus.String())
	require.Empty(t, event.Invalid(d))

	for want, v := range map[string]fmt.Stringer{
		"BILLING":         event.AMAFlagsBilling,
		"AGENT_LOGGEDOFF": event.AgentStatusLoggedOff,
		"sfu":             event.BridgeVideoModeSfu,
		"NO ANSWER":       event.CDRDispositionNoAnswer,
		"NonQualified":    event.ContactStateNonQualified,
		"Decline":         event.ModuleStatusDecline,
		"dnd":             event.PresenceStateDoNotDisturb,
	} {
		require.Equal(t, want, v.String())
	}
}
