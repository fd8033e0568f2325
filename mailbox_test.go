package ami

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/fair"
)

// TestMailbox compares random operations with what must hold under each policy:
// order is kept, gaps come through, nothing is delivered that has waited too
// long, a buffer that has room refuses nothing, and the drops are exactly those
// told, at any time; what is put back comes first again (E6, E7).
func TestMailbox(t *testing.T) {
	const within = time.Second
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			room := 2 + rnd.IntN(20)
			policy := []dropPolicy{dropOldest, dropNewest, dropLate}[seed%3]
			m := newMailbox(subConfig{buffer: room, policy: policy, wait: within})
			var put, out, told, last, dropped, noted uint64
			came := map[uint64]time.Time{}
			entered := map[uint64]bool{} // found room at once
			gaps, gapsOut := 0, 0
			took := func(dst []fair.Item) {
				inside := min(m.ring.Len(), len(dst))
				b := m.take(dst)
				for i, keep := 0, len(b.events)*rnd.IntN(3)/2; len(b.events) > keep; i++ {
					e := b.next()
					require.Greater(t, e.Seq, last)
					last = e.Seq
					told += e.Lost
					if g, gap := e.Of.Gap(); gap {
						gapsOut += int(g.To - g.From)
						continue
					}
					out++
					if policy == dropLate && i >= inside && !entered[e.Seq] {
						require.LessOrEqual(t, time.Since(came[e.Seq]), within)
					}
				}
				for i := range b.events {
					entered[b.events[i].Seq] = true
				}
				if len(b.events) > 0 {
					b.events = slices.Clone(b.events)
					m.putBack(b)
				}
			}
			check := func() {
				require.GreaterOrEqual(t, m.dropped, dropped, "never less than before")
				dropped = m.dropped
				inside := m.carry + m.ring.Untold() + m.waiting.Untold()
				for _, b := range m.returned {
					for _, e := range b.events {
						inside += e.Lost
					}
				}
				require.Equal(t, m.dropped, told+inside)
				if m.waiting.Len() > 0 {
					require.True(t, m.ring.Full())
				}
			}
			for seq := uint64(1); seq < 400; seq++ {
				switch rnd.IntN(12) {
				case 0:
					gaps++
					m.put(new(fair.ItemOf(event.OfGap("a", seq, time.Now(), event.Gap{From: uint64(gaps), To: uint64(gaps) + 1}))))
				case 1:
					took(make([]fair.Item, 1+rnd.IntN(32)))
				case 2:
					time.Sleep(time.Duration(rnd.IntN(int(within))))
				default:
					fits := !m.ring.Full() && m.waiting.Len() == 0
					before := m.dropped
					came[seq], entered[seq] = time.Now(), fits
					m.put(new(fair.ItemOf(event.Event{Node: "a", Seq: seq, Frame: emptyFrame})))
					put++
					if fits {
						require.Equal(t, before, m.dropped)
					}
				}
				check()
				if rnd.IntN(20) == 0 {
					_, n := m.losses()
					noted += n
				}
			}
			for m.len() > 0 {
				took(make([]fair.Item, 7))
				check()
			}
			_, n := m.losses()
			require.Equal(t, m.dropped, noted+n)
			require.Equal(t, put, out+m.dropped)
			require.Equal(t, m.dropped, told+m.carry)
			require.Equal(t, gaps, gapsOut)
		})
	}
}
