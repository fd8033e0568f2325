package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/amitest"
	"github.com/apn/ami/conn"
	"github.com/apn/ami/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a socket that keeps each write.
type recorder struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	r.writes = append(r.writes, bytes.Clone(p))
	r.mu.Unlock()
	return r.Conn.Write(p)
}

func config() conn.Config {
	return conn.Config{
		QueueEntries: 8, QueueBytes: 1 << 20, WriteTimeout: time.Second,
		OnFrame:     func(*frame.Frame) {},
		OnMalformed: func(*frame.FormatError) error { return nil },
		OnQuiet:     func() {},
	}
}

func out(s string) *conn.Out { return &conn.Out{Bytes: []byte(s)} }

func TestBatchesAndRevocation(t *testing.T) { // A2, C5
	synctest.Test(t, func(t *testing.T) {
		client, server := amitest.Pipe(1 << 20)
		rec := &recorder{Conn: client}
		c := conn.New(rec, config())
		var revoked *conn.Out
		for i := range 5 {
			o := out(fmt.Sprintf("action %d\r\n", i))
			require.NoError(t, c.Enqueue(o))
			if i == 2 {
				revoked = o
			}
		}
		require.True(t, revoked.Revoke())
		require.True(t, revoked.Revoke(), "again")
		entries, size := c.Depth()
		require.Equal(t, 5, entries)
		require.EqualValues(t, 50, size)
		c.Start()
		synctest.Wait()
		require.Len(t, rec.writes, 1, "one write for all that waited")
		require.Equal(t, "action 0\r\naction 1\r\naction 3\r\naction 4\r\n", string(rec.writes[0]))
		entries, size = c.Depth()
		require.Zero(t, entries)
		require.Zero(t, size)

		alone := out("alone\r\n")
		require.NoError(t, c.Enqueue(alone))
		synctest.Wait()
		require.False(t, alone.Revoke(), "it is written")

		large := out(strings.Repeat("x", 40_000))
		require.NoError(t, c.Enqueue(large))
		require.NoError(t, c.Enqueue(out("small\r\n")))
		synctest.Wait()
		c.Close(io.EOF)
		c.Close(errors.New("later"))
		c.Wait()
		require.ErrorIs(t, c.Err(), io.EOF, "the first cause stays")
		late := out("late\r\n")
		require.NoError(t, c.Enqueue(late))
		synctest.Wait()
		require.True(t, late.Revoke(), "nothing is written after the end")
		all, err := io.ReadAll(server)
		require.NoError(t, err)
		require.Equal(t, 40_000, bytes.Count(all, []byte("x")))
		require.NotContains(t, string(all), "late")
	})
}

func TestQueueBounds(t *testing.T) { // C6
	synctest.Test(t, func(t *testing.T) {
		client, server := amitest.Pipe(1 << 20)
		cfg := config()
		cfg.QueueEntries, cfg.QueueBytes = 2, 25
		c := conn.New(client, cfg)
		require.NoError(t, c.Enqueue(out("0123456789")))
		require.ErrorIs(t, c.Enqueue(out("0123456789012345")), conn.ErrFull, "bytes")
		require.NoError(t, c.Enqueue(out("0123456789")))
		require.ErrorIs(t, c.Enqueue(out("0")), conn.ErrFull, "entries")

		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error, 3)
		for range 2 {
			go func() { got <- c.EnqueueWait(t.Context(), out("waits"), nil) }()
		}
		gone := make(chan error, 1)
		go func() { gone <- c.EnqueueWait(ctx, out("never"), nil) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-gone, context.Canceled)
		c.Start()
		require.NoError(t, <-got)
		require.NoError(t, <-got)
		synctest.Wait()
		b := make([]byte, 100)
		n, err := server.Read(b)
		require.NoError(t, err)
		require.Equal(t, "01234567890123456789waitswaits", string(b[:n]))
		c.Close(io.EOF)
		c.Wait()
	})
}

func TestWaitersLeaveWithTheConn(t *testing.T) { // C3
	synctest.Test(t, func(t *testing.T) {
		client, _ := amitest.Pipe(1 << 10)
		cfg := config()
		cfg.QueueEntries = 1
		c := conn.New(client, cfg)
		require.NoError(t, c.Enqueue(out("full")))
		got := make(chan error, 1)
		go func() { got <- c.EnqueueWait(t.Context(), out("waits"), nil) }()
		synctest.Wait()
		c.Close(io.EOF)
		require.ErrorIs(t, <-got, io.EOF)
	})
}

func TestWriteTimeout(t *testing.T) { // D2: exact
	synctest.Test(t, func(t *testing.T) {
		client, _ := amitest.Pipe(16)
		c := conn.New(client, config())
		c.Start()
		start := time.Now()
		require.NoError(t, c.Enqueue(out(strings.Repeat("x", 100))))
		<-c.Done()
		require.Equal(t, time.Second, time.Since(start))
		require.ErrorIs(t, c.Err(), conn.ErrWriteTimeout)
		c.Wait()
	})
}

func TestRecords(t *testing.T) { // D3: what Asterisk can take over TLS
	synctest.Test(t, func(t *testing.T) {
		client, _ := amitest.Pipe(1 << 20)
		rec := &recorder{Conn: client}
		cfg := config()
		cfg.Records = true
		c := conn.New(rec, cfg)
		var want strings.Builder
		for i := range 6 {
			line := strings.Repeat(fmt.Sprint(i), 150*(i+1)) + "\r\n"
			want.WriteString(line)
			require.NoError(t, c.Enqueue(out(line)))
		}
		c.Start()
		synctest.Wait()
		var got strings.Builder
		for _, w := range rec.writes {
			require.LessOrEqual(t, len(w), 1024)
			require.True(t, bytes.HasSuffix(w, []byte("\n")))
			got.Write(w)
		}
		require.Equal(t, want.String(), got.String())
		require.Less(t, len(rec.writes), 6, "short lines share a record")
		c.Close(io.EOF)
		c.Wait()
	})
}

func TestReading(t *testing.T) { // A2, B3
	synctest.Test(t, func(t *testing.T) {
		client, server := amitest.Pipe(1 << 20)
		var log []string
		cfg := config()
		cfg.Limits = frame.Limits{Line: 1024}
		cfg.OnFrame = func(f *frame.Frame) { log = append(log, f.Name()) }
		cfg.OnQuiet = func() { log = append(log, "quiet") }
		malformed := 0
		cfg.OnMalformed = func(e *frame.FormatError) error {
			log = append(log, string(e.Reason))
			if malformed++; malformed == 2 {
				return e
			}
			return nil
		}
		c := conn.New(client, cfg)
		c.Start()
		synctest.Wait()
		start := c.LastRead()
		time.Sleep(time.Minute) // fake
		long := "Event: Long\r\nK: " + strings.Repeat("x", 2000) + "\r\n\r\n"
		_, err := server.Write([]byte("Event: A\r\n\r\nEvent: B\r\n\r\n"))
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, time.Minute, c.LastRead().Sub(start))
		require.Equal(t, []string{"quiet", "A", "B", "quiet"}, log, "a batch, then quiet")
		_, err = server.Write([]byte(long + "Event: C\r\n\r\n" + long + "Event: D\r\n\r\n"))
		require.NoError(t, err)
		<-c.Done()
		c.Wait()
		require.Equal(t, "quiet", log[len(log)-1])
		rest := slices.DeleteFunc(log[4:], func(s string) bool { return s == "quiet" }) // before each read
		require.Equal(t, []string{"line too long", "C", "line too long"}, rest)
		var e *frame.FormatError
		require.ErrorAs(t, c.Err(), &e)
	})
}
