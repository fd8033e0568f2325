package asynclog

import (
	"context"
	"log/slog"
	"slices"
)

// A Handler queues records for a sink; see the package. WithAttrs and WithGroup
// derive handlers that share queue, order, counters and goroutine with it. All
// methods may be called from any goroutine, also from the sink, which may log to
// the handler that calls it. Use New.
type Handler struct {
	queue *queue

	// For a derived handler, what it was derived from and how.
	parent *Handler
	attrs  []slog.Attr
	group  string

	// Owned by the queue's goroutine, except that of New, which is immutable:
	// nil until a derived handler has its first record.
	sink slog.Handler
}

var _ slog.Handler = (*Handler)(nil)

// New returns a handler that delivers to sink. It has a goroutine, which Close
// ends. The error is a *ConfigError.
func New(sink slog.Handler, opts ...Option) (*Handler, error) {
	if sink == nil {
		return nil, &ConfigError{Key: "Sink", Value: nil, Reason: "must not be nil"}
	}
	c := config{capacity: defaultCapacity, interval: defaultInterval}
	for _, o := range opts {
		o(&c)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	h := &Handler{sink: sink}
	h.queue = &queue{
		config: c, root: h,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go h.queue.run()
	return h, nil
}

// Enabled asks the sink that New was given, also for derived handlers: those of
// the sink may not be there yet. So a derived handler of the sink may want fewer
// levels than the sink, which is asked again before it gets a record, but not
// more. Enabled is the one method of the sink that runs on the goroutine that
// logs. It must return at once. If it panics, the record is taken.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() {
		if recover() != nil {
			enabled = true // the sink gets another chance, and a loss is counted
		}
	}()
	return h.queue.root.sink.Enabled(ctx, level)
}

// Handle queues a record, without waiting for the sink, and makes room by
// dropping the oldest record if the queue is full. It returns ErrClosed after
// Close, otherwise nil: what becomes of the record is in Stats.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	return h.queue.put(ctx, h, r)
}

// WithAttrs returns a handler that adds attrs to each record. The sink gets them
// once, before the first record.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &Handler{queue: h.queue, parent: h, attrs: slices.Clip(attrs)}
}

// WithGroup returns a handler that puts the attributes which follow into a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Handler{queue: h.queue, parent: h, group: name}
}

// derived returns the sink of h. It runs on the queue's goroutine: some handlers
// lock in WithAttrs what they hold while they write, so that a caller would wait
// for a stopped terminal there.
func (h *Handler) derived() slog.Handler {
	if h.sink == nil {
		from := h.parent.derived()
		if h.group != "" {
			h.sink = from.WithGroup(h.group)
		} else {
			h.sink = from.WithAttrs(h.attrs)
		}
	}
	return h.sink
}

// deliver hands a record to the sink.
func (h *Handler) deliver(ctx context.Context, r slog.Record) error {
	sink := h.derived()
	if h.parent != nil && !sink.Enabled(ctx, r.Level) {
		return nil
	}
	return sink.Handle(ctx, r)
}

// Flush waits until every record that was handled before, here or by a derived
// handler, has left: the sink has returned from it, or it is lost and counted. If
// ctx ends first, the error is a *DeadlineError. A sink that calls Flush or Close
// waits for itself.
func (h *Handler) Flush(ctx context.Context) error { return h.queue.flush(ctx) }

// Close ends the handler: it delivers what is queued, and then the last warnings
// about losses without regard to their interval. Records that are handled from
// now on are lost and counted.
//
// When ctx ends, Close drops and counts what is still queued and returns a
// *DeadlineError, so give ctx a deadline. A sink that does not return cannot be
// stopped: the goroutine stays in it and ends as soon as it returns, without
// another call. That one record is Queued in Stats until then.
//
// Close may be called again: it waits, until its ctx ends, for that goroutine.
// It returns nil when the goroutine has ended.
func (h *Handler) Close(ctx context.Context) error { return h.queue.close(ctx) }
