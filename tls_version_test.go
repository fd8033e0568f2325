package ami_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

// TestServerOfOldTLS: one that speaks nothing newer than TLS 1.1 is refused, and the
// error says so, whether it answers with an alert or goes on with its own version.
func TestServerOfOldTLS(t *testing.T) { // D3, C4
	old := &tls.Config{Certificates: []tls.Certificate{expiredCertificate(t)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	for name, serve := range map[string]func(net.Conn){
		"alert": func(c net.Conn) { _ = tls.Server(c, old).Handshake() },
		"ServerHello of TLS 1.1": func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1<<16))
			hello := append([]byte{3, 2}, make([]byte, 32)...) // version and random
			hello = append(hello, 0, 0xc0, 0x14, 0)            // no session, a cipher suite, no compression
			hello = append([]byte{2, 0, 0, byte(len(hello))}, hello...)
			_, _ = c.Write(append([]byte{22, 3, 2, 0, byte(len(hello))}, hello...))
			_, _ = c.Read(make([]byte, 1<<10)) // its alert
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			done := make(chan struct{})
			defer func() { <-done }()
			defer l.Close()
			go func() {
				defer close(done)
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					serve(c)
					_ = c.Close()
				}
			}()
			log := newLogbook()
			n := ami.Node{Key: "pbx1", Addr: l.Addr().String(), Username: "u", Secret: ami.NewSecret(canary), TLS: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}}
			_, err = ami.Dial(t.Context(), n, ami.WithLogger(slog.New(log)), ami.WithDialTimeout(time.Minute))
			e, ok := errors.AsType[*ami.ConnError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, "tls", e.Op)
			require.ErrorContains(t, err, "the server speaks no TLS 1.2 or later")
			require.Contains(t, log.find("disconnected")[0]["reason"], "the server speaks no TLS 1.2 or later")
		})
	}
}

// TestReceivedFramesAreRedacted: what a record says of a message that came holds
// none of its values, at any level (G2).
func TestReceivedFramesAreRedacted(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		var text, js bytes.Buffer
		debug := &slog.HandlerOptions{Level: slog.LevelDebug}
		c := dial(t, srv, ami.WithLogger(slog.New(fork{slog.NewTextHandler(&text, debug), slog.NewJSONHandler(&js, debug)})))
		srv.Handle("Odd", func(call *amitest.Call) {
			call.Raw([]byte("Response: Success\r\nActionID: a:b:1\r\nSecret: " + canary + "\r\nVariable: X_TOKEN=" + canary + "\r\n\r\n"))
			call.Raw([]byte("Response: Error\r\nMessage: token=" + canary + "\r\nOutput: " + canary + "\r\n\r\n"))
			call.Raw([]byte("Response: Success\r\nSecret: " + canary + strings.Repeat("x", 300<<10) + "\r\n\r\n"))
			call.Raw([]byte("Event: VarSet\r\nVariable: X_TOKEN\r\nValue: " + canary + strings.Repeat("x", 300<<10) + "\r\n\r\n"))
			call.Success("done")
		})
		_, err := c.Send(t.Context(), action.Custom("Odd"))
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, c.Close())
		for _, out := range []string{text.String(), js.String()} {
			require.Contains(t, out, "response without an action")
			require.Contains(t, out, "malformed message discarded")
			unshown(t, "log", out)
		}
	})
}
