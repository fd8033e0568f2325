package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
)

// ensure creates the stream, or checks the one that is there.
func (o *Options) ensure(ctx context.Context, l *link) error {
	stream, err := l.js.Stream(ctx, o.Stream)
	if errors.Is(err, js.ErrStreamNotFound) {
		stream, err = l.js.CreateStream(ctx, o.wanted())
		if errors.Is(err, js.ErrStreamNameAlreadyInUse) { // another has been faster
			stream, err = l.js.Stream(ctx, o.Stream)
		}
	}
	if err != nil {
		return fmt.Errorf("jetstream: stream %s: %w", o.Stream, err)
	}
	have := stream.CachedInfo().Config
	if diffs := o.differences(&have); len(diffs) > 0 {
		wider, ok := o.widened(have)
		if !o.Update || !ok {
			return &StreamError{Stream: o.Stream, Differences: diffs}
		}
		if stream, err = l.js.UpdateStream(ctx, wider); err != nil {
			return fmt.Errorf("jetstream: widen stream %s: %w", o.Stream, err)
		}
		have = stream.CachedInfo().Config
		o.Logger.Info("jetstream: the stream was widened", "stream", o.Stream)
	}
	l.stream, l.replicas = stream, have.Replicas
	return nil
}

// wanted is the stream as it is created.
func (o *Options) wanted() js.StreamConfig {
	c := js.StreamConfig{
		Name:        o.Stream,
		Description: "Events of Asterisk servers",
		Subjects:    []string{o.events()},
		Retention:   js.LimitsPolicy,
		Storage:     js.FileStorage,
		Discard:     js.DiscardOld,
		MaxAge:      o.MaxAge,
		MaxBytes:    -1,
		Replicas:    max(o.Replicas, 1),
		Duplicates:  o.Duplicates,
	}
	if o.MaxBytes > 0 {
		c.MaxBytes = o.MaxBytes
	}
	if o.DiscardNew {
		c.Discard = js.DiscardNew
	}
	if c.Duplicates == 0 {
		c.Duplicates = DefaultDuplicates
		if o.MaxAge > 0 {
			c.Duplicates = min(c.Duplicates, o.MaxAge)
		}
	}
	return c
}

// differences compares what the bridge relies on, and what Options name.
func (o *Options) differences(have *js.StreamConfig) []Difference {
	var diffs []Difference
	differ := func(setting string, differs bool, want, have string) {
		if differs {
			diffs = append(diffs, Difference{setting, want, have})
		}
	}
	differ("subjects", !slices.Contains(have.Subjects, o.events()), o.events(), strings.Join(have.Subjects, " "))
	// Under the other policies consumers remove records, takeovers among them.
	differ("retention", have.Retention != js.LimitsPolicy, js.LimitsPolicy.String(), have.Retention.String())
	differ("storage", have.Storage != js.FileStorage, js.FileStorage.String(), have.Storage.String())
	differ("persist_mode", have.PersistMode == js.AsyncPersistMode, "default", "async")
	differ("no_ack", have.NoAck, "false", "true")
	differ("sealed", have.Sealed, "false", "true")
	differ("mirror", have.Mirror != nil, "none", "set")
	differ("subject_transform", have.SubjectTransform != nil, "none", "set")
	differ("num_replicas", o.Replicas > 0 && have.Replicas != o.Replicas, strconv.Itoa(o.Replicas), strconv.Itoa(have.Replicas))
	differ("max_age", o.MaxAge > 0 && have.MaxAge != o.MaxAge, o.MaxAge.String(), have.MaxAge.String())
	differ("max_bytes", o.MaxBytes > 0 && have.MaxBytes != o.MaxBytes, strconv.FormatInt(o.MaxBytes, 10), strconv.FormatInt(have.MaxBytes, 10))
	differ("discard", o.DiscardNew && have.Discard != js.DiscardNew, js.DiscardNew.String(), have.Discard.String())
	differ("duplicate_window", o.Duplicates > 0 && have.Duplicates != o.Duplicates, o.Duplicates.String(), have.Duplicates.String())
	return diffs
}

// widened is the stream that is there with all that makes it as wanted without
// narrowing it; ok if that is all.
func (o *Options) widened(have js.StreamConfig) (wider js.StreamConfig, ok bool) {
	wider = have
	if !slices.Contains(have.Subjects, o.events()) {
		wider.Subjects = append(slices.Clone(have.Subjects), o.events())
	}
	if longer(o.MaxAge, have.MaxAge) {
		wider.MaxAge = o.MaxAge
	}
	if o.MaxBytes > have.MaxBytes && have.MaxBytes > 0 {
		wider.MaxBytes = o.MaxBytes
	}
	if o.Duplicates > have.Duplicates {
		wider.Duplicates = o.Duplicates
	}
	return wider, len(o.differences(&wider)) == 0
}

// longer tells whether an age is beyond what is kept now; 0 is for ever.
func longer(want, have time.Duration) bool { return have > 0 && want > have }
