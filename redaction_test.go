package ami_test

import (
	"log/slog"
	"testing"

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
