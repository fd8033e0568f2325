package asynclog_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/asynclog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A sink keeps what it gets: the message, and the attributes of records and of
// derived handlers. It stands at each record until it is opened, and then does
// what the act of the record's message says.
type sink struct {
	*kept

	attrs []slog.Attr
}

type kept struct {
	gate chan struct{} // nil: open

	mu      sync.Mutex
	acts    map[string]func(context.Context) error
	records []record
}

type record struct {
	message string
	attrs   map[string]any
}

func newSink() *sink { return &sink{kept: &kept{acts: map[string]func(context.Context) error{}}} }

func stoppedSink() *sink {
	s := newSink()
	s.gate = make(chan struct{})
	return s
}

func (s *sink) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (s *sink) WithGroup(string) slog.Handler                { return s }
func (s *sink) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &sink{s.kept, append(s.attrs[:len(s.attrs):len(s.attrs)], attrs...)}
}

func (s *sink) Handle(ctx context.Context, r slog.Record) error {
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	act := s.acts[r.Message]
	s.mu.Unlock()
	if act != nil {
		if err := act(ctx); err != nil {
			return err
		}
	}
	attrs := map[string]any{}
	for _, a := range s.attrs {
		attrs[a.Key] = a.Value.Resolve().Any()
	}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.Resolve().Any()
		return true
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, record{r.Message, attrs})
	return nil
}

// on sets what the sink does at each record with that message.
func (s *sink) on(message string, act func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acts[message] = act
}

// seen returns the messages of the records that the sink has taken.
func (s *sink) seen() (messages []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		messages = append(messages, r.message)
	}
	return messages
}

// warnings returns the attributes of those that it has taken.
func (s *sink) warnings() (found []map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if r.message == "log records dropped" {
			found = append(found, r.attrs)
		}
	}
	return found
}

// open makes a handler that is closed at the end of the test, unless its sink is
// stuck.
func open(t *testing.T, s slog.Handler, opts ...asynclog.Option) *asynclog.Handler {
	t.Helper()
	h, err := asynclog.New(s, opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = h.Close(context.WithoutCancel(t.Context()))
		balanced(t, h)
	})
	return h
}

// balanced checks that every record is accounted for.
func balanced(t *testing.T, h *asynclog.Handler) {
	t.Helper()
	s := h.Stats()
	require.Len(t, s.Dropped, 4)
	require.Equal(t, s.Handled, s.Delivered+uint64(s.Queued)+total(s), "%+v", s)
}

func total(s asynclog.Stats) (n uint64) {
	for _, d := range s.Dropped {
		n += d
	}
	return n
}

func flush(t *testing.T, h *asynclog.Handler) {
	t.Helper()
	require.NoError(t, h.Flush(t.Context()))
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// ended is a context that is over.
func ended(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
