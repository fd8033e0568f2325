package action

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apn/ami/frame"
)

// With returns a that sends headers as well, given as name, value, name, value.
// It is for what the fields of a cannot say: an optional one that is zero is not
// sent, and this sends it,
//
//	action.With(action.QueueAdd{Queue: "support", Interface: "PJSIP/2001"}, "Penalty", "0")
//
// and headers that are newer than this library. A header that a itself sends is
// refused by Send, as Asterisk takes the first, and so are a name without a value
// and a header by which a completes in another way, Async and Timeout of an
// Originate: set the field. The rest of a stays as it is.
func With[R any](a Typed[R], headers ...string) Typed[R] {
	return extended[R]{a, slices.Clone(headers)}
}

// extended prints without the values of its headers.
type extended[R any] struct {
	Typed[R]
	headers []string
}

// AppendFields implements Action.
func (e extended[R]) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	before := len(dst)
	dst, err := e.Typed.AppendFields(dst)
	if err != nil {
		return nil, err
	}
	own := dst[before:]
	f := fields{action: e.Name(), dst: dst}
	for h := range slices.Chunk(e.headers, 2) {
		if len(h) < 2 {
			f.invalid("headers", "end with a name that has no value")
			break
		}
		if slices.ContainsFunc(own, func(o frame.Field) bool { return strings.EqualFold(o.Key, h[0]) }) {
			f.invalid(h[0], "is sent by the action itself")
		}
		if decides(e.Name(), h[0]) {
			f.invalid(h[0], "decides how the action completes: set its field")
		}
		f.add(h[0], h[1])
	}
	return f.done()
}

// decides reports whether strategy or result depend on an optional header, which
// then must be in its field.
func decides(action, header string) bool {
	return action == "Originate" && (strings.EqualFold(header, "Async") || strings.EqualFold(header, "Timeout"))
}

// String returns the name and how many headers were added.
func (e extended[R]) String() string {
	return fmt.Sprintf("%s with %d more headers", e.Name(), len(e.headers)/2)
}

// Format makes every verb print what String returns.
func (e extended[R]) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, e.String()) // a fmt.State has nowhere to report to
}
