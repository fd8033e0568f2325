package amitest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/apn/ami/frame"
)

// parties of the invented calls.
var parties = []struct{ number, name string }{
	{"2001", "Alice Ekman"},
	{"2002", "Bob Ferrari"},
	{"2003", "Chloé Martin"},
	{"2004", "Dmitri Orlov"},
	{"2005", "Esra Yıldız"},
	{"2006", "Farid Amiri"},
	{"2007", "Greta Lind"},
	{"2008", "Hana Sato"},
}

// LiveCalls lets invented calls begin, perSecond on average, until ctx or the
// server ends, and returns when the last has ended. Each is dialled, rings, is
// answered or not, talks for some seconds and hangs up, with the events of
// Asterisk's call flow: about 16 of them. CoreShowChannels, Status and the
// command "core show channels" report its channels while it lives.
func (srv *Server) LiveCalls(ctx context.Context, perSecond float64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(srv.ctx, cancel)()
	var calls sync.WaitGroup
	defer calls.Wait()
	if perSecond <= 0 {
		<-ctx.Done()
		return
	}
	random := srv.cfg.random()
	for n := uint64(0); ; n++ {
		call := &liveCall{pbx: srv.pbx, random: rand.New(rand.NewPCG(srv.cfg.seed, n))}
		calls.Go(func() { call.run(ctx) })
		// Between half and one and a half times the mean.
		pause := (0.5 + random.Float64()) / perSecond
		if !sleep(ctx, time.Duration(pause*float64(time.Second))) {
			return
		}
	}
}

// liveCall is one invented call, and its own goroutine.
type liveCall struct {
	pbx            *pbx
	random         *rand.Rand
	caller, callee channel
}

// run plays the call. When ctx ends, it hangs up at once.
func (l *liveCall) run(ctx context.Context) {
	from := l.random.IntN(len(parties))
	to := (from + 1 + l.random.IntN(len(parties)-1)) % len(parties)
	a, b := parties[from], parties[to]
	p := l.pbx
	l.caller = p.add(channel{
		name: "PJSIP/" + a.number, number: a.number, caller: a.name,
		context: "default", exten: b.number, priority: 1,
	})
	l.state(&l.caller, stateRing)
	p.newExten(l.caller.name, "Dial", "PJSIP/"+b.number+",30")
	l.callee = p.add(channel{
		name: "PJSIP/" + b.number, number: b.number, caller: b.name,
		connNumber: a.number, connName: a.name,
		context: "default", priority: 1, linkedid: l.caller.linkedid, app: "AppDial", data: "(Outgoing Line)",
	})
	l.dialEvent("DialBegin", F("DialString", b.number))
	l.state(&l.callee, stateRinging)
	answered := l.pause(ctx, 500*time.Millisecond, 3*time.Second)
	if !answered || l.random.IntN(5) == 0 {
		l.dialEvent("DialEnd", F("DialStatus", "NOANSWER"))
		l.hangup(19)
		return
	}
	l.talk(ctx)
}

// talk is the answered part of the call.
func (l *liveCall) talk(ctx context.Context) {
	p := l.pbx
	l.state(&l.callee, stateUp)
	l.state(&l.caller, stateUp)
	l.dialEvent("DialEnd", F("DialStatus", "ANSWER"))
	bridge := fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", l.random.Uint32(), l.random.IntN(1<<16),
		0x4000|l.random.IntN(1<<12), 0x8000|l.random.IntN(1<<14), l.random.Int64N(1<<48))
	p.srv.Broadcast("BridgeCreate", ClassCall, bridgeFields(bridge, 0)...)
	for i, c := range []*channel{&l.callee, &l.caller} {
		c.bridge = bridge
		p.change(c.name, func(c *channel) { c.bridge = bridge })
		p.srv.Broadcast("BridgeEnter", ClassCall, append(bridgeFields(bridge, i+1), c.snapshot("")...)...)
	}
	l.pause(ctx, 2*time.Second, 8*time.Second)
	for i, c := range []*channel{&l.callee, &l.caller} {
		p.srv.Broadcast("BridgeLeave", ClassCall, append(bridgeFields(bridge, 1-i), c.snapshot("")...)...)
	}
	p.srv.Broadcast("BridgeDestroy", ClassCall, bridgeFields(bridge, 0)...)
	l.hangup(16)
}

func (l *liveCall) hangup(cause int) {
	l.pbx.hangup(l.callee.name, cause)
	l.pbx.hangup(l.caller.name, cause)
}

// state moves one side of the call.
func (l *liveCall) state(side *channel, state int) {
	side.state = state
	l.pbx.newState(side.name, state)
}

// pause waits a random time and tells whether the call goes on: neither ctx
// has ended nor has somebody hung up a side.
func (l *liveCall) pause(ctx context.Context, low, high time.Duration) bool {
	t := time.NewTimer(low + time.Duration(l.random.Int64N(int64(high-low))))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-l.caller.gone:
	case <-l.callee.gone:
	}
	return false
}

func (l *liveCall) dialEvent(name string, last frame.Field) {
	fields := append(l.caller.snapshot(""), l.callee.snapshot("Dest")...)
	l.pbx.srv.Broadcast(name, ClassCall, append(fields, last)...)
}

func bridgeFields(id string, channels int) []frame.Field {
	return []frame.Field{
		F("BridgeUniqueid", id), F("BridgeType", "basic"), F("BridgeTechnology", "simple_bridge"),
		F("BridgeCreator", "<unknown>"), F("BridgeName", "<unknown>"),
		number("BridgeNumChannels", channels), F("BridgeVideoSourceMode", "none"),
	}
}
