package ami_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

// No record of an action shows a secret, wherever in it that stands.
func TestActionsAreLoggedWithoutSecrets(t *testing.T) { // G1, G2
	originate := func(name, value string) action.Action {
		return action.Originate{Channel: "Local/1@x", Application: "Wait", Variables: []action.Variable{{Name: name, Value: value}}}
	}
	for _, tc := range []struct {
		name string
		a    action.Action
		want string // what stays readable
	}{
		{"value beside its variable", action.Setvar{Variable: "API_TOKEN", Value: "canary"}, `Variable: "API_TOKEN"; Value: "[redacted]"`},
		{"value beside its key", action.New("DBPut", "Family", "app", "Key", "password", "Val", "canary"), `Family: "app"; Key: "password"; Val: "[redacted]"`},
		{"value before its key", action.New("DBPut", "Val", "canary", "Key", "password", "Family", "app"), `Val: "[redacted]"; Key: "password"`},
		{"numbered value", action.New("UpdateConfig", "Var-000000", "secret", "Value-000000", "canary"), `Var-000000: "secret"; Value-000000: "[redacted]"`},
		{"blanks", originate("DB_PASSWORD", "correct horse canary"), `Variable: "DB_PASSWORD=[redacted]"`},
		{"comma", originate("DB_PASSWORD", "a,canary"), `Variable: "DB_PASSWORD=[redacted]"`},
		{"scheme", originate("HDR", "Authorization: Bearer canary"), `Variable: "HDR=Authorization: [redacted]"`},
		{"document", action.New("UserEvent", "UserEvent", "X", "Body", `{"password":"canary","a":1}`), `Body: "{\"password\":\"[redacted]\",\"a\":1}"`},
		{"command", action.Command{Command: "database put app password canary"}, `Command: "database put app password [redacted]"`},
		{"password of an application", action.New("Originate", "Channel", "Local/1@x", "Application", "Authenticate", "Data", "canary"), `Application: "Authenticate"; Data: "[redacted]"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				log := newLogbook()
				c := dial(t, srv, ami.WithLogger(slog.New(log)))
				c.Start(t.Context(), tc.a)
				found := log.find("action queued")
				require.Len(t, found, 1)
				require.NotContains(t, found[0]["headers"], "canary")
				require.Contains(t, found[0]["headers"], tc.want)
			})
		})
	}
}

// The text of a refusal stays readable, but for what it repeats of a secret.
func TestRefusalsAreReadable(t *testing.T) { // C4, G2
	for _, tc := range []struct{ name, message, want string }{
		{"sentence", "Authentication failed", "Authentication failed"},
		{"sentence of a key", "Must specify 'Key'", "Must specify 'Key'"},
		{"assignment", `cannot set DB_PASSWORD='correct canary' here`, `cannot set DB_PASSWORD='[redacted]' here`},
		{"command", "No such command: database put app password canary", "No such command: database put app password [redacted]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				srv.Handle("Odd", func(call *amitest.Call) { call.Error(tc.message) })
				_, err := dial(t, srv).Send(t.Context(), action.Custom("Odd"))
				require.ErrorContains(t, err, tc.want)
				require.NotContains(t, err.Error(), "canary")
			})
		})
	}
}

// What is kept of a message holds no secret, that of the login included, whether it
// is fixed or asked for.
func TestRedact(t *testing.T) { // G2
	for _, tc := range []struct {
		name string
		node func(*ami.Node)
	}{
		{"fixed", func(n *ami.Node) {}},
		{"asked for", func(n *ami.Node) {
			secret := n.Secret
			n.Secret = ami.Secret{}
			n.SecretFunc = func(context.Context) (ami.Secret, error) { return secret, nil }
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer(amitest.WithUser(amitest.User{Name: "admin", Secret: "canary-1"}))
				defer srv.Close()
				n := node(srv)
				n.Secret = ami.NewSecret("canary-1")
				tc.node(&n)
				c, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext), ami.WithRedaction(ami.Redaction{Headers: []string{"Pin"}}))
				require.NoError(t, err)
				defer func() { require.NoError(t, c.Close()) }()
				events := c.Subscribe(ami.Named("Odd"))
				srv.Broadcast("Odd", amitest.ClassUser, amitest.F("Note", "it is canary-1"), amitest.F("Pin", "canary"), amitest.F("Token", "canary"), amitest.F("A", "1"))
				require.Equal(t, "Event: Odd\r\nPrivilege: user,all\r\nNote: it is [redacted]\r\nPin: [redacted]\r\nToken: [redacted]\r\nA: 1\r\n\r\n",
					c.Redact((<-events.C()).Frame))
			})
		})
	}
}
