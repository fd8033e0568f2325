package eventset

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
	"github.com/apn/ami/internal/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMask(t *testing.T) {
	for _, tc := range []struct {
		name  string
		names []string
		mask  string
	}{
		{"one class", []string{"Hangup", "Newchannel"}, "call"},
		{"whatever the case", []string{"hANGUP"}, "call"},
		{"two events", []string{"VarSet", "Hangup"}, "call,dialplan"},
		{"both classes of one event", []string{"VoicemailPasswordChange"}, "system,user"},
		{"user events", []string{"UserEvent"}, "user"},
		{"a name with a dash", []string{"AOC-D"}, "aoc"},
		{"no name", nil, "on"},
		{"a name that nobody knows", []string{"Hangup", "MyModuleEvent"}, "on"},
		{"the empty name", []string{""}, "on"},
		{"what comes in lists alone", []string{"QueueMember"}, "on"},
		{"what comes in lists too", []string{"PeerStatus"}, "system"},
		{"looks like a broadcast and is none", []string{"Status"}, "on"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.mask, Of(tc.names...).Mask().String())
		})
	}
	require.Equal(t, "off", Set{}.Mask().String())
}

func TestSets(t *testing.T) {
	a, b, all := Of("Hangup", "VarSet"), Of("VarSet", "Wink"), Of()
	require.Equal(t, Of("Hangup", "VarSet", "Wink"), a.Union(b))
	require.Equal(t, Of("Hangup"), a.Less(b))
	require.True(t, a.Union(b).Has(b))
	require.False(t, a.Has(b))
	require.True(t, a.Has(Set{}))
	require.True(t, all.Has(a))
	require.True(t, all.Has(all))
	require.False(t, a.Has(all))
	require.Equal(t, Set{}, a.Less(all))
	require.True(t, all.Less(a).All())
	require.True(t, a.Union(all).All())
	require.True(t, a.Union(all).Has(all))
}

// TestCatalogue: the table knows what is broadcast, with all classes, and a mask
// lets through no less than each event of it needs.
func TestCatalogue(t *testing.T) {
	c, err := catalog.Load()
	require.NoError(t, err)
	broadcast := 0
	for _, e := range c.Events {
		s := Of(e.Name)
		require.Equal(t, len(e.Class) == 0, s.All(), e.Name)
		if s.All() {
			require.NotContains(t, e.Kind, "async", e.Name)
			continue
		}
		broadcast++
		have := strings.Split(s.Mask().String(), ",")
		slices.Sort(e.Class)
		require.Equal(t, e.Class, have, e.Name)
	}
	require.Len(t, table, broadcast)
}

// TestRecorded: what real servers sent has no class that the mask for it has not,
// and the filter for it takes it, spelled as it is.
func TestRecorded(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range captures.Names() {
		for text := range strings.SplitSeq(string(captures.Server(file)), "\r\n\r\n") {
			lines := strings.SplitN(text+"\r\n", "\r\n", 3)
			name, isEvent := strings.CutPrefix(lines[0], "Event: ")
			if !isEvent || seen[name] {
				continue
			}
			privilege, isBroadcast := strings.CutPrefix(lines[1], "Privilege: ")
			if !isBroadcast {
				continue
			}
			seen[name] = true
			s := Of(name)
			mask := strings.Split(s.Mask().String(), ",")
			for class := range strings.SplitSeq(strings.ToLower(privilege), ",") {
				require.True(t, class == "all" || s.All() || slices.Contains(mask, class), "%s: %s", name, class)
			}
			require.True(t, compile(t, s.Pattern()).MatchString(text+"\r\n"), name)
		}
	}
	require.Greater(t, len(seen), 70)
}

// compile does what regcomp does with REG_EXTENDED: lines mean nothing to it.
func compile(t *testing.T, pattern string) *regexp.Regexp {
	t.Helper()
	re, err := syntax.Parse(pattern, syntax.POSIX|syntax.OneLine|syntax.ClassNL|syntax.DotNL)
	require.NoError(t, err)
	return regexp.MustCompile(re.String())
}

func TestPattern(t *testing.T) {
	p := Of("Hangup", "AOC-D").Pattern()
	require.Equal(t, "^Event: (AOC-D|Hangup)[[:cntrl:]]", p)
	re := compile(t, p)
	for text, want := range map[string]bool{
		"Event: Hangup\r\nPrivilege: call,all\r\n":                  true,
		"Event: AOC-D\r\n":                                          true,
		"Event: HangupRequest\r\n":                                  false,
		"Event: SoftHangupRequest\r\n":                              false,
		"Event: UserEvent\r\nText: Event: Hangup\r\n":               false,
		"Event: UserEvent\r\nText: \r\nEvent: Hangup\r\nMore: \r\n": false,
	} {
		require.Equal(t, want, re.MatchString(text), text)
	}
	require.Equal(t, "^Event: ", Of().Pattern())

	var many []string
	for _, e := range table {
		many = append(many, e.name)
		p := Of(many...).Pattern()
		require.LessOrEqual(t, len("Filter: "+p), 1023)
		if p == "" {
			break
		}
		_, err := frame.AppendAction(nil, "Filter", []frame.Field{{Key: "Filter", Value: p}})
		require.NoError(t, err)
	}
	require.Empty(t, Of(many...).Pattern(), "too many for one line")
	require.Greater(t, len(many), 40)
}
