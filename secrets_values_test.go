package ami_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/exported"
)

// holdsNothing are the exported types of which no value holds what a user has given:
// all others must be in TestSecretsInValues.
var holdsNothing = map[string]string{
	"Option": "a function", "SendOption": "a function", "SubOption": "a function",
	"Observer": "an interface", "ActionStarter": "an interface", "Resolver": "an interface",
	"Router": "an interface", "Sender": "an interface", "Source": "an interface",
	"Auth": "a number", "State": "a number",
}

// typesOf returns the names of the types of v and of what it points to.
func typesOf(v any) (names []string) {
	for t := reflect.TypeOf(v); t != nil; t = t.Elem() {
		name, _, _ := strings.Cut(t.Name(), "[") // of a generic type
		if names = append(names, name); t.Kind() != reflect.Pointer && t.Kind() != reflect.Slice {
			break
		}
	}
	return names
}

// fromALife returns values of all types that a cluster hands out, of one whose
// nodes met the canary wherever they ask code of the user.
func fromALife(t *testing.T) map[string]any {
	t.Helper()
	values := make(map[string]any)
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithUser(amitest.User{Name: "admin", Secret: canary}))
		defer srv.Close()
		up := node(srv)
		up.Secret = ami.NewSecret(canary)
		undialled, unasked := up, up
		undialled.Key, undialled.Addr = "undialled", "192.0.2.1"
		unasked.Key, unasked.Secret = "unasked", ami.Secret{}
		unasked.SecretFunc = func(context.Context) (ami.Secret, error) { return ami.NewSecret(canary), plainError{canary} }
		o := new(ends)
		cl, err := ami.NewCluster([]ami.Node{up, undialled, unasked}, ami.WithObserver(o), ami.WithActionLanes(1), ami.WithRedaction(ami.Redaction{Values: []string{canary + "never$^"}}),
			ami.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != srv.Addr() {
					return nil, plainError{canary}
				}
				return srv.DialContext(ctx, network, addr)
			}))
		require.NoError(t, err)
		watching, stop := context.WithCancel(t.Context())
		changes := make(chan ami.StateChange, 100)
		var watch sync.WaitGroup
		watch.Go(func() {
			for c := range cl.StateChanges(watching) {
				changes <- c
			}
		})
		done := make(chan error, 1)
		go func() { done <- cl.Run(t.Context()) }()
		require.NoError(t, cl.Ready(t.Context(), 1))
		synctest.Wait()
		typed := ami.On[event.Hangup](cl)
		values["TypedSubscription"], values["Subscription"] = typed, cl.Subscribe()
		_, values["NoNodeError"] = cl.Send(t.Context(), action.Ping{}, ami.To("none"))
		_, values["NotReadyError"] = cl.Send(t.Context(), action.Ping{}, ami.To("undialled"))
		_, values["NotReadyError of a secret"] = cl.Send(t.Context(), action.Ping{}, ami.To("unasked"))
		undialledClient, _ := cl.Node("undialled")
		values["ConnError"], _ = errors.AsType[*ami.ConnError](undialledClient.Stats().Reason)
		unaskedClient, _ := cl.Node("unasked")
		values["ConnError of a secret"], _ = errors.AsType[*ami.ConnError](unaskedClient.Stats().Reason)
		c, _ := cl.Node("pbx1")
		p := c.Start(t.Context(), action.Custom("Odd", "Secret", canary))
		_, err = p.Result()
		require.Error(t, err)
		values["Pending"] = p
		for node, result := range cl.Broadcast(t.Context(), action.Custom("Odd", "Secret", canary)) {
			values["Result of "+node] = result
		}
		for item, err := range cl.List(t.Context(), action.IAXpeers{}) {
			values["Item of "+item.Node] = item
			values["error of the list of "+item.Node] = fmt.Sprint(err)
		}
		synctest.Wait()
		values["ActionEnd"] = o.list[len(o.list)-1]
		values["ActionEnds"] = o.list
		values["ClusterStats"] = cl.Stats()
		values["Stats"] = undialledClient.Stats()
		values["LaneStats"] = c.Stats().Lanes[0]
		values["DeliveryStats"] = cl.Stats().Delivery
		require.NoError(t, cl.Close())
		require.NoError(t, <-done)
		stop()
		watch.Wait()
		close(changes)
		for change := range changes {
			values[fmt.Sprintf("StateChange %d of %s", len(values), change.Node)] = change
		}
		values["Cluster"] = cl
	})
	return values
}

// TestSecretsInPanics: what a predicate or an observer panics with is in no record.
func TestSecretsInPanics(t *testing.T) { // C8, G2
	for _, v := range []any{canary, errors.New(canary), plainError{canary}, &struct{ S string }{canary}, []byte(canary), ami.ActionEnd{Node: canary}} {
		bubble(t, func(t *testing.T, srv *amitest.Server) {
			var text, js bytes.Buffer
			log := slog.New(fork{slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&js, nil)})
			c := dial(t, srv, ami.WithLogger(log), ami.WithObserver(panicsWith{v}))
			c.Subscribe(ami.Named("Test"), ami.Where(func(event.Event) bool { panic(v) }))
			broadcast(srv, 1, 1)
			_, err := c.Send(t.Context(), action.Ping{})
			require.NoError(t, err)
			require.NoError(t, c.Close())
			for _, out := range []string{text.String(), js.String()} {
				require.Contains(t, out, "a subscription's predicate panicked")
				require.Contains(t, out, "an observer panicked")
				require.Contains(t, out, "panicsWith.ActionEnded", "the stack")
				unshown(t, "log", out)
			}
		})
	}
}

type panicsWith struct{ v any }

func (p panicsWith) ActionEnded(context.Context, ami.ActionEnd) { panic(p.v) }

// TestSecretsInValues puts the canary into every exported type that can hold
// one (G2).
func TestSecretsInValues(t *testing.T) {
	values := fromALife(t)
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(canary), 0o600))
	_, values["FileError"] = ami.SecretFile(canary)(t.Context())
	_, values["FileError of a key"] = ami.TLSFiles{Certificate: file, Key: canary}.Config(t.Context())
	_, values["FileError of a pair"] = ami.TLSFiles{Certificate: file, Key: file}.Config(t.Context())
	values["TLSFiles"] = ami.TLSFiles{CA: file, Certificate: file, Key: file}
	_, values["ConfigError"] = ami.New(ami.Node{Key: "pbx1", Addr: "192.0.2.1", Username: "u", Secret: ami.NewSecret(canary + "\n")})
	_, values["ConfigError of a pattern"] = ami.New(ami.Node{Key: "pbx1", Addr: "192.0.2.1", Username: "u", Secret: ami.NewSecret("s")}, ami.WithRedaction(ami.Redaction{Values: []string{"(" + canary}}))
	values["BackpressureError"] = &ami.BackpressureError{Node: "pbx1"}
	n := ami.Node{Key: "pbx1", Addr: "192.0.2.1:5038", Username: "u", Secret: ami.NewSecret(canary)}
	secure := n
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	closed, err := ami.New(n, ami.WithRedaction(ami.Redaction{Headers: []string{"Pin"}}))
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	f, err := frame.Parse("Event: VarSet\r\nVariable: X_TOKEN\r\nValue: " + canary + "\r\n")
	require.NoError(t, err)
	e := event.Event{Node: "pbx1", Seq: 1, Frame: f}
	r := &ami.Response{Node: "pbx1", ActionID: "a", Frame: f, Items: []*frame.Frame{f}, End: f}
	malformed := &frame.FormatError{Reason: frame.TooLarge, Head: f}
	key := action.ChallengeKey("1", ami.NewSecret(canary))
	variables := []action.Variable{{Name: "X_TOKEN", Value: canary}}
	fields := []frame.Field{{Key: "Secret", Value: canary}}
	maps.Copy(values, map[string]any{
		"Secret":               ami.NewSecret(canary),
		"Node":                 n,
		"Node with TLS":        secure,
		"pointer to Node":      &n,
		"Client":               closed,
		"Client.Node":          closed.Node(),
		"Response":             r,
		"Response value":       *r,
		"Redaction":            ami.Redaction{Headers: []string{"Pin"}, Names: []string{"^X-"}, Values: []string{canary}},
		"pointer to Redaction": &ami.Redaction{Values: []string{canary}},
		"Event":                e,
		"ActionError":          &ami.ActionError{Node: "pbx1", Action: "Odd", Message: "no", Response: r},
		"TimeoutError":         &ami.TimeoutError{Node: "pbx1", Response: r, Err: io.EOF},
		"MissingResponseError": &ami.MissingResponseError{Node: "pbx1", Response: r},
		"TooManyMessagesError": &ami.TooManyMessagesError{Node: "pbx1", Response: r},
		"ProtocolError":        &ami.ProtocolError{Node: "pbx1", Action: "Odd", Err: malformed},
		"FormatError":          malformed,
		"Frame":                f,
		"Field":                fields[0],
		"Fields":               fields,
		"Login":                action.Login{Username: "u", Secret: ami.NewSecret(canary), Key: key},
		"Generic":              action.Custom("Odd", "Secret", canary),
		"pointer to Generic":   new(action.Custom("Odd", "Secret", canary)),
		"Variable":             variables[0],
		"Originate":            action.Originate{Channel: "Local/1@a", Application: "Wait", Variables: variables},
		"Setvar":               action.Setvar{Variable: "X_TOKEN", Value: canary},
		"UserEvent":            action.UserEvent{UserEvent: "U", Headers: fields},
		"ledger entry":         amitest.Entry{Action: "Login", Fields: fields},
		"ledger":               []amitest.Entry{{Action: "Login", Fields: fields}},
		"user of the fake":     amitest.User{Name: "u", Secret: canary},
	})
	seen := make(map[string]bool)
	for name, v := range values {
		require.NotNil(t, v, name)
		for _, name := range typesOf(v) {
			seen[name] = true
		}
		t.Run(name, func(t *testing.T) { hidden(t, v) })
	}
	p, err := exported.Read(".")
	require.NoError(t, err)
	for _, name := range p.Types {
		require.NotEqual(t, seen[name], holdsNothing[name] != "", "%s is tried, or holds nothing: %s", name, holdsNothing[name])
	}
	for name := range holdsNothing {
		require.Contains(t, p.Types, name)
	}
	t.Run("key of a challenge", func(t *testing.T) {
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", key, key, action.Login{Key: key}), key.Reveal())
	})
}
