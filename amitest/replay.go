package amitest

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// A Chunk is one read or write of a recorded conversation. It prints without its
// bytes, which may hold secrets.
type Chunk struct {
	At     time.Duration // since the connection was made
	Server bool          // sent by Asterisk; false: by the client
	EOF    bool          // Asterisk closed the connection; Bytes is empty
	Bytes  []byte
}

// String returns who has sent how much when.
func (c Chunk) String() string {
	who := "client"
	if c.Server {
		who = "server"
	}
	return fmt.Sprintf("%v %s %d bytes", c.At, who, len(c.Bytes))
}

// Format makes every verb print what String returns.
func (c Chunk) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, c.String()) // a fmt.State has nowhere to report to
}

// WithReplay makes the server play a recording to every client in place of
// being an Asterisk. The banner, the recording's first line, comes at once.
// Wherever the recorded client sent something, the server waits until the live
// client has sent as many complete actions in all. ActionID headers whose
// whole value is one that the recorded client used for its n-th action get the
// value of the live client's n-th action. The connection ends where the
// recording has EOF, or else with the client.
//
// With timing the server also keeps the recorded pauses between what it sends;
// without, it sends as fast as it may.
//
// The actions enter the ledger as not executed. Of [Faults] those that concern
// the connection and what is written apply; a chunk counts as a message.
func WithReplay(chunks []Chunk, timing bool) Option {
	return func(c *config) {
		banner, steps := newReplay(chunks)
		c.banner = banner
		c.replay = &replay{steps: steps, timing: timing}
	}
}

// replay is shared by all connections and does not change.
type replay struct {
	steps  []step
	timing bool
}

// step is what the server sends once the client has sent the actions.
type step struct {
	at    time.Duration
	ids   []string // ActionIDs of all actions that the recorded client had sent
	bytes []byte
	eof   bool
}

// newReplay takes the banner from the recording, as it may stand behind the
// first bytes of a client that did not wait for it, and counts the client's
// actions up to each server chunk.
func newReplay(chunks []Chunk) (banner string, steps []step) {
	var sent []byte
	skip := 0
	for i, c := range chunks {
		if !c.Server && !c.EOF {
			sent = append(sent, c.Bytes...)
			continue
		}
		b := c.Bytes
		if banner == "" && !c.EOF {
			line, _, _ := bytes.Cut(joinServer(chunks[i:]), []byte("\n"))
			skip = len(line) + 1
			banner = string(bytes.TrimSuffix(line, []byte("\r")))
		}
		drop := min(skip, len(b))
		b, skip = b[drop:], skip-drop
		steps = append(steps, step{at: c.At, ids: actionIDs(sent), bytes: b, eof: c.EOF})
	}
	return banner, steps
}

func joinServer(chunks []Chunk) (all []byte) {
	for _, c := range chunks {
		if c.Server {
			all = append(all, c.Bytes...)
		}
	}
	return all
}

// actionIDs returns the ActionID of each complete action.
func actionIDs(sent []byte) (ids []string) {
	var r request
	for line := range bytes.Lines(sent) {
		text, complete := bytes.CutSuffix(line, []byte("\n"))
		text = bytes.TrimSuffix(text, []byte("\r"))
		switch {
		case !complete:
		case len(text) > 0:
			r.lines = append(r.lines, string(text))
		default:
			ids = append(ids, r.get("ActionID"))
			r = request{}
		}
	}
	return ids
}

// play sends the recording to one client.
func (p *replay) play(s *Session) {
	live := &liveClient{session: s}

	var held []byte // the begin of a line that may become an ActionID header
	last := time.Duration(0)
	for _, st := range p.steps {
		if !live.wait(len(st.ids)) {
			return
		}
		if p.timing && !sleep(s.ctx, st.at-last) {
			return
		}
		last = st.at
		if st.eof {
			_ = s.write(held)
			return
		}
		var out []byte
		out, held = rewriteIDs(append(held, st.bytes...), live.mapping(st.ids))
		if len(out) > 0 && s.write(out) != nil {
			return
		}
	}
	if s.write(held) != nil {
		return
	}
	for live.wait(len(live.ids) + 1) { // until the client goes
	}
}

// liveClient collects the actions of the connected client.
type liveClient struct {
	session *Session
	request request
	ids     []string
}

// wait waits for n actions in all.
func (l *liveClient) wait(n int) bool {
	s := l.session
	for len(l.ids) < n {
		line, ok := s.input.next()
		switch {
		case !ok:
			if s.ctx.Err() != nil || s.fill(nil, nil) != nil {
				return false
			}
		case line != "":
			l.request.add(line)
		default:
			s.actions++
			id := l.request.get("ActionID")
			s.srv.record(&Call{session: s, request: l.request, action: l.request.action(), id: id})
			l.ids = append(l.ids, id)
			l.request = request{}
		}
	}
	return true
}

// mapping returns the live ActionID for each recorded one. If the recorded
// client used one twice, the later action counts.
func (l *liveClient) mapping(recorded []string) map[string]string {
	m := make(map[string]string, len(recorded))
	for i, id := range recorded {
		if id != "" {
			m[id] = l.ids[i]
		}
	}
	return m
}

var actionIDPrefix = []byte("ActionID: ")

// rewriteIDs replaces the values of ActionID headers. It holds back the begin
// of such a header at the end of b.
func rewriteIDs(b []byte, ids map[string]string) (out, held []byte) {
	for line := range bytes.Lines(b) {
		value, is := bytes.CutPrefix(line, actionIDPrefix)
		switch {
		case line[len(line)-1] != '\n' && (is || bytes.HasPrefix(actionIDPrefix, line)):
			return out, bytes.Clone(line)
		case is:
			text := bytes.TrimRight(value, "\r\n")
			if id, ok := ids[string(text)]; ok {
				out = append(append(out, actionIDPrefix...), id...)
				value = value[len(text):]
			} else {
				out = append(out, actionIDPrefix...)
			}
			out = append(out, value...)
		default:
			out = append(out, line...)
		}
	}
	return out, nil
}
