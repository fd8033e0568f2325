package ami_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/frame"
)

// canary is the secret that must show nowhere.
const canary = "canary-5ecr3t"

// hidden prints, logs and marshals v, alone and inside of other values, and
// looks for the canary.
func hidden(t *testing.T, v any) {
	t.Helper()
	var text, js bytes.Buffer
	loggers := []*slog.Logger{
		slog.New(slog.NewTextHandler(&text, nil)), slog.New(slog.NewJSONHandler(&js, nil)),
	}
	for _, v := range []any{v, []any{v}, map[string]any{"k": v}, struct{ V any }{v}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			unshown(t, fmt.Sprintf("%T %s", v, verb), fmt.Sprintf(verb, v))
		}
		b, err := json.Marshal(v)
		unshown(t, fmt.Sprintf("%T JSON", v), fmt.Sprint(string(b), err))
		for _, l := range loggers {
			l.Info("message", "v", v, slog.Group("g", "v", v))
			l.With("v", v).Info("message")
		}
	}
	unshown(t, fmt.Sprintf("%T slog text", v), text.String())
	unshown(t, fmt.Sprintf("%T slog JSON", v), js.String())
}

func unshown(t *testing.T, where, text string) {
	t.Helper()
	for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]")} {
		require.NotContains(t, text, form, where)
	}
}

// TestHiddenFindsSecrets: a plain text is found in all ways, so that the tests
// below can fail.
func TestHiddenFindsSecrets(t *testing.T) { // G2
	require.Contains(t, fmt.Sprintf("%#v", struct{ s string }{canary}), canary)
	b, err := json.Marshal(map[string]any{"k": canary})
	require.NoError(t, err)
	require.Contains(t, string(b), canary)
}

// TestSecretsInSession runs sessions with the canary as the secret, and in every
// part of actions, answers and events that a secret is expected in, and looks at
// all that was logged, returned and delivered (G1, G2).
func TestSecretsInSession(t *testing.T) {
	for _, auth := range []ami.Auth{ami.AuthPlain, ami.AuthMD5} {
		t.Run(fmt.Sprint(auth), func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				var text, js bytes.Buffer
				debug := &slog.HandlerOptions{Level: slog.LevelDebug}
				both := slog.New(fork{slog.NewTextHandler(&text, debug), slog.NewJSONHandler(&js, debug)})
				var calls []*amitest.Call
				srv.Handle("Odd", func(c *amitest.Call) {
					calls = append(calls, c)
					c.Raw([]byte("Response: Success\r\nSecret: " + canary + "\r\n\r\n"))
					c.Raw([]byte("Response: Error\r\nActionID: " + c.ActionID() + "\r\nMessage: bad token=" + canary + " given\r\nSecret: " + canary + "\r\n\r\n"))
				})
				n := node(srv)
				n.Auth, n.Secret = auth, ami.NewSecret(canary)
				c, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext), ami.WithLogger(both))
				require.NoError(t, err)
				defer c.Close()
				sub := c.Subscribe()
				hidden(t, c)
				hidden(t, sub)
				for _, a := range []action.Action{
					action.Custom("Odd", "Secret", canary, "AuthToken", canary, "Variable", "API_KEY="+canary),
					action.Setvar{Variable: "X_TOKEN", Value: canary},
					action.Setvar{Variable: "HASH(a,password)", Value: canary},
					action.Originate{Channel: "Local/1@a", Application: "Curl", Data: "https://h/?token=" + canary, Variables: []action.Variable{{Name: "PASSWORD", Value: canary}}},
					action.UserEvent{UserEvent: "U", Headers: []frame.Field{{Key: "Password", Value: canary}}},
					action.New("DBPut", "Family", "a", "Key", "password", "Val", canary),
					action.Custom("Odd", "Secret", canary+"\r\nEvent: x"),
					action.Custom("Odd", canary),
					action.Custom("Odd", "Secret", strings.Repeat(canary, 100)),
				} {
					p := c.Start(t.Context(), a, ami.Timeout(time.Second))
					r, err := p.Result()
					hidden(t, r)
					hidden(t, p)
					if err != nil {
						unshown(t, "error", err.Error())
						hidden(t, err)
					}
				}
				for e, err := range sub.All(t.Context()) {
					require.NoError(t, err)
					hidden(t, e)
					if e.Get("Password") == canary {
						break
					}
				}
				require.NoError(t, c.Close())
				hidden(t, c)
				hidden(t, sub)
				hidden(t, c.Stats())
				hidden(t, srv.Ledger())
				require.NotEmpty(t, calls)
				for _, call := range calls {
					hidden(t, call)
					hidden(t, call.Fields())
				}
				for _, log := range []string{text.String(), js.String()} {
					require.Contains(t, log, "action queued")
					require.Contains(t, log, "connected")
					unshown(t, "log", log)
					for _, e := range srv.Ledger() {
						for _, f := range e.Fields {
							require.False(t, f.Key == "Key" && e.Action == "Login" && strings.Contains(log, f.Value), "the key is as good")
						}
					}
				}
			}, amitest.WithUser(amitest.User{Name: "admin", Secret: canary}))
		})
	}
}

// A fork hands records to two handlers.
type fork struct{ a, b slog.Handler }

func (f fork) Enabled(context.Context, slog.Level) bool { return true }
func (f fork) WithGroup(s string) slog.Handler {
	return fork{f.a.WithGroup(s), f.b.WithGroup(s)}
}

func (f fork) WithAttrs(attrs []slog.Attr) slog.Handler {
	return fork{f.a.WithAttrs(attrs), f.b.WithAttrs(attrs)}
}

func (f fork) Handle(ctx context.Context, r slog.Record) error {
	return errors.Join(f.a.Handle(ctx, r.Clone()), f.b.Handle(ctx, r))
}

// TestSecretsInErrors: the errors of whatever can be wrong with a node or its
// settings do not show the secret, nor does what is logged meanwhile (G2).
func TestSecretsInErrors(t *testing.T) {
	plain := amitest.NewServer(amitest.WithTCP())
	defer plain.Close()
	secure := amitest.NewServer(amitest.WithTCP(), amitest.WithTLS())
	defer secure.Close()
	expired := amitest.NewServer(amitest.WithTCP(), amitest.WithCertificate(expiredCertificate(t)))
	defer expired.Close()
	web := amitest.NewServer(amitest.WithTCP(), amitest.WithBanner("HTTP/1.1 400 Bad Request"))
	defer web.Close()
	ssh := amitest.NewServer(amitest.WithTCP(), amitest.WithBanner("SSH-2.0-OpenSSH_9.2"))
	defer ssh.Close()
	tls12 := &tls.Config{MinVersion: tls.VersionTLS12}
	wrong := func(n ami.Node, change func(*ami.Node)) ami.Node {
		change(&n)
		return n
	}
	good := ami.Node{Key: "pbx1", Addr: plain.Addr(), Username: "admin", Secret: ami.NewSecret(canary)}
	at := func(addr string, config *tls.Config) ami.Node {
		return wrong(good, func(n *ami.Node) { n.Addr, n.TLS = addr, config })
	}
	for _, tc := range []struct {
		name string
		node ami.Node
		opts []ami.Option
		says string
	}{
		{"wrong host", at("no-such-host.invalid:5038", nil), nil, "host name"},
		{"refused port", at("127.0.0.1:1", nil), nil, "refused"},
		{"TLS against plain", at(plain.Addr(), tls12), nil, "does not speak TLS"},
		{"plain against TLS", at(secure.Addr(), nil), nil, "TLS"},
		{"unknown certificate", at(secure.Addr(), tls12), nil, "RootCAs"},
		{"expired certificate", at(expired.Addr(), &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: expired.ClientTLS().RootCAs}), nil, "certificate"},
		{"HTTP", at(web.Addr(), nil), nil, "HTTP/1.1"},
		{"SSH", at(ssh.Addr(), nil), nil, "SSH-2.0"},
		{"wrong secret", good, nil, "Authentication failed"},
		{"wrong secret, MD5", wrong(good, func(n *ami.Node) { n.Auth = ami.AuthMD5 }), nil, "Authentication failed"},
		{"odd key", wrong(good, func(n *ami.Node) { n.Key = "a b" }), nil, "Node.Key"},
		{"odd secret", wrong(good, func(n *ami.Node) { n.Secret = ami.NewSecret(canary + "\r\n") }), nil, "Node.Secret"},
		{"long secret", wrong(good, func(n *ami.Node) { n.Secret = ami.NewSecret(strings.Repeat(canary, 100)) }), nil, "Node.Secret"},
		{"no user", wrong(good, func(n *ami.Node) { n.Username = "" }), nil, "Node.Username"},
		{"no address", at("", nil), nil, "Node.Addr"},
		{"odd events", wrong(good, func(n *ami.Node) { n.Events = "call, agent" }), nil, "Node.Events"},
		{"zero duration", good, []ami.Option{ami.WithDialTimeout(0)}, "DialTimeout"},
		{"negative duration", good, []ami.Option{ami.WithLoginTimeout(-time.Second)}, "LoginTimeout"},
		{"contradicting limits", good, []ami.Option{ami.WithLimits(frame.Limits{Frame: 1 << 20, Buffer: 64 << 10})}, "Limits"},
		{"idle below keepalive", good, []ami.Option{ami.WithReadIdle(time.Second)}, "ReadIdle"},
		{"bad pattern", good, []ami.Option{ami.WithRedaction(ami.Redaction{Values: []string{"("}})}, "Redaction"},
		{"host name with literal policy", at("pbx.example", nil), []ami.Option{ami.WithLiteralAddresses()}, "LiteralAddresses"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var text, js bytes.Buffer
			debug := &slog.HandlerOptions{Level: slog.LevelDebug}
			log := slog.New(fork{slog.NewTextHandler(&text, debug), slog.NewJSONHandler(&js, debug)})
			patience := time.Minute
			if tc.name == "plain against TLS" { // a banner that never comes
				patience = 3 * time.Second
			}
			_, err := ami.Dial(t.Context(), tc.node, append([]ami.Option{
				ami.WithLogger(log), ami.WithDialTimeout(patience), ami.WithLoginTimeout(time.Minute), ami.WithResolver(noResolver{}),
			}, tc.opts...)...)
			require.ErrorContains(t, err, tc.says)
			for err := err; err != nil; err = unwrap(err) {
				unshown(t, "error", err.Error())
				hidden(t, err)
			}
			unshown(t, "log", text.String()+js.String())
			if _, ok := errors.AsType[*ami.ConnError](err); ok {
				require.Contains(t, text.String(), "disconnected")
			}
		})
	}
}

// unwrap returns the first of the errors below err.
func unwrap(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()[0]
	}
	return errors.Unwrap(err)
}

// TestSecretThatComesBack: a server that repeats the secret in its refusal, in whatever
// words, does not bring it into an error or a record (G2).
func TestSecretThatComesBack(t *testing.T) {
	for _, auth := range []ami.Auth{ami.AuthPlain, ami.AuthMD5} {
		t.Run(fmt.Sprint(auth), func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				var given string
				srv.Handle("Login", func(c *amitest.Call) {
					given = c.Get("Secret") + c.Get("Key")
					c.Error("You are not admin/" + given + ", are you?")
				})
				var text bytes.Buffer
				n := node(srv)
				n.Auth, n.Secret = auth, ami.NewSecret(canary)
				_, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext), ami.WithLogger(slog.New(slog.NewTextHandler(&text, nil))))
				require.ErrorIs(t, err, ami.ErrAuth)
				require.NotEmpty(t, given)
				require.Contains(t, text.String(), "You are not admin/[redacted], are you?")
				require.NotContains(t, text.String(), given)
				for err := err; err != nil; err = unwrap(err) {
					require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), given)
				}
			})
		})
	}
}
