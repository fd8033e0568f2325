package conn_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
	"github.com/apn/ami/conn"
	"github.com/apn/ami/frame"
)

var errBroken = errors.New("broken")

// scripted is a socket that fails on demand.
type scripted struct {
	net.Conn
	onWrite          func(n int) error // before the n-th write, from 1; nil: nothing
	sink             bool              // takes all, even when it is closed
	deadline         error             // of SetDeadline
	writeDeadline    error             // of SetWriteDeadline
	writes, attempts int
}

func (s *scripted) Write(p []byte) (int, error) {
	s.attempts++
	if s.onWrite != nil {
		if err := s.onWrite(s.attempts); err != nil {
			return 0, err
		}
	}
	s.writes++
	if s.sink {
		return len(p), nil
	}
	return s.Conn.Write(p)
}

func (s *scripted) SetDeadline(t time.Time) error {
	return errors.Join(s.deadline, s.Conn.SetDeadline(t))
}

func (s *scripted) SetWriteDeadline(t time.Time) error {
	return errors.Join(s.writeDeadline, s.Conn.SetWriteDeadline(t))
}

// TestLoginPhase: before Start the caller speaks to the peer itself, within a
// deadline that Start takes away.
func TestLoginPhase(t *testing.T) { // A2, D2
	synctest.Test(t, func(t *testing.T) {
		client, server := amitest.Pipe(0)
		quiet := 0
		cfg := config()
		cfg.OnQuiet = func() { quiet++ }
		var frames []string
		cfg.OnFrame = func(f *frame.Frame) { frames = append(frames, f.Name()) }
		c := conn.New(client, cfg)
		require.NoError(t, c.Err(), "it lives")
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Second)))
		_, err := server.Write([]byte("Asterisk Call Manager/11.0.0\r\nResponse: Success\r\n\r\nEvent: Early\r\n\r\n"))
		require.NoError(t, err)
		banner, err := c.Banner()
		require.NoError(t, err)
		require.Equal(t, "Asterisk Call Manager/11.0.0", banner)
		require.NoError(t, c.Write([]byte("Action: Login\r\n\r\n")))
		b := make([]byte, 100)
		n, err := server.Read(b)
		require.NoError(t, err)
		require.Equal(t, "Action: Login\r\n\r\n", string(b[:n]))
		f, err := c.Next()
		require.NoError(t, err)
		require.Equal(t, "Success", f.Name())
		require.Positive(t, quiet)
		require.Empty(t, frames, "the caller has them")

		c.Start()
		time.Sleep(time.Hour) // fake
		_, err = server.Write([]byte("Event: Late\r\n\r\n"))
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, c.Err(), "the deadline is gone")
		require.Equal(t, []string{"Early", "Late"}, frames, "what was read already is not lost")
		c.Close(io.EOF)
		c.Wait()
	})
}

// TestLoginDeadline: exact to the nanosecond, and the Conn is still the
// caller's.
func TestLoginDeadline(t *testing.T) { // D2
	synctest.Test(t, func(t *testing.T) {
		client, _ := amitest.Pipe(0)
		c := conn.New(client, config())
		start := time.Now()
		require.NoError(t, c.SetDeadline(start.Add(time.Second)))
		_, err := c.Banner()
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, c.Err())
		c.Close(err)
		require.ErrorIs(t, c.Err(), os.ErrDeadlineExceeded)
		c.Wait()
	})
}

// TestEndByPeer: what came before the end of the stream is handed over first.
func TestEndByPeer(t *testing.T) { // C5
	for _, tc := range []struct {
		name, last string
		is         error
	}{
		{"between messages", "", io.EOF},
		{"in a message", "Event: Cut\r\nChan", io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := amitest.Pipe(0)
				var log []string
				cfg := config()
				cfg.OnFrame = func(f *frame.Frame) { log = append(log, f.Name()) }
				cfg.OnQuiet = func() { log = append(log, "quiet") }
				c := conn.New(client, cfg)
				_, err := server.Write([]byte("Event: A\r\n\r\n" + tc.last))
				require.NoError(t, err)
				require.NoError(t, server.Close())
				c.Start()
				<-c.Done()
				c.Wait()
				require.ErrorIs(t, c.Err(), tc.is)
				require.Equal(t, "quiet", log[len(log)-1], "flushed")
				require.Equal(t, 1, strings.Count(strings.Join(log, " "), "A"))
			})
		})
	}
}

// TestWriteErrors: the first error ends the Conn. What was not handed to the
// socket is still its owner's, so that "was it sent?" stays exact.
func TestWriteErrors(t *testing.T) { // C5
	big, small := strings.Repeat("x", 10_000)+"\r\n", "small\r\n"
	huge := strings.Repeat("x", 40_000) + "\r\n"
	fails := func(n int) func(int) error {
		return func(i int) error {
			if i == n {
				return errBroken
			}
			return nil
		}
	}
	for _, tc := range []struct {
		name    string
		actions []string
		socket  scripted
		records bool
		taken   []bool
		writes  int
	}{
		{"alone", []string{small}, scripted{onWrite: fails(1)}, false, []bool{true}, 0},
		{"a batch", []string{small, small}, scripted{onWrite: fails(1)}, false, []bool{true, true}, 0},
		{"a full batch", []string{big, big, small}, scripted{onWrite: fails(1)}, false, []bool{true, false, false}, 0},
		{"the second batch", []string{big, big, small}, scripted{onWrite: fails(2)}, false, []bool{true, true, true}, 1},
		{"larger than a batch", []string{huge, small}, scripted{onWrite: fails(1)}, false, []bool{true, false}, 0},
		{"batch before a larger one", []string{small, huge, small}, scripted{onWrite: fails(1)}, false, []bool{true, false, false}, 0},
		{"the second record", []string{strings.Repeat("y", 900) + "\r\n", strings.Repeat("z", 900) + "\r\n"}, scripted{onWrite: fails(2)}, true, []bool{true, true}, 1},
		{"no write deadline", []string{small, small}, scripted{writeDeadline: errBroken}, false, []bool{true, true}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _ := amitest.Pipe(1 << 20)
				socket := tc.socket
				socket.Conn = client
				cfg := config()
				cfg.Records = tc.records
				c := conn.New(&socket, cfg)
				var outs []*conn.Out
				for _, a := range tc.actions {
					o := out(a)
					require.NoError(t, c.Enqueue(o))
					outs = append(outs, o)
				}
				c.Start()
				<-c.Done()
				c.Wait()
				require.ErrorIs(t, c.Err(), errBroken)
				require.Equal(t, tc.writes, socket.writes)
				for i, o := range outs {
					require.Equal(t, tc.taken[i], !o.Revoke(), "action %d", i)
				}
			})
		})
	}
}

// TestStartWithoutDeadline: a socket that is dead already ends the Conn, and
// Wait returns.
func TestStartWithoutDeadline(t *testing.T) { // A4
	synctest.Test(t, func(t *testing.T) {
		client, _ := amitest.Pipe(0)
		c := conn.New(&scripted{Conn: client, deadline: errBroken}, config())
		c.Start()
		c.Wait()
		require.ErrorIs(t, c.Err(), errBroken)
	})
}

// TestNothingIsTakenAfterTheEnd: the Conn ends while the writer is busy; what
// waits behind is never written, although the socket would take it.
func TestNothingIsTakenAfterTheEnd(t *testing.T) { // C5
	for range 50 { // a choice between two that are ready is by chance
		synctest.Test(t, func(t *testing.T) {
			client, _ := amitest.Pipe(0)
			var c *conn.Conn
			behind := out("behind\r\n")
			socket := &scripted{Conn: client, sink: true}
			socket.onWrite = func(int) error {
				if err := c.Enqueue(behind); err != nil {
					return err
				}
				c.Close(io.EOF)
				return nil
			}
			c = conn.New(socket, config())
			require.NoError(t, c.Enqueue(out("first\r\n")))
			c.Start()
			c.Wait()
			require.True(t, behind.Revoke(), "never taken")
			require.Equal(t, 1, socket.attempts)
		})
	}
}

// TestRevokedAlone: an action that is revoked while the writer is busy is
// skipped, and the line goes on.
func TestRevokedAlone(t *testing.T) { // C3, C5
	synctest.Test(t, func(t *testing.T) {
		client, server := amitest.Pipe(0)
		gate := make(chan struct{})
		socket := &scripted{Conn: client}
		socket.onWrite = func(n int) error {
			if n == 1 {
				<-gate
			}
			return nil
		}
		c := conn.New(socket, config())
		c.Start()
		require.NoError(t, c.Enqueue(out("first\r\n")))
		synctest.Wait()
		revoked := out("revoked\r\n")
		require.NoError(t, c.Enqueue(revoked))
		require.True(t, revoked.Revoke())
		close(gate)
		synctest.Wait()
		entries, size := c.Depth()
		require.Zero(t, entries)
		require.Zero(t, size, "its room is free again")
		require.NoError(t, c.Enqueue(out("third\r\n")))
		synctest.Wait()
		c.Close(io.EOF)
		c.Wait()
		all, err := io.ReadAll(server)
		require.NoError(t, err)
		require.Equal(t, "first\r\nthird\r\n", string(all))
		require.Equal(t, 2, socket.attempts, "not even an empty write")
	})
}

// counted counts the writes to a socket.
type counted struct {
	net.Conn
	writes atomic.Int32
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// TestCloseSaysNoGoodBye: the close of a TLS connection would write, and wait
// for a peer that does not read.
func TestCloseSaysNoGoodBye(t *testing.T) { // D7
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithTLS())
		defer srv.Close()
		transport, err := srv.DialContext(t.Context(), "tcp", srv.Addr())
		require.NoError(t, err)
		socket := &counted{Conn: transport}
		secure := tls.Client(socket, srv.ClientTLS())
		require.NoError(t, secure.HandshakeContext(t.Context()))
		before := socket.writes.Load()
		require.Positive(t, before)
		c := conn.New(secure, config())
		c.Start()
		c.Close(io.EOF)
		c.Wait()
		require.Equal(t, before, socket.writes.Load())
		_, err = transport.Write([]byte("x"))
		require.ErrorIs(t, err, net.ErrClosed, "the transport is closed")
	})
}
