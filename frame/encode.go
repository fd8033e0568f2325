package frame

import (
	"fmt"
	"strings"
)

// What Asterisk takes (main/manager.c: get_input, AST_MAX_MANHEADERS).
const (
	// MaxActionLine is the longest line of an action in bytes, CR LF not
	// counted: "Name: value". Asterisk throws a longer one away and refuses
	// the whole action.
	MaxActionLine = 1022
	// MaxActionHeaders is the largest number of headers in one action, Action
	// and ActionID counted.
	MaxActionHeaders = 128
)

// An EncodeError reports an action that would not reach Asterisk as it stands.
// Nothing was written. It never holds a value, since that may be a secret.
type EncodeError struct {
	Action string // name of the action, quoted and cut if it is the culprit
	Key    string // name of the offending header, quoted likewise; empty: the action as a whole
	Reason string // what is wrong and what is allowed
}

func (e *EncodeError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("frame: action %s: %s", e.Action, e.Reason)
	}
	return fmt.Sprintf("frame: action %s: header %s: %s", e.Action, e.Key, e.Reason)
}

// AppendAction appends one whole action to dst: its name, the fields in their
// order, and the blank line that ends it. What Asterisk would not read back as
// exactly these headers is refused with an *EncodeError, and dst is returned
// as it was: a CR, LF or NUL anywhere (they would start another header or
// another action), an empty name or one that holds a colon, a second Action
// header, a line above MaxActionLine, more than MaxActionHeaders headers.
//
// Asterisk drops blanks and control characters at the start of a value and
// keeps those at its end.
func AppendAction(dst []byte, name string, fields []Field) ([]byte, error) {
	start := len(dst)
	if reason := bad(name, "Action"); reason != "" || name == "" {
		if name == "" {
			reason = "the name is empty"
		}
		return dst, &EncodeError{Action: clip(name), Reason: reason}
	}
	if n := len(fields) + 1; n > MaxActionHeaders {
		return dst, &EncodeError{Action: clip(name), Reason: fmt.Sprintf("%d headers, Asterisk takes %d at most", n, MaxActionHeaders)}
	}
	dst = appendLine(dst, "Action", name)
	for _, f := range fields {
		reason := badKey(f.Key)
		if reason == "" {
			reason = bad(f.Value, f.Key)
		}
		if reason != "" {
			return dst[:start], &EncodeError{Action: clip(name), Key: clip(f.Key), Reason: reason}
		}
		dst = appendLine(dst, f.Key, f.Value)
	}
	return append(dst, '\r', '\n'), nil
}

func appendLine(dst []byte, key, value string) []byte {
	dst = append(dst, key...)
	dst = append(dst, ':', ' ')
	dst = append(dst, value...)
	return append(dst, '\r', '\n')
}

func badKey(key string) string {
	switch {
	case key == "":
		return "the name is empty"
	case equalFold(key, "Action"):
		return "the action already has its name"
	case strings.ContainsAny(key, "\r\n\x00:"):
		return "the name holds a CR, LF, NUL or colon"
	default:
		return ""
	}
}

func bad(value, key string) string {
	if n := len(key) + len(": ") + len(value); n > MaxActionLine {
		return fmt.Sprintf("the line has %d bytes, Asterisk takes %d at most", n, MaxActionLine)
	}
	// Three calls of IndexByte beat one ContainsAny: they are vectorised.
	if strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 || strings.IndexByte(value, 0) >= 0 {
		return "the value holds a CR, LF or NUL"
	}
	return ""
}
