package amitest_test

import (
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
)

// What a client sees that logs in, pings twice and logs off.
func TestFaults(t *testing.T) {
	const banner = "Asterisk Call Manager/11.0.0\r\n"
	pong := func(id string) string {
		return "Response: Success\r\nActionID: " + id + "\r\nPing: Pong\r\nTimestamp: x\r\n\r\n"
	}
	accepted := "Response: Success\r\nMessage: Authentication accepted\r\n\r\n"
	bye := "Response: Goodbye\r\nMessage: Thanks for all the fish.\r\n\r\n"
	healthy := banner + accepted + pong("1") + pong("2") + bye
	pings := func(n int) []bool { return []bool{n > 0, n > 1} }
	tests := []struct {
		name     string
		faults   amitest.Faults
		want     string
		err      error // at the end of the stream; nil: EOF
		took     time.Duration
		executed []bool // the pings
	}{
		{name: "none", want: healthy, executed: pings(2)},
		{
			name: "delays", want: healthy, executed: pings(2), took: 1*time.Second + 2*time.Second + 4*4*time.Second,
			faults: amitest.Faults{BannerDelay: time.Second, LoginDelay: 2 * time.Second, AnswerDelay: 4 * time.Second},
		},
		{
			name: "split", want: healthy, executed: pings(2),
			took:   time.Duration(pieces(7, banner, accepted, pong("1"), pong("2"), bye)) * time.Millisecond,
			faults: amitest.Faults{SplitEvery: 7, SplitPause: time.Millisecond},
		},
		{
			name: "refused login", want: banner + "Response: Error\r\nMessage: No\r\n\r\n", took: time.Second,
			faults: amitest.Faults{LoginError: "No"},
		},
		{
			name: "garbage", want: banner + accepted + "\x00\xff" + pong("1") + "\n:\n" + pong("2") + bye, executed: pings(2),
			faults: amitest.Faults{Rewrite: []amitest.Rewrite{
				amitest.InsertBefore(2, []byte("\x00\xff")), amitest.InsertAfter(2, []byte("\n:\n")),
			}},
		},
		{
			name: "truncated", want: banner + accepted + pong("1")[:20] + pong("2") + bye, executed: pings(2),
			faults: amitest.Faults{Rewrite: []amitest.Rewrite{amitest.Truncate(2, 20)}},
		},
		{
			name:     "oversize",
			want:     banner + accepted + strings.TrimSuffix(pong("1"), "\r\n") + "Oversize: xxxxx\r\n\r\n" + pong("2") + bye,
			executed: pings(2),
			faults:   amitest.Faults{Rewrite: []amitest.Rewrite{amitest.Oversize(2, 5)}},
		},
		{
			name: "duplicates", want: banner + accepted + accepted + pong("1") + pong("1") + pong("2") + pong("2") + bye + bye,
			executed: pings(2), faults: amitest.Faults{Rewrite: []amitest.Rewrite{amitest.Duplicate()}},
		},
		{
			name: "foreign",
			want: banner + stray + accepted + stray + pong("1") + stray + pong("2") + stray + bye, executed: pings(2),
			faults: amitest.Faults{Rewrite: []amitest.Rewrite{amitest.Foreign("zzz")}},
		},
		{
			name: "closed after bytes", want: healthy[:100], executed: pings(1),
			faults: amitest.Faults{CloseAfterBytes: 100},
		},
		{
			name: "reset after bytes", err: syscall.ECONNRESET, executed: pings(1),
			faults: amitest.Faults{ResetAfterBytes: 100},
		},
		{
			name: "reset before the action", err: syscall.ECONNRESET, executed: pings(0),
			faults: amitest.Faults{ResetOnAction: 2},
		},
		{
			name: "reset after the action", err: syscall.ECONNRESET, executed: pings(1),
			faults: amitest.Faults{ResetAfterAction: 2},
		},
		{
			name: "silent", want: banner + accepted + pong("1"), executed: pings(2),
			faults: amitest.Faults{SilentAfterAction: 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer()
				defer srv.Close()
				srv.SetFaults(tt.faults)
				p := dial(t, srv)
				start := time.Now()
				p.write("Action: Login\r\nUsername: admin\r\nSecret: secret\r\nEvents: off\r\n\r\n" +
					"Action: Ping\r\nActionID: 1\r\n\r\nAction: Ping\r\nActionID: 2\r\n\r\nAction: Logoff\r\n\r\n")
				synctest.Wait()
				got, err := io.ReadAll(p)
				assert.Equal(t, tt.took, time.Since(start).Truncate(time.Millisecond))
				if tt.err == nil {
					require.NoError(t, err)
					assert.Equal(t, tt.want, strings.Join(normal(got), "\r\n"))
				} else {
					require.ErrorIs(t, err, tt.err)
				}
				executed := []bool{false, false}
				for _, e := range srv.Ledger() {
					if e.Action == "Ping" && e.Executed {
						executed[e.Number-2] = true
					}
				}
				if tt.executed == nil {
					tt.executed = pings(0)
				}
				assert.Equal(t, tt.executed, executed)
			})
		})
	}
}

const stray = "Response: Success\r\nActionID: zzz\r\nMessage: Not yours\r\n\r\n"

// pieces counts the pauses between pieces of n bytes of each message.
func pieces(n int, messages ...string) (pauses int) {
	for _, m := range messages {
		m = strings.ReplaceAll(m, "Timestamp: x", "Timestamp: 946684800.000000")
		pauses += (len(m) - 1) / n
	}
	return pauses
}

func TestConnectFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		srv.OnConnect(func(n int) amitest.Faults {
			switch n {
			case 1:
				return amitest.Faults{Refuse: true}
			case 2:
				return amitest.Faults{ConnectDelay: time.Second}
			case 3:
				return amitest.Faults{HalfOpen: true}
			}
			return amitest.Faults{}
		})
		_, err := srv.DialContext(t.Context(), "tcp", srv.Addr())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)

		start := time.Now()
		dial(t, srv).until("\r\n")
		assert.Equal(t, time.Second, time.Since(start))

		half := dial(t, srv)
		half.send("Action: Login")
		time.Sleep(time.Hour)
		half.quiet()

		dial(t, srv).until("\r\n")
	})
}

func TestLiveSessionFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := login(t, srv, "on")
		s := srv.Session(1)
		s.Silence(true)
		p.send("Action: Ping", "ActionID: 1")
		srv.Broadcast("Lost", amitest.ClassUser)
		p.quiet()
		s.Silence(false)
		require.NoError(t, s.Send([]byte("\r\n\r\nraw")))
		p.until("raw")
		s.SetFaults(amitest.Faults{ResetAfterAction: 3})
		p.send("Action: Ping", "ActionID: 2")
		_, err := io.ReadAll(p)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		assert.True(t, srv.LedgerOf(1)[2].Executed)
	})
}

func TestRestart(t *testing.T) {
	goodbye := func(t *testing.T, p *peer) {
		t.Helper()
		assert.Equal(t, "Event: Shutdown\r\nPrivilege: system,all\r\nShutdown: Cleanly\r\nRestart: True\r\n\r\n", p.rest())
	}
	hello := func(t *testing.T, p *peer) {
		t.Helper()
		p.send("Action: Login", "Username: admin", "Secret: secret")
		p.until("accepted\r\n\r\n")
		assert.Equal(t, "Event: FullyBooted\r\nPrivilege: system,all\r\n"+
			"Status: Fully Booted\r\nUptime: 0\r\nLastReload: 0\r\n\r\n", p.message())
	}
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := amitest.NewServer()
			defer srv.Close()
			p := login(t, srv, "on")
			addr := srv.Addr()
			srv.Restart(200*time.Millisecond, 300*time.Millisecond)
			goodbye(t, p)
			_, err := srv.DialContext(t.Context(), "tcp", addr)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			time.Sleep(250 * time.Millisecond) // fake
			assert.Equal(t, addr, srv.Addr())
			hello(t, dial(t, srv))
		})
	})
	t.Run("TCP", func(t *testing.T) { // where it takes as long as it takes
		srv := amitest.NewServer(amitest.WithTCP())
		defer srv.Close()
		p := login(t, srv, "on")
		addr := srv.Addr()
		srv.Shutdown(true)
		goodbye(t, p)
		_, err := srv.DialContext(t.Context(), "tcp", addr)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)

		srv.Restart(50*time.Millisecond, 0)
		for {
			conn, err := srv.DialContext(t.Context(), "tcp", addr)
			if err == nil {
				require.NoError(t, conn.Close())
				break
			}
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			runtime.Gosched()
		}
		assert.Equal(t, addr, srv.Addr())
		login(t, srv, "on") // it is fully booted
	})
}

func TestDropSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := login(t, srv, "on")
		srv.Drop()
		assert.Empty(t, p.rest())
		require.NoError(t, srv.Start(0))
		login(t, srv, "off")
	})
}

func TestShutdownInterruptsASlowAction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := login(t, srv, "on")
		srv.SetStopping(true)
		p.send("Action: Ping")
		assert.Equal(t, "Response: Error\r\nMessage: Asterisk is shutting down\r\n\r\n", p.message())
		srv.SetStopping(false)
		p.send("Action: Originate", "Channel: PJSIP/noanswer", "Application: Wait")
		require.NoError(t, srv.WaitAction(t.Context(), "Originate", 1))
		synctest.Wait()
		srv.Shutdown(false)
		got := p.rest()
		assert.Contains(t, got, "Event: Shutdown\r\nPrivilege: system,all\r\nShutdown: Cleanly\r\nRestart: False\r\n\r\n")
		assert.NotContains(t, got, "Response:")
	})
}
