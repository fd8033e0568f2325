package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/apn/ami/bridge"
)

// fencingSince is the first version of the server that compares the sequence of
// another subject than the message's own.
const fencingSince = "2.11.0"

// pause waits for about the time that a record takes to its replicas, or until ctx
// ends.
func pause(ctx context.Context) error {
	select {
	case <-time.After(2 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A takeover is the payload of a record of KindTakeover.
type takeover struct {
	Node     string    `json:"node"`
	Instance string    `json:"instance"`
	Kind     string    `json:"kind"` // "takeover"
	Time     time.Time `json:"time"`
	Gap      *gap      `json:"gap,omitempty"` // missing: the stream has no record of the node
}

// A gap is what lies between the last record of the node in the stream and the
// takeover.
type gap struct {
	FromID       string    `json:"from_id"`
	FromTime     time.Time `json:"from_time"`
	LastInstance string    `json:"last_instance"`
	LastEpoch    uint64    `json:"last_epoch"`
	LastSeq      uint64    `json:"last_seq"`
	LengthMS     int64     `json:"length_ms"`
}

// Fence implements bridge.Fencer. The token is the takeover's sequence in the
// stream. While the takeover of an instance is the newest of its node, another
// call for the same instance publishes nothing and returns the token again: so a
// call whose answer was lost is repeated. If the limits of the stream have removed
// it, another call publishes a new one.
//
// The gap begins at the record that is the last when Fence looks; the holder
// before may have published more until the takeover is stored, and those stand
// before it in the stream.
//
// If another process fences the node at the same time, one of the two gets an
// error that is ErrFenced. An *UnsupportedError reports a server older than 2.11,
// which does not know the comparison.
func (b *Broker) Fence(ctx context.Context, t bridge.Takeover) (uint64, error) {
	b.controlling.Lock()
	defer b.controlling.Unlock()
	ctx, release := b.bound(ctx)
	defer release()
	l, err := b.forControl(ctx)
	if err != nil {
		return 0, err
	}
	if have := l.nc.ConnectedServerVersion(); !atLeast(have, 2, 11) {
		return 0, &UnsupportedError{Feature: "fencing", Need: fencingSince, Have: have}
	}
	var token uint64
	err = l.call(ctx, b.o.AckTimeout, func(ctx context.Context) error {
		for {
			token, err = b.tryFence(ctx, l, t)
			if !onItsWay(err) || pause(ctx) != nil {
				return err
			}
		}
	})
	if err != nil {
		return 0, fmt.Errorf("jetstream: fence %s: %w", t.Node, err)
	}
	return token, nil
}

func (b *Broker) tryFence(ctx context.Context, l *link, t bridge.Takeover) (uint64, error) {
	newest, err := b.last(ctx, l, b.o.takeovers(t.Node))
	if err != nil {
		return 0, err
	}
	if newest != nil && newest.Header.Get(HeaderInstance) == t.Instance {
		return newest.Sequence, nil
	}
	token, err := b.takeOver(ctx, l, t, newest)
	if err != nil {
		return 0, err
	}
	return token, b.proveFence(ctx, l, t.Node, token)
}

// last returns the last message of a subject, or nil if there is none.
func (b *Broker) last(ctx context.Context, l *link, subject string) (*js.RawStreamMsg, error) {
	m, err := l.stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, js.ErrMsgNotFound) {
		return nil, nil
	}
	return m, err
}

// takeOver publishes the takeover behind the one that is the newest.
func (b *Broker) takeOver(ctx context.Context, l *link, t bridge.Takeover, newest *js.RawStreamMsg) (uint64, error) {
	before, err := b.last(ctx, l, b.o.eventsOf(t.Node))
	if err != nil {
		return 0, err
	}
	payload := takeover{Node: t.Node, Instance: t.Instance, Kind: bridge.KindTakeover.String(), Time: t.Time, Gap: gapSince(before, t.Time)}
	data, err := json.Marshal(payload)
	if err != nil {
		return 0, err
	}
	r := bridge.Record{Instance: t.Instance, Node: t.Node, Kind: bridge.KindTakeover, Time: t.Time, Payload: data}
	m := b.o.message(&r)
	// An ID of its own: an instance may have to take the node over again, and the
	// server must not take that for a duplicate.
	m.Header.Set(js.MsgIDHeader, t.Instance+"/"+t.Node+"/takeover/"+nuid.Next())
	expected := uint64(0)
	if newest != nil {
		expected = newest.Sequence
	}
	m.Header.Set(js.ExpectedLastSubjSeqHeader, strconv.FormatUint(expected, 10))
	ack, err := l.js.PublishMsg(ctx, m)
	if api, ok := errors.AsType[*js.APIError](err); ok && api.ErrorCode == js.JSErrCodeStreamWrongLastSequence {
		return 0, fmt.Errorf("%w: %w", bridge.ErrFenced, err)
	}
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// gapSince is the gap since the last record of a node, nil if there was none.
func gapSince(m *js.RawStreamMsg, now time.Time) *gap {
	if m == nil {
		return nil
	}
	g := &gap{FromID: m.Header.Get(js.MsgIDHeader), FromTime: m.Time, LastInstance: m.Header.Get(HeaderInstance)}
	// A message that is not the bridge's has none of these: zero says so.
	if at, err := time.Parse(time.RFC3339Nano, m.Header.Get(HeaderTime)); err == nil {
		g.FromTime = at
	}
	g.LastEpoch, _ = strconv.ParseUint(m.Header.Get(HeaderEpoch), 10, 64)
	g.LastSeq, _ = strconv.ParseUint(m.Header.Get(HeaderSeq), 10, 64)
	g.LengthMS = max(now.Sub(g.FromTime).Milliseconds(), 0)
	return g
}

// proveFence makes sure that the server which keeps the stream, in a cluster of
// several versions maybe another one, compares with the takeover. It publishes
// what such a server cannot store, and the refusal tells what it was compared with.
func (b *Broker) proveFence(ctx context.Context, l *link, node string, token uint64) error {
	m := &nats.Msg{Subject: b.o.Prefix + ".events." + nodeToken(node) + ".=", Header: nats.Header{
		js.ExpectedLastSubjSeqHeader:     {strconv.Itoa(math.MaxInt64)},
		js.ExpectedLastSubjSeqSubjHeader: {b.o.takeovers(node)},
	}}
	unsupported := &UnsupportedError{Feature: "fencing", Need: fencingSince, Have: "an older one in the cluster"}
	ack, err := l.js.PublishMsg(ctx, m)
	api, ok := errors.AsType[*js.APIError](err)
	switch {
	case err == nil:
		// 2.9.10 finds the first of the two headers only if it stands before the
		// second, whose name begins with the same words, and the order of headers is
		// at random.
		if err := l.stream.DeleteMsg(ctx, ack.Sequence); err != nil {
			return errors.Join(unsupported, fmt.Errorf("the message that proved it is still in the stream: %w", err))
		}
		return unsupported
	case onItsWay(err):
		return nil // it does compare, with a record that is on its way
	case !ok || api.ErrorCode != js.JSErrCodeStreamWrongLastSequence:
		return err
	}
	var compared uint64
	if _, err := fmt.Sscanf(api.Description, "wrong last sequence: %d", &compared); err != nil {
		return fmt.Errorf("the server's answer %q: %w", api.Description, err)
	}
	switch {
	case compared == token:
		return nil
	case compared > token: // another has taken the node over meanwhile
		return bridge.ErrFenced
	}
	return unsupported
}

// atLeast compares the version of a server.
func atLeast(version string, major, minor int) bool {
	var haveMajor, haveMinor int
	if _, err := fmt.Sscanf(version, "%d.%d", &haveMajor, &haveMinor); err != nil {
		return false
	}
	return haveMajor > major || haveMajor == major && haveMinor >= minor
}
