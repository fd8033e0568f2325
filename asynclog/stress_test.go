package asynclog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/asynclog"
)

// A tally is a sink that fails in all ways, and keeps what it did.
type tally struct {
	records, delivered, errors, panics int
	order                              map[int64][]int64 // what each caller's records say, delivered or not
	told                               map[string]uint64
}

func (s *tally) Enabled(context.Context, slog.Level) bool { return true }
func (s *tally) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s *tally) WithGroup(string) slog.Handler            { return s }

func (s *tally) Handle(_ context.Context, r slog.Record) error {
	attrs := map[string]slog.Value{}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value
		return true
	})
	if r.Level == slog.LevelWarn {
		s.told[attrs["reason"].String()] += attrs["dropped_delta"].Uint64()
		return nil
	}
	who, i := attrs["who"].Int64(), attrs["i"].Int64()
	s.order[who] = append(s.order[who], i)
	s.records++
	switch {
	case s.records%97 == 0:
		s.errors++
		return errors.New("no")
	case s.records%193 == 0:
		s.panics++
		panic("no")
	case s.records%389 == 0:
		s.panics++
		runtime.Goexit()
	case s.records%7 == 0:
		runtime.Gosched()
	}
	s.delivered++
	return nil
}

// TestStress: with many callers and a sink that fails in all
// ways, each record is delivered in its caller's order, or counted once.
func TestStress(t *testing.T) {
	for name, capacity := range map[string]int{"small": 100, "large": 1 << 20} {
		t.Run(name, func(t *testing.T) { stress(t, capacity) })
	}
}

func stress(t *testing.T, capacity int) {
	const callers, each = 16, 2000
	s := &tally{order: map[int64][]int64{}, told: map[string]uint64{}}
	h, err := asynclog.New(s, asynclog.WithCapacity(capacity), asynclog.WithWarnInterval(100*time.Millisecond))
	require.NoError(t, err)
	var wg sync.WaitGroup
	for who := range callers {
		wg.Go(func() {
			log := slog.New(h)
			for i := range each {
				if i%40 == 0 {
					if err := h.Flush(t.Context()); err != nil {
						panic(err)
					}
				}
				switch i % 500 {
				case 100:
					log = log.With("a", i)
				case 200:
					log = log.WithGroup("g")
				case 400:
					if s := h.Stats(); s.Handled != s.Delivered+uint64(s.Queued)+total(s) {
						panic(fmt.Sprintf("%+v", s))
					}
				}
				log.Info("m", "who", who, "i", i)
			}
		})
	}
	wg.Wait()
	require.NoError(t, h.Close(t.Context()))
	st := h.Stats()
	balanced(t, h)
	require.EqualValues(t, callers*each, st.Handled)
	require.Zero(t, st.Queued)
	require.EqualValues(t, s.delivered, st.Delivered)
	require.EqualValues(t, s.errors, st.Dropped[asynclog.SinkError])
	require.EqualValues(t, s.panics, st.Dropped[asynclog.SinkPanic])
	require.EqualValues(t, callers*each-s.records, st.Dropped[asynclog.CapacityExceeded])
	require.Zero(t, st.Dropped[asynclog.Closed])
	require.NotZero(t, s.errors)
	require.NotZero(t, s.panics)
	for who, order := range s.order {
		require.True(t, slices.IsSorted(order), "caller %d", who)
		require.Len(t, slices.Compact(order), len(order), "caller %d", who)
	}
	for reason, n := range st.Dropped {
		require.Equal(t, n, s.told[string(reason)], "warnings about %s", reason)
	}
	t.Logf("%+v", st)
}

// TestStressOfClose: callers that go on while Close gives up.
func TestStressOfClose(t *testing.T) {
	s := &tally{order: map[int64][]int64{}, told: map[string]uint64{}}
	h, err := asynclog.New(s, asynclog.WithCapacity(1000))
	require.NoError(t, err)
	var wg sync.WaitGroup
	begun := make(chan struct{}, 8)
	for who := range 8 {
		wg.Go(func() {
			log := slog.New(h)
			for i := range 5000 {
				log.Info("m", "who", who, "i", i)
				if i == 1000 {
					begun <- struct{}{}
				}
			}
		})
	}
	<-begun
	require.NoError(t, h.Flush(t.Context()))
	err = h.Close(ended(t))
	if err != nil {
		_, ok := errors.AsType[*asynclog.DeadlineError](err)
		require.True(t, ok, "%v", err)
	}
	wg.Wait()
	require.NoError(t, h.Close(t.Context()))
	st := h.Stats()
	balanced(t, h)
	require.EqualValues(t, 40000, st.Handled)
	require.Zero(t, st.Queued)
	require.NotZero(t, s.delivered)
	require.EqualValues(t, s.delivered, st.Delivered)
	t.Logf("%+v", st)
}

// TestStoppedTerminal: nobody reads the other end of the pipe, and nobody who
// logs waits for it.
func TestStoppedTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	h, err := asynclog.New(slog.NewTextHandler(w, nil), asynclog.WithCapacity(1000))
	require.NoError(t, err)
	log := slog.New(h)
	const records = 20000
	long := strings.Repeat("x", 100<<10) // more than a pipe holds
	log.Info("event", "text", long)
	taken(t, h)
	for i := range records {
		log.Info("event", "i", i)
	}
	require.Equal(t, asynclog.Stats{
		Handled: records + 1, Queued: 1001,
		Dropped: map[asynclog.Reason]uint64{
			asynclog.CapacityExceeded: records - 1000, asynclog.SinkError: 0, asynclog.SinkPanic: 0, asynclog.Closed: 0,
		},
	}, h.Stats())

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	e, ok := errors.AsType[*asynclog.DeadlineError](h.Close(ctx))
	require.True(t, ok)
	require.Equal(t, asynclog.DeadlineError{Op: "close", Left: 1000, Stuck: true, Err: context.DeadlineExceeded}, *e)

	require.NoError(t, r.Close()) // the terminal is gone: the write fails
	require.NoError(t, h.Close(t.Context()))
	require.EqualValues(t, 1, h.Stats().Dropped[asynclog.SinkError])
	require.EqualValues(t, records+1, total(h.Stats()))
	require.Error(t, h.Stats().LastError)
}

// taken waits until the sink has a record in hand.
func taken(t *testing.T, h *asynclog.Handler) {
	t.Helper()
	for {
		if e, ok := errors.AsType[*asynclog.DeadlineError](h.Flush(ended(t))); ok && e.Stuck {
			return
		}
		runtime.Gosched()
	}
}

// TestTerminalGoesOn: after a stop the last records come, and a warning says how
// many are missing in front of them.
func TestTerminalGoesOn(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	h, err := asynclog.New(slog.NewTextHandler(w, nil), asynclog.WithCapacity(10))
	require.NoError(t, err)
	log := slog.New(h)
	long := strings.Repeat("x", 100<<10) // more than a pipe holds
	log.Info("first", "text", long)
	taken(t, h)
	for i := range 100 {
		log.Info("event", "i", i)
	}
	var out strings.Builder
	read := make(chan error)
	go func() {
		_, err := r.WriteTo(&out)
		read <- err
	}()
	require.NoError(t, h.Close(t.Context()))
	require.NoError(t, w.Close())
	require.NoError(t, <-read)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 12)
	require.Contains(t, lines[1], `level=WARN msg="log records dropped" reason=capacity_exceeded dropped_delta=90 dropped_total=90 queue_depth=10`)
	for i, l := range lines[2:] {
		require.True(t, strings.HasSuffix(l, fmt.Sprintf("msg=event i=%d", 90+i)), l)
	}
}
