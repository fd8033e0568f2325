package event_test

import (
	"bytes"
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
)

// recorded yields the events of a recording.
func recorded(name string) iter.Seq[event.Event] {
	return func(yield func(event.Event) bool) {
		r := frame.NewReader(bytes.NewReader(captures.Server(name)), frame.Limits{})
		if _, err := r.Banner(); err != nil {
			return // closed without one
		}
		for {
			f, err := r.Next()
			if err != nil {
				return
			}
			if f.Kind() == frame.Event && !yield(event.Event{Node: name, Time: at, Frame: f}) {
				return
			}
		}
	}
}

// noField are headers of the recordings that the catalogue does not have, and
// why they get no field.
var noField = map[string]string{
	"OriginateResponse.ChanVariable(Local/110@default-00000000;1)": "its name has the channel in it",
	"UserEvent.": "a line without a colon, as the action had it",
}

// TestRecordedEvents decodes every event that was recorded, of 149 types, and
// accounts for every header.
func TestRecordedEvents(t *testing.T) { // F1, C7
	seen, types, events := make(map[string]bool), make(map[string]bool), 0
	for _, name := range captures.Names() {
		for e := range recorded(name) {
			events++
			v, ok := event.Decode(e).(typed)
			require.True(t, ok, "%s in %s", e.Name(), name)
			types[e.Name()] = true
			_, invalid := decode(v, e)
			require.Empty(t, invalid, "%s in %s", e.Name(), name)
			for key := range e.Frame.All() {
				id := e.Name() + "." + key
				if seen[id] || common[key] {
					continue
				}
				seen[id] = true
				if generic[id] == "" && noField[id] == "" && !strings.HasPrefix(id, "UserEvent.") {
					require.Len(t, probe(t, v, key), 1, "%s in %s", id, name)
				}
			}
		}
	}
	for id := range noField {
		require.True(t, seen[id], id)
	}
	require.Equal(t, 33987, events)
	require.Len(t, types, 149)
}
