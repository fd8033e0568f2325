package amitest_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
)

func transports() map[string][]amitest.Option {
	return map[string][]amitest.Option{
		"memory":     nil,
		"memory TLS": {amitest.WithTLS()},
		"TCP":        {amitest.WithTCP()},
		"TCP TLS":    {amitest.WithTCP(), amitest.WithTLS()},
	}
}

// dialTLS dials, and speaks TLS if the server does.
func dialTLS(t *testing.T, srv *amitest.Server, name string) *peer {
	p := dial(t, srv)
	if strings.Contains(name, "TLS") {
		p.Conn = tls.Client(p.Conn, srv.ClientTLS())
	}
	return p
}

func TestTransports(t *testing.T) {
	for name, opts := range transports() {
		t.Run(name, func(t *testing.T) {
			srv := amitest.NewServer(opts...)
			defer srv.Close()
			p := dialTLS(t, srv, name)
			for _, line := range []string{
				"Action: Login\r\n", "Username: admin\r\n", "Secret: secret\r\n", "Events: off\r\n", "\r\n",
				"Action: Ping\r\n", "\r\n",
			} {
				p.write(line)
			}
			p.until("Ping: Pong\r\n")
			p.message()
			require.NoError(t, srv.WaitSessions(t.Context(), 1))
			p.write("Action: Logoff\r\n\r\n")
			assert.Contains(t, p.rest(), "fish")
		})
	}
}

func TestKickAndReset(t *testing.T) {
	for name, opts := range transports() {
		t.Run(name, func(t *testing.T) {
			srv := amitest.NewServer(opts...)
			defer srv.Close()
			p := dialTLS(t, srv, name)
			p.until("Asterisk Call Manager/11.0.0\r\n")
			srv.Session(1).Kick()
			n, err := p.Read(make([]byte, 1))
			assert.Zero(t, n)
			require.ErrorIs(t, err, io.EOF)

			p = dialTLS(t, srv, name)
			p.until("Asterisk Call Manager/11.0.0\r\n")
			srv.Session(2).Reset()
			_, err = p.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET)

			p = dialTLS(t, srv, name)
			p.until("Asterisk Call Manager/11.0.0\r\n")
			srv.Session(3).CloseMidFrame()
			b, _ := io.ReadAll(p)
			assert.True(t, strings.HasSuffix(string(b), "UserEv"), "%q", b)
		})
	}
}

// get_input polls the socket although the TLS layer holds bytes.
func TestTLSStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithTLS())
		defer srv.Close()
		p := dial(t, srv)
		config := srv.ClientTLS()
		config.DynamicRecordSizingDisabled = true // one Write, one record
		p.Conn = tls.Client(p.Conn, config)
		p.write("Action: Login\r\nUsername: admin\r\nSecret: secret\r\nEvents: off\r\n\r\n")
		p.until("accepted\r\n\r\n")

		var big strings.Builder // one record of 2.6 KB
		big.WriteString("Action: Ping\r\nActionID: big\r\n")
		for i := range 26 {
			fmt.Fprintf(&big, "X%02d: %s\r\n", i, strings.Repeat("x", 93))
		}
		big.WriteString("\r\n")
		p.write(big.String())
		time.Sleep(time.Minute)
		assert.Zero(t, countAction(srv, "Ping"), "the rest lies in the TLS layer")

		p.write("Action: Ping\r\n") // more bytes wake it up
		assert.Contains(t, p.message(), "ActionID: big")
		p.write("\r\n")
		p.message()

		for line := range strings.Lines(big.String()) { // one line per record
			p.write(line)
		}
		assert.Contains(t, p.message(), "ActionID: big")

		p.write(strings.Repeat("Action: Ping\r\nActionID: p00\r\n\r\n", 100))
		time.Sleep(time.Minute)
		assert.Equal(t, 3+33, countAction(srv, "Ping"), "of 100 in one record")
	})
}

func countAction(srv *amitest.Server, name string) (n int) {
	for _, e := range srv.Ledger() {
		if e.Action == name {
			n++
		}
	}
	return n
}

func TestUnknownCertificate(t *testing.T) {
	a, b := amitest.NewServer(amitest.WithTLS()), amitest.NewServer(amitest.WithTLS())
	defer a.Close()
	defer b.Close()
	conn := tls.Client(dial(t, a), b.ClientTLS())
	var unknown *tls.CertificateVerificationError
	assert.ErrorAs(t, conn.Handshake(), &unknown)
}

func TestDialer(t *testing.T) {
	a, b := amitest.NewServer(), amitest.NewServer(amitest.WithBanner("Something else"))
	defer a.Close()
	defer b.Close()
	dialAny := amitest.Dialer(a, b)
	conn, err := dialAny(t.Context(), "tcp", b.Addr())
	require.NoError(t, err)
	defer conn.Close()
	(&peer{t, conn}).until("Something else\r\n")

	_, err = dialAny(t.Context(), "tcp", "elsewhere:5038")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = dialAny(ctx, "tcp", a.Addr())
	require.ErrorIs(t, err, context.Canceled)
}

// A client that does not read is cut off in the middle of a message.
func TestSlowReaderIsCutOff(t *testing.T) {
	tests := []struct {
		name    string
		timeout time.Duration
		opts    []amitest.Option
	}{
		{"default", 100 * time.Millisecond, nil},
		{"server", time.Second, []amitest.Option{amitest.WithWriteTimeout(time.Second)}},
		{"user", 5 * time.Second, []amitest.Option{
			amitest.WithUser(amitest.User{Name: "admin", Secret: "secret", WriteTimeout: 5 * time.Second}),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer(append(tt.opts, amitest.WithBuffer(4096))...)
				defer srv.Close()
				p := login(t, srv, "on")
				start := time.Now()
				require.NoError(t, srv.Flood(t.Context(), 0, 100))
				require.NoError(t, srv.WaitConnections(t.Context(), 0))
				assert.Equal(t, tt.timeout, time.Since(start))
				got := p.rest()
				assert.Len(t, got, 4096)
				assert.False(t, strings.HasSuffix(got, "\r\n\r\n"))
			})
		})
	}
}

func TestSlowProgressDoesNotRenewTheWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithBuffer(1024))
		defer srv.Close()
		p := login(t, srv, "on")
		start := time.Now()
		srv.Broadcast("Big", amitest.ClassUser, amitest.F("X", strings.Repeat("x", 10_000)))
		read := make(chan struct{})
		go func() {
			defer close(read)
			for n := 1; n > 0; time.Sleep(10 * time.Millisecond) {
				n, _ = p.Read(make([]byte, 16))
			}
		}()
		require.NoError(t, srv.WaitConnections(t.Context(), 0))
		assert.Equal(t, 100*time.Millisecond, time.Since(start))
		require.NoError(t, p.Close())
		<-read
	})
}

func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := amitest.Pipe(4)
		n, err := a.Write([]byte("1234"))
		require.NoError(t, err)
		require.Equal(t, 4, n)

		require.NoError(t, a.SetWriteDeadline(time.Now().Add(time.Second)))
		start := time.Now()
		n, err = a.Write([]byte("5"))
		assert.Zero(t, n)
		var netErr net.Error
		require.ErrorAs(t, err, &netErr)
		assert.True(t, netErr.Timeout())
		assert.Equal(t, time.Second, time.Since(start))
		require.NoError(t, a.SetWriteDeadline(time.Time{}))

		go func() {
			_, _ = a.Write([]byte("56789"))
			_ = a.Close()
		}()
		got, err := io.ReadAll(b)
		require.NoError(t, err)
		assert.Equal(t, "123456789", string(got))
		_, err = b.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
		_, err = a.Read(got)
		require.ErrorIs(t, err, net.ErrClosed)
		require.NoError(t, b.Close())
	})
}

func TestPipeUnblocks(t *testing.T) {
	for name, act := range map[string]struct {
		do   func(own, other net.Conn)
		want error
	}{
		"own close":     {func(own, _ net.Conn) { _ = own.Close() }, net.ErrClosed},
		"peer close":    {func(_, other net.Conn) { _ = other.Close() }, io.EOF},
		"past deadline": {func(own, _ net.Conn) { _ = own.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"peer reset":    {func(_, other net.Conn) { _ = other.(interface{ Reset() error }).Reset() }, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				own, other := amitest.Pipe(0)
				failed := make(chan error)
				go func() {
					_, err := own.Read(make([]byte, 1))
					failed <- err
				}()
				synctest.Wait()
				act.do(own, other)
				err := <-failed
				require.ErrorIs(t, err, act.want)
				_, _ = own.Close(), other.Close()
			})
		})
	}
}
