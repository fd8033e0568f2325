package frame

import "fmt"

// A Reason says why a frame was discarded.
type Reason string

// The reasons of a FormatError.
const (
	LineTooLong       Reason = "line too long"
	TooManyHeaders    Reason = "too many headers"
	TooLarge          Reason = "frame too large"
	CommandTooLarge   Reason = "command output too large"
	BufferFull        Reason = "frame larger than the buffer"
	CommandNotEnded   Reason = "command output without its end mark"
	headMost                 = 2 << 10 // bytes of a discarded frame that its error keeps
	endOfCommand             = "--END COMMAND--"
	bannerPrefix             = "Asterisk Call Manager/"
	bannerMost               = 256 // no Asterisk banner comes near it
	bannerShownInText        = 64
)

// A FormatError reports one frame that broke a limit. It is survivable: the
// frame is discarded up to its delimiter and the next call of Reader.Next
// returns the next good one.
type FormatError struct {
	Reason Reason
	Limit  int // the limit that was broken, in the unit of its field in Limits; 0 if none was

	// Head holds the whole lines among the first 2 KiB of the frame, so that
	// its ActionID can be found; nil if it had none.
	Head *Frame
}

func (e *FormatError) Error() string {
	s := "frame: " + string(e.Reason)
	if e.Limit > 0 {
		s += fmt.Sprintf(" (limit %d)", e.Limit)
	}
	if e.Head != nil && e.Head.Kind() != Other {
		s += fmt.Sprintf(" in %s %s", e.Head.Kind(), clip(e.Head.Name()))
	}
	return s + "; discarded up to the next blank line"
}

// A BannerError reports that the peer's first line is not that of an Asterisk
// manager, or that it sent none.
type BannerError struct {
	Line string // what came, at most 256 bytes
}

func (e *BannerError) Error() string {
	return fmt.Sprintf("frame: not an Asterisk manager: it greets with %s instead of %q", clip(e.Line), bannerPrefix+"…")
}

// clip quotes foreign text for an error message and keeps it short.
func clip(s string) string {
	if len(s) > bannerShownInText {
		return fmt.Sprintf("%q…", s[:bannerShownInText])
	}
	return fmt.Sprintf("%q", s)
}
