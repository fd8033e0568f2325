package amitest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
	"github.com/apn/ami/amitest/recording"
	"github.com/apn/ami/frame"
)

// recorded makes records of messages, one second apart.
func recorded(t *testing.T, wires ...string) iter.Seq2[recording.Record, error] {
	t.Helper()
	var all []recording.Record
	for i, wire := range wires {
		f, err := frame.Parse(strings.TrimSuffix(strings.ReplaceAll(wire, "\n", "\r\n"), "\r\n\r\n"))
		require.NoError(t, err)
		all = append(all, recording.Record{At: time.Duration(i) * time.Second, Event: f})
	}
	return func(yield func(recording.Record, error) bool) {
		for _, rec := range all {
			if !yield(rec, nil) {
				return
			}
		}
	}
}

func numberedEvent(n int) string {
	return fmt.Sprintf("Event: N%d\nPrivilege: call,all\nCause: %d", n, n)
}

// play plays in the background until the test ends, and returns how that ended.
func play(t *testing.T, srv *amitest.Server, p amitest.Playback) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ended := make(chan error, 1)
	go func() { ended <- srv.Play(ctx, p) }()
	return func() error { cancel(); return <-ended }
}

// TestPlaySpeed: each session gets the recording from its login on, with the recorded
// pauses divided by the speed.
func TestPlaySpeed(t *testing.T) {
	for _, tc := range []struct {
		speed float64
		pause time.Duration
	}{{1, time.Second}, {2.5, 400 * time.Millisecond}, {0.5, 2 * time.Second}, {1e9, time.Nanosecond}, {0, 0}} {
		t.Run(fmt.Sprint(tc.speed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer()
				defer srv.Close()
				before := login(t, srv, "call")
				stop := play(t, srv, amitest.Playback{Records: recorded(t, numberedEvent(0), numberedEvent(1), numberedEvent(2)), Speed: tc.speed})
				for _, p := range []*peer{before, nil, nil} {
					if p == nil {
						time.Sleep(time.Minute)
						p = login(t, srv, "call")
					}
					start := time.Now()
					for n := range 3 {
						assert.Contains(t, p.message(), fmt.Sprintf("Event: N%d\r\n", n))
						assert.Equal(t, time.Duration(n)*tc.pause, time.Since(start))
					}
					p.quiet()
				}
				assert.ErrorIs(t, stop(), context.Canceled)
			})
		})
	}
}

// TestPlayLeavesAnswersOut: what answered the recorder does not come, nor what the
// session is not to get.
func TestPlayLeavesAnswersOut(t *testing.T) {
	records := recorded(t,
		"Response: Success\nActionID: a:1",
		"Event: FullyBooted\nPrivilege: system,all\nStatus: Fully Booted",
		"Event: CoreShowChannel\nActionID: a:2\nChannel: x",
		"Event: Status\nPrivilege: Call\nActionID: a:3",
		"Event: CoreShowChannelsComplete\nActionID: a:2\nEventList: Complete",
		"just text",
		"Event: Hidden\nPrivilege: dialplan,all",
		"Event: Both\nPrivilege: call,system,all\nActionID: another:1",
		"Event: FullyBooted\nPrivilege: system,all\nStatus: again",
		"Event: Plain\nPrivilege: <none>\nA: b\n",
	)
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		stop := play(t, srv, amitest.Playback{Records: records})
		p := login(t, srv, "call,system")
		assert.Contains(t, p.message(), "Status: Fully Booted", "that of the login")
		assert.Equal(t, "Event: Both\r\nPrivilege: call,system,all\r\nActionID: another:1\r\n\r\n", p.message())
		assert.Contains(t, p.message(), "Status: again")
		assert.Contains(t, p.message(), "Event: Plain\r\n")
		p.send("Action: Ping", "ActionID: mine")
		assert.Contains(t, p.message(), "Response: Success\r\nActionID: mine\r\nPing: Pong\r\n")
		p.quiet()
		assert.ErrorIs(t, stop(), context.Canceled)
	})
}

// TestPlayLoop: at the end it begins anew, and does not spin for who wants nothing.
func TestPlayLoop(t *testing.T) {
	for _, speed := range []float64{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			srv := amitest.NewServer(amitest.WithBuffer(4 << 10))
			defer srv.Close()
			var rounds atomic.Int64
			records := recorded(t, numberedEvent(0), numberedEvent(1))
			stop := play(t, srv, amitest.Playback{Loop: true, Speed: speed, Records: func(yield func(recording.Record, error) bool) {
				rounds.Add(1)
				records(yield)
			}})
			p := login(t, srv, "call")
			for n := range 100 {
				assert.Contains(t, p.message(), fmt.Sprintf("Event: N%d\r\n", n%2))
			}
			p.send("Action: Logoff")
			_, _ = io.ReadAll(p)
			synctest.Wait() // the rounds of the session that has gone are over
			p = login(t, srv, "off")
			rounds.Store(0)
			time.Sleep(time.Minute)
			synctest.Wait()
			assert.LessOrEqual(t, rounds.Load(), int64(62))
			p.send("Action: Events", "EventMask: call")
			p.until("Events: On\r\n\r\n")
			assert.Contains(t, p.message(), "Event: N")
			assert.ErrorIs(t, stop(), context.Canceled)
		})
	}
}

// TestPlayToSlowClient: who does not read is ended as by Asterisk; others get it all.
func TestPlayToSlowClient(t *testing.T) {
	var wires []string
	for n := range 10_000 {
		wires = append(wires, numberedEvent(n))
	}
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithBuffer(64 << 10))
		defer srv.Close()
		stop := play(t, srv, amitest.Playback{Records: recorded(t, wires...)})
		slow, quick := login(t, srv, "call"), login(t, srv, "call")
		start := time.Now()
		events := frame.NewReader(quick, frame.Limits{})
		for n := range wires {
			f, err := events.Next()
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(n), f.Get("Cause"), "in spite of the other one")
		}
		require.NoError(t, srv.WaitConnections(t.Context(), 1))
		assert.Equal(t, 100*time.Millisecond, time.Since(start), "the write timeout")
		got, err := io.ReadAll(slow)
		require.NoError(t, err)
		assert.InDelta(t, 64<<10, len(got), 1<<10, "what the network held")
		assert.ErrorIs(t, stop(), context.Canceled)
	})
}

// TestPlayBehindAnAction: what waits while an action runs has a bound, and nothing of
// it is lost.
func TestPlayBehindAnAction(t *testing.T) {
	var wires []string
	for n := range 20_000 {
		wires = append(wires, numberedEvent(n))
	}
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		srv.Handle("Slow", func(c *amitest.Call) { c.Wait(time.Minute); c.Success("") })
		var read atomic.Int64
		records := recorded(t, wires...)
		p := login(t, srv, "call")
		p.send("Action: Slow")
		require.NoError(t, srv.WaitAction(t.Context(), "Slow", 1))
		stop := play(t, srv, amitest.Playback{Records: func(yield func(recording.Record, error) bool) {
			for rec, err := range records {
				read.Add(1)
				if !yield(rec, err) {
					return
				}
			}
		}})
		synctest.Wait()
		assert.InDelta(t, 4096, read.Load(), 2)
		assert.Contains(t, p.message(), "Success")
		events := frame.NewReader(p, frame.Limits{})
		for n := range wires {
			f, err := events.Next()
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(n), f.Get("Cause"))
		}
		assert.ErrorIs(t, stop(), context.Canceled)
	})
}

// TestPlayEnds: with the server, and with what cannot be read, but not with a session
// or with a recording that was cut off.
func TestPlayEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		ended := make(chan error, 1)
		records := recorded(t, numberedEvent(0), numberedEvent(1))
		go func() { ended <- srv.Play(t.Context(), amitest.Playback{Speed: 1, Records: records}) }()
		p := login(t, srv, "call")
		p.message()
		require.NoError(t, p.Close())
		require.NoError(t, srv.WaitConnections(t.Context(), 0))
		p = login(t, srv, "call")
		p.message()
		srv.Close() // in the middle
		assert.NoError(t, <-ended)
	})
	broken := errors.New("broken")
	for _, tc := range []struct {
		err, want error
	}{{broken, broken}, {recording.ErrCut, context.Canceled}, {fmt.Errorf("file: %w", recording.ErrCut), context.Canceled}} {
		synctest.Test(t, func(t *testing.T) {
			srv := amitest.NewServer()
			defer srv.Close()
			records := recorded(t, numberedEvent(0))
			stop := play(t, srv, amitest.Playback{Records: func(yield func(recording.Record, error) bool) {
				for rec, err := range records {
					if !yield(rec, err) {
						return
					}
				}
				yield(recording.Record{}, tc.err)
			}})
			p := login(t, srv, "call")
			assert.Contains(t, p.message(), "Event: N0")
			synctest.Wait()
			assert.ErrorIs(t, stop(), tc.want)
		})
	}
}

func ExampleServer_Play() {
	var file bytes.Buffer // as "ami record" writes it
	w, err := recording.NewWriter(&file, recording.Header{Node: "pbx1", Banner: "Asterisk Call Manager/11.0.0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = w.Event(400*time.Millisecond, "Event: Hangup\r\nPrivilege: call,all\r\nCause: 17\r\n\r\n") // End tells of an error
	if err := w.End(time.Second, recording.End{Events: 1}); err != nil {
		fmt.Println(err)
		return
	}

	srv := amitest.NewServer()
	defer srv.Close() // ends Play
	go func() {
		_ = srv.Play(context.Background(), amitest.Playback{Speed: 100, Records: func(yield func(recording.Record, error) bool) {
			r, err := recording.NewReader(bytes.NewReader(file.Bytes())) // of a file: recording.Open and its Records
			for err == nil {
				var rec recording.Record
				if rec, err = r.Next(); err == nil && !yield(rec, nil) {
					return
				}
			}
			if !errors.Is(err, io.EOF) {
				yield(recording.Record{}, err)
			}
		}}) // nil: Close has ended it
	}()

	conn, err := srv.DialContext(context.Background(), "tcp", srv.Addr())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "Action: Login\r\nUsername: admin\r\nSecret: secret\r\nEvents: call\r\n\r\n") // reading tells of an error
	r := frame.NewReader(conn, frame.Limits{})
	_, _ = r.Banner() // Next tells of an error
	for range 2 {
		f, err := r.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(strings.TrimSpace(fmt.Sprint(f.Kind(), " ", f.Name(), " ", f.Get("Cause"))))
	}
	// Output:
	// response Success
	// event Hangup 17
}
