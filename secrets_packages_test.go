package ami_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/asynclog"
	"github.com/apn/ami/conn"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/exported"
	"github.com/apn/ami/strategy"
)

// TestSecretsInPackages: what the packages below export prints no secret either,
// whatever it has read, queued or recorded (G2). Each type is tried, or holds nothing
// that was read or given.
func TestSecretsInPackages(t *testing.T) {
	text := "Response: Success\r\nSecret: " + canary + "\r\n\r\n"
	f, err := frame.Parse(text)
	require.NoError(t, err)
	_, malformed := frame.Parse("Secret: " + strings.Repeat(canary, 1<<17) + "\r\n\r\n")
	require.Error(t, malformed)
	_, unfit := frame.AppendAction(nil, "Odd", []frame.Field{{Key: "Secret", Value: canary + "\r\n"}})
	require.Error(t, unfit)
	reader := frame.NewReader(struct{ io.Reader }{strings.NewReader("Asterisk Call Manager/1\r\n" + text + text)}, frame.Limits{})
	_, err = reader.Banner()
	require.NoError(t, err)
	_, err = reader.Next()
	require.NoError(t, err)
	here, there := net.Pipe()
	defer there.Close()
	c := conn.New(here, conn.Config{})
	defer c.Close(net.ErrClosed)

	srv := amitest.NewServer(amitest.WithUser(amitest.User{Name: "admin", Secret: canary}), amitest.WithTCP())
	defer srv.Close()
	var call *amitest.Call
	srv.Handle("Ping", func(c *amitest.Call) { call = c; c.Success("") })
	n := node(srv)
	n.Secret = ami.NewSecret(canary)
	client, err := ami.Dial(t.Context(), n, ami.WithDialTimeout(time.Minute), ami.WithLoginTimeout(time.Minute))
	require.NoError(t, err)
	_, err = client.Send(t.Context(), action.Ping{})
	require.NoError(t, err)
	require.NoError(t, client.Close())
	require.NotNil(t, call)

	h, err := asynclog.New(slog.DiscardHandler)
	require.NoError(t, err)
	require.NoError(t, h.Close(t.Context()))

	single := strategy.Strategy{Kind: strategy.Single}
	progress := single.Begin()
	progress.Offer(f)

	for dir, values := range map[string]map[string]any{
		"frame": {
			"Frame": f, "Cursor": f.Backward(), "Field": frame.Field{Key: "Secret", Value: canary}, "Reader": reader,
			"FormatError": malformed, "EncodeError": unfit,
			"BannerError": nil, // a stranger's greeting; what ami makes of it is redacted

			"Kind": nil, "LimitError": nil, "LimitRange": nil, "Limits": nil, "Reason": nil,
		},
		"conn": {"Conn": c, "Out": &conn.Out{Bytes: []byte(text)}, "Config": nil},
		"amitest": {
			"Server": srv, "Session": srv.Session(1), "Call": call, "Entry": srv.Ledger(), "User": amitest.User{Name: "admin", Secret: canary},
			"Chunk": amitest.Chunk{At: time.Second, Bytes: []byte(text)},
			"Class": nil, "Dial": nil, "Faults": nil, "HandlerFunc": nil, "Option": nil, "Playback": nil, "Reason": nil, "Rewrite": nil,
		},
		"asynclog": {
			"Handler": h, "Stats": h.Stats(), "PanicError": &asynclog.PanicError{Value: errors.New(canary)},
			"ConfigError": nil, "DeadlineError": nil, "Option": nil, "Reason": nil,
		},
		"strategy": {"Progress": &progress, "Kind": nil, "Strategy": nil, "ValidationError": nil, "Verdict": nil},
	} {
		p, err := exported.Read(dir)
		require.NoError(t, err)
		for _, name := range p.Types {
			require.Contains(t, values, name, "%s.%s is not tried", dir, name)
		}
		for name, v := range values {
			require.Contains(t, p.Types, name)
			if v != nil {
				t.Run(dir+"."+name, func(t *testing.T) { hidden(t, v) })
			}
		}
	}
}
