// Package asynclog is a slog.Handler that never makes its caller wait: a terminal
// that was stopped, a full disk, or a log server that is down slows nothing but
// the log.
//
//	h, err := asynclog.New(slog.NewJSONHandler(os.Stderr, nil))
//	if err != nil {
//		return err
//	}
//	defer func() {
//		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
//		defer cancel()
//		_ = h.Close(ctx) // says what was left behind
//	}()
//	log := slog.New(h)
//
// Handle puts the record into a queue, and one goroutine takes it from there to
// the sink, the slog.Handler that New was given, in the order in which it was
// handled. The queue is bounded in records. When it is full, the oldest record
// makes room: who looks at the log after a stall finds what came last.
//
// # Losses
//
// Every record that is lost is counted under one Reason: the queue was full, the
// sink returned an error, the sink panicked, or the handler was closed. Stats has
// the counters.
//
// Besides, the sink gets a warning, "log records dropped", at most once in an
// interval for each reason: how many were lost since the last one (dropped_delta)
// and in all (dropped_total). It comes where records are missing, before the
// first that was not lost. A warning that the sink refuses is made again later, so
// that the deltas add up to the total. After Close there are no more. Warnings are
// no records: nothing counts them.
//
// # What runs where
//
// Of the sink, only Enabled runs on the goroutine that logs. Everything else runs
// on that of the handler, one call after the other: Handle, WithAttrs and
// WithGroup, LogValue, MarshalJSON and String of the values. So all of them may
// block or panic. The price: values are read some time after the log call has
// returned. Do not pass what is changed later, such as a pointer to a struct that
// lives on; pass a copy or a string. A queued record keeps what it refers to in
// memory.
//
// The sink gets the values of the context that was logged with, but not its end:
// a request that is over does not take its records with it.
package asynclog
