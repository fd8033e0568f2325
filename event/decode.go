package event

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apn/ami/frame"
)

// A decoder goes over the headers of one event, from the last to the first; see
// DecodeEvent. It lives on the stack. Of headers with the same name the first
// stays, as in Get: what users can put into an event stands behind what Asterisk
// says of the channel (UserEvent, or a value with a line end in it).
type decoder struct {
	frame      *frame.Frame
	lines      frame.Cursor
	key, value string
	invalid    []FieldError
}

func decode(e Event) decoder { return decoder{frame: e.Frame, lines: e.Frame.Backward()} }

// next goes to the next header that has a name. That of the event is none of them.
func (d *decoder) next() bool {
	for d.lines.Left() > 1 {
		if d.key, d.value = d.lines.Prev(); d.key != "" {
			return true
		}
	}
	return false
}

// done returns the headers that failed, in the order of the event.
func (d *decoder) done() []FieldError {
	slices.Reverse(d.invalid)
	return d.invalid
}

func (d *decoder) fail(want string) {
	d.invalid = append(d.invalid, FieldError{Event: d.frame.Name(), Key: d.key, Value: d.value, Want: want})
}

// number takes a whole number.
func (d *decoder) number() int {
	n, err := strconv.Atoi(d.value)
	if err != nil {
		d.fail("a whole number")
		return 0
	}
	return n
}

// float takes a number with or without a point. "nan" and "inf" are none: JSON
// does not take them.
func (d *decoder) float() float64 {
	n, err := strconv.ParseFloat(d.value, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		d.fail("a number")
		return 0
	}
	return n
}

// yes takes every spelling of yes and no that Asterisk has.
func (d *decoder) yes() bool {
	switch d.value {
	case "Yes", "yes", "1", "on", "True", "true", "Y", "Enabled":
		return true
	case "No", "no", "0", "off", "False", "false", "N", "Disabled":
		return false
	}
	d.fail("yes or no")
	return false
}

// duration takes a whole number of units.
func (d *decoder) duration(unit time.Duration) time.Duration {
	n, err := strconv.ParseInt(d.value, 10, 64)
	if limit := int64(math.MaxInt64 / unit); err != nil || n > limit || n < -limit {
		d.fail("a number of " + unit.String())
		return 0
	}
	return time.Duration(n) * unit
}

// lastSecond is the last that JSON takes as a time: the end of the year 9999.
const lastSecond = 253402300799

// timestamp takes seconds since 1970, with or without a fraction. 0 is no time.
func (d *decoder) timestamp() time.Time {
	whole, fraction, _ := strings.Cut(d.value, ".")
	s, err := strconv.ParseUint(whole, 10, 64)
	var us uint64
	if err == nil && fraction != "" {
		us, err = strconv.ParseUint((fraction + "000000")[:6], 10, 64)
	}
	switch {
	case err != nil || s > lastSecond:
		d.fail("a time in seconds since 1970")
		return time.Time{}
	case s == 0 && us == 0:
		return time.Time{}
	}
	return time.Unix(int64(s), int64(us)*1000)
}

// text undoes C escapes (main/utils.c:ast_escape_c), for the headers that have
// them.
func (d *decoder) text() string {
	if strings.IndexByte(d.value, '\\') < 0 {
		return d.value
	}
	return unescape(d.value)
}

// variable takes name=value.
func variable(s string) Variable {
	name, value, _ := strings.Cut(s, "=")
	return Variable{Name: name, Value: value}
}

func unescape(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			if at := strings.IndexByte(`abfnrtv\'"?`, s[i+1]); at >= 0 {
				c = "\a\b\f\n\r\t\v\\'\"?"[at]
				i++
			}
		}
		b = append(b, c)
	}
	return string(b)
}

// A Variable is a channel variable that Asterisk shows with events because its
// name is in channelvars of manager.conf.
//
// It prints and marshals without its value, which may be a secret.
type Variable struct{ Name, Value string }

// String returns the name, and a mark in place of the value.
func (v Variable) String() string { return v.Name + "=[redacted]" }

// Format makes every verb print what String returns.
func (v Variable) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, v.String()) // a fmt.State has nowhere to report to
}

// MarshalText returns what String returns, for JSON and slog.
func (v Variable) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// An RTCPReport is one block of a report on a stream that was received.
type RTCPReport struct {
	SourceSSRC           string
	FractionLost         int
	CumulativeLost       int
	HighestSequence      int
	SequenceNumberCycles int
	IAJitter             int
	LSR                  int
	DLSR                 float64
}

// maxReports is what the header of an RTCP packet can count.
const maxReports = 31

// report takes a header of report block n: Report{n}SourceSSRC and the like.
func (d *decoder) report(reports *[]RTCPReport) bool {
	key, ok := strings.CutPrefix(d.key, "Report")
	if !ok {
		return false
	}
	digits := 0
	for digits < len(key) && key[digits] >= '0' && key[digits] <= '9' {
		digits++
	}
	n, err := strconv.Atoi(key[:digits])
	if err != nil || n >= maxReports {
		return false
	}
	for len(*reports) <= n {
		*reports = append(*reports, RTCPReport{})
	}
	r := &(*reports)[n]
	switch key[digits:] {
	case "SourceSSRC":
		r.SourceSSRC = d.value
	case "FractionLost":
		r.FractionLost = d.number()
	case "CumulativeLost":
		r.CumulativeLost = d.number()
	case "HighestSequence":
		r.HighestSequence = d.number()
	case "SequenceNumberCycles":
		r.SequenceNumberCycles = d.number()
	case "IAJitter":
		r.IAJitter = d.number()
	case "LSR":
		r.LSR = d.number()
	case "DLSR":
		r.DLSR = d.float()
	}
	return true
}
