package action

import (
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// IAXpeers lists the IAX2 peers, one PeerEntry each
// (channels/chan_iax2.c:manager_iax2_show_peers). Privilege system or
// reporting. The items carry no ActionID (recording 3-iaxpeers).
type IAXpeers struct{}

// Name implements Action.
func (IAXpeers) Name() string { return "IAXpeers" }

// AppendFields implements Action.
func (IAXpeers) AppendFields(dst []frame.Field) ([]frame.Field, error) { return dst, nil }

// Strategy implements Action.
func (IAXpeers) Strategy() strategy.Strategy {
	s := strategy.ListOf("PeerlistComplete")
	s.NoActionID = []string{"PeerEntry"}
	return s
}

// IAXnetstats shows the statistics of the IAX2 calls as rows of text
// (channels/chan_iax2.c:manager_iax2_show_netstats). Privilege system or
// reporting. Asterisk answers without Response and ActionID, with a blank line
// alone if there is no call (recording 3-iaxnetstats).
type IAXnetstats struct{}

// Name implements Action.
func (IAXnetstats) Name() string { return "IAXnetstats" }

// AppendFields implements Action.
func (IAXnetstats) AppendFields(dst []frame.Field) ([]frame.Field, error) { return dst, nil }

// Strategy implements Action.
func (IAXnetstats) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Bare} }
