package lease

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// An entry is what a watch delivers.
type entry struct {
	jetstream.KeyValueEntry // nil: a view asks for nothing else

	key      string
	value    []byte
	revision uint64
	op       jetstream.KeyValueOp
}

func (e entry) Key() string                     { return e.key }
func (e entry) Value() []byte                   { return e.value }
func (e entry) Revision() uint64                { return e.revision }
func (e entry) Operation() jetstream.KeyValueOp { return e.op }

// A told view is given entries with revisions that count up.
type toldView struct {
	*view
	last uint64
}

func (v *toldView) put(t *testing.T, key string, record any, at time.Time) (changed bool) {
	t.Helper()
	value, err := json.Marshal(record)
	require.NoError(t, err)
	v.last++
	changed, err = v.apply(entry{key: key, value: value, revision: v.last}, at)
	require.NoError(t, err)
	return changed
}

func (v *toldView) del(t *testing.T, key string, at time.Time) (changed bool) {
	t.Helper()
	v.last++
	changed, err := v.apply(entry{key: key, revision: v.last, op: jetstream.KeyValueDelete}, at)
	require.NoError(t, err)
	return changed
}

// TestExpiry: a member is dead if it was silent for a TTL of its own before the
// own write that has come back; nothing else counts.
func TestExpiry(t *testing.T) {
	v := &toldView{view: newView("me")}
	start := time.Now()
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	member := memberRecord{Session: "s", TTL: 5000}
	require.True(t, v.put(t, "member.a", member, at(0)))
	require.True(t, v.put(t, "member.slow", memberRecord{Session: "s", TTL: 20000}, at(0)))
	require.True(t, v.put(t, "member.me", member, at(-100)))
	require.True(t, v.put(t, "nodes.a", listRecord{"s", []string{"y", "x", "y"}}, at(0)))
	require.True(t, v.put(t, "nodes.slow", listRecord{"an earlier one", []string{"x"}}, at(0)))
	require.Equal(t, map[string][]string{"a": {"x", "y"}}, v.live(), "the list of slow is not its own")

	expiry, ok := v.nextExpiry()
	require.True(t, ok)
	require.Equal(t, at(5), expiry, "not the own one")
	require.Empty(t, v.expire(at(4.9)))
	require.False(t, v.put(t, "member.a", member, at(4.9)), "it lives, no more")
	require.Empty(t, v.expire(at(9.8)))
	require.Equal(t, []string{"a"}, v.expire(at(9.9)))
	require.Empty(t, v.expire(at(10)), "it is told once")
	require.Empty(t, v.live())
	require.False(t, v.alive("a"))
	require.True(t, v.alive("slow"))

	// In a new view the dead stay dead unless they have moved.
	next := &toldView{view: newView("me")}
	next.last = v.members["a"].revision - 1
	next.put(t, "member.a", member, at(11))
	next.inherit(v.view)
	require.False(t, next.alive("a"))
	require.True(t, v.put(t, "member.a", member, at(12)), "it is back")
	require.True(t, v.alive("a"))
	v.inherit(next.view)
	require.True(t, v.alive("a"), "another revision")

	v.doubt(at(30))
	require.Empty(t, v.expire(at(34.9)))
	require.Equal(t, []string{"a"}, v.expire(at(35)))
	require.Equal(t, []string{"slow"}, v.expire(at(50)))
	_, ok = v.nextExpiry()
	require.False(t, ok)
	require.True(t, v.del(t, "member.a", at(51)))
	require.False(t, v.del(t, "member.a", at(51)))
	require.False(t, v.alive("a"))
}

// TestPatience: a TTL out of bounds is brought back into them.
func TestPatience(t *testing.T) {
	for ms, want := range map[int64]time.Duration{
		-1: shortestTTL, 0: shortestTTL, 3000: 3 * time.Second, 1e12: MaxTTL,
	} {
		require.Equal(t, want, (&member{memberRecord: memberRecord{TTL: ms}}).patience(), ms)
	}
}

// TestLeases: who holds what, and who is about to let go.
func TestLeases(t *testing.T) {
	v, now := &toldView{view: newView("me")}, time.Now()
	require.True(t, v.empty())
	require.True(t, v.put(t, leasePrefix+escape("x.y"), leaseRecord{Instance: "a"}, now))
	require.True(t, v.put(t, leasePrefix+"z", leaseRecord{Instance: "b", Releasing: true}, now))
	require.False(t, v.empty())
	require.Equal(t, map[string]string{"x.y": "a"}, v.holders())
	require.True(t, v.del(t, leasePrefix+escape("x.y"), now))
	require.Empty(t, v.holders())
	require.False(t, v.put(t, "something.else", 1, now))
	require.False(t, v.put(t, leasePrefix+"a.b", 1, now), "no such key is made")

	_, err := v.apply(entry{key: leasePrefix + "q", value: []byte("{"), revision: 77}, now)
	require.Error(t, err)
	require.EqualValues(t, 77, v.leases["q"].revision, "it can be replaced")
	require.False(t, v.alive(v.leases["q"].Instance))
}

// TestJanitor: the first of those alive clears away the others.
func TestJanitor(t *testing.T) {
	v, now := &toldView{view: newView("b")}, time.Now()
	require.False(t, v.janitor())
	for _, m := range []string{"a", "b", "c"} {
		v.put(t, memberPrefix+m, memberRecord{Session: m, TTL: 1000}, now)
		v.put(t, listPrefix+m, listRecord{Session: m}, now)
	}
	require.False(t, v.janitor())
	v.put(t, "member.a", memberRecord{Session: "a", TTL: 1000, Leaving: true}, now)
	require.True(t, v.janitor())
}

// TestReplacement: a later process of the name replaces, an earlier one that a
// broker shows again does not.
func TestReplacement(t *testing.T) {
	for _, tc := range []struct {
		name     string
		session  string
		gen      uint64
		replaced bool
	}{
		{"itself", "m", 9, false},
		{"later", "a", 4, true},
		{"earlier", "z", 2, false},
		{"same time, after", "z", 3, true},
		{"same time, before", "a", 3, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := &toldView{view: newView("me")}
			s := &session{Keeper: &Keeper{opts: Options{Instance: "me"}, session: "m", generation: 3, view: v.view}}
			require.NoError(t, s.replaced(), "there is no key")
			v.put(t, "member.me", memberRecord{Session: tc.session, Generation: tc.gen}, time.Now())
			var e *ReplacedError
			require.Equal(t, tc.replaced, errors.As(s.replaced(), &e))
		})
	}
}
