// Package recording reads and writes what an Asterisk server sent, with times, so
// that it can be played back: [amitest.Server.Play] does, "ami record" and "ami
// replay" work with the same files.
//
// # The format
//
// A recording is text as far as the messages in it are. Its first line is a JSON
// object: the version of the format, 1, the node, the greeting of its server, and
// when the recording began. Then come records. Each begins with a line "@", the
// milliseconds since the beginning with three decimals, what it is, and more:
//
//	{"ami_recording":1,"node":"pbx1","banner":"Asterisk Call Manager/11.0.0","start":"2026-07-01T09:14:03.12Z"}
//	@ 412.031 event 49
//	Event: Hangup
//	Privilege: call,all
//	Cause: 17
//
//	@ 1000.250 lost 12
//	@ 1004.100 gap {"from":1,"to":2,"down_ms":812.4,"reason":"EOF"}
//	@ 60000.000 end {"events":1,"lost":12,"gaps":1}
//
// An event is followed by as many bytes as its line says: one message as it was
// received, with the blank line that ends it. Asterisk's line ends are CR LF; those
// of the format itself are LF alone. "lost" counts events that were received and not
// recorded, "gap" tells that the node was away. "end" is the last line of a recording
// that ended in order. One that was cut off, in the middle of a record or between
// two, is good up to there; see [ErrCut].
package recording

import (
	"errors"
	"fmt"
	"time"

	"github.com/apn/ami/frame"
)

// version is that of the format.
const version = 1

// What a reader takes.
const (
	mostLine  = 64 << 10 // bytes of a line of the format
	mostEvent = 16 << 20 // bytes of a message; no limit of a client is higher
)

// A Header tells of what there is a recording.
type Header struct {
	Version int       `json:"ami_recording"`
	Node    string    `json:"node"`             // key of the node
	Banner  string    `json:"banner,omitempty"` // greeting of its server, without line end
	Start   time.Time `json:"start,omitzero"`
}

// A Record is one entry of a recording: exactly one of Event, Gap, Lost and End is
// set.
type Record struct {
	At    time.Duration // since the start, to the microsecond
	Event *frame.Frame  // a message
	Gap   *Gap          // the node was away
	Lost  uint64        // so many events were not recorded here: the recorder was too slow
	End   *End          // the recording ended in order
}

// A Gap tells that the node was away: what Asterisk sent meanwhile nobody received.
type Gap struct {
	From   uint64  `json:"from"` // number of the session that ended
	To     uint64  `json:"to"`   // and of the one that is up now; 0 if none will be
	DownMS float64 `json:"down_ms"`
	Reason string  `json:"reason"`
}

// An End sums a recording up.
type End struct {
	Events    uint64 `json:"events"`
	Lost      uint64 `json:"lost"`                // events received and not recorded
	Gaps      uint64 `json:"gaps"`                // times that the node was away
	Discarded uint64 `json:"discarded,omitempty"` // malformed messages, which are no events
}

// A FormatError reports what is no recording, or where it stops to be one.
type FormatError struct {
	Line   int   // from 1
	Offset int64 // of its first byte
	Reason string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("recording: line %d (byte %d): %s", e.Line, e.Offset, e.Reason)
}

// ErrCut tells that a recording stops without its end mark, since the recorder was
// killed, or could not write any more. All records before are whole.
var ErrCut = errors.New("recording: cut off: it has no end mark")
