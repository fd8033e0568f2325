package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/apn/ami/bridge"
)

// A takeover is the payload of a record of KindTakeover.
type takeover struct {
	Kind  string    `json:"kind"`
	ID    string    `json:"id"`
	Node  string    `json:"node"`
	Epoch uint64    `json:"epoch"`
	Seq   uint64    `json:"seq"`
	Time  time.Time `json:"time"`
	Gap   struct {
		From   uint64  `json:"from"`
		To     uint64  `json:"to"`
		DownMS float64 `json:"down_ms"` // since the last record of the node, 0 if there is none
		Reason string  `json:"reason"`
		After  string  `json:"after,omitempty"` // the ID of that
	} `json:"gap"`
}

// Fence implements bridge.Fencer. The token is the takeover's place in the stream.
func (b *Broker) Fence(ctx context.Context, t bridge.Takeover) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	if _, err := b.ensure(ctx); err != nil {
		return 0, err
	}
	s, err := b.js.Stream(ctx, b.options.Stream)
	if err != nil {
		b.forget()
		return 0, err
	}
	r := bridge.Record{Instance: t.Instance, Node: t.Node, Kind: bridge.KindTakeover, Name: "Takeover"}
	p := takeover{Kind: r.Kind.String(), ID: r.ID(), Node: t.Node, Time: t.Time.UTC()}
	p.Gap.Reason = "another process holds the node from here on: " + t.Instance
	last, err := s.GetLastMsgForSubject(ctx, b.options.Prefix+".events."+token(t.Node)+".>")
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
	case err != nil:
		return 0, err
	default:
		p.Gap.After = last.Header.Get(nats.MsgIdHdr)
		p.Gap.DownMS = float64(max(t.Time.Sub(last.Time), 0).Microseconds()) / 1000
	}
	if r.Payload, err = json.Marshal(p); err != nil {
		return 0, err
	}
	ack, err := b.js.PublishMsg(ctx, b.message(&r, false), jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// PutState implements bridge.StateStore.
func (b *Broker) PutState(ctx context.Context, s bridge.NodeState) error {
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	kv, err := b.bucket(ctx)
	if err != nil {
		return err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if _, err = kv.Put(ctx, token(s.Node), data); err != nil {
		b.forget()
	}
	return err
}
