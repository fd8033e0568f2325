package frame

import (
	"errors"
	"fmt"
)

// Limits bound what one connection may make a Reader hold. A zero field means
// its default; every other value must lie in the range that the field names,
// or Validate returns a *LimitError.
type Limits struct {
	// Line is the longest line in bytes, its line end not counted.
	// Default 256 KiB or Frame if that is less; 1 KiB to Frame. Asterisk sets
	// no bound of its own: a JSON value can be one line of any length.
	Line int

	// Headers is the largest number of lines in one frame, Command output not
	// counted. Default 32,768; 128 to 1,048,576. Whole configuration files
	// come as one frame (GetConfig), so that a few hundred would not do.
	Headers int

	// Frame is the largest frame in bytes, the blank line at its end and
	// Command output not counted. Default 1 MiB; 64 KiB to 4 MiB.
	Frame int

	// Command is the largest Command output in one frame in bytes, counted
	// with line ends, the "Output: " of each line, and the end mark of a
	// Response: Follows. Default 1 MiB; 4 KiB to 64 MiB.
	Command int

	// Buffer is the most memory the Reader takes for bytes not yet parsed.
	// Default Frame + Command + Line; at least Frame plus the delimiter of 4
	// bytes. A lower value than the default caps a Command answer earlier.
	Buffer int
}

// The ranges and defaults of Limits.
const (
	minLine, defLine               = 1 << 10, 256 << 10
	minHeaders, defHeaders, maxHdr = 128, 32 << 10, 1 << 20
	minFrame, defFrame, maxFrame   = 64 << 10, 1 << 20, 4 << 20
	minCommand, defCmd, maxCommand = 4 << 10, 1 << 20, 64 << 20
	maxBuffer                      = maxFrame + maxCommand + maxFrame
	delimiter                      = len("\r\n\r\n")
)

// A LimitError tells which field of Limits is out of its range, or which two
// contradict each other.
type LimitError struct {
	Name     string // the field
	Value    int    // what it was set to
	Min, Max int    // what it may be, given the other fields
	With     string // the field that sets the bound, and its value; empty: a constant does
}

func (e *LimitError) Error() string {
	if e.With != "" {
		return fmt.Sprintf("frame: limit %s = %d contradicts %s: it must be %d to %d", e.Name, e.Value, e.With, e.Min, e.Max)
	}
	return fmt.Sprintf("frame: limit %s = %d is out of range: it must be %d to %d", e.Name, e.Value, e.Min, e.Max)
}

// A LimitRange is what one field of Limits may be, whatever the other fields are:
// Line may be at most Frame besides, and Buffer must hold Frame and the
// delimiter.
type LimitRange struct {
	Name              string // the field
	Default, Min, Max int
}

// LimitRanges returns the ranges of all fields of Limits.
func LimitRanges() []LimitRange {
	return []LimitRange{
		{"Line", defLine, minLine, maxFrame},
		{"Headers", defHeaders, minHeaders, maxHdr},
		{"Frame", defFrame, minFrame, maxFrame},
		{"Command", defCmd, minCommand, maxCommand},
		{"Buffer", defFrame + defCmd + defLine, minFrame + delimiter, maxBuffer},
	}
}

// Validate reports every field that is out of its range: a *LimitError, or
// several of them joined.
func (l Limits) Validate() error {
	_, err := l.WithDefaults()
	return err
}

// WithDefaults returns l with every zero field replaced by its default, or what
// Validate returns.
func (l Limits) WithDefaults() (Limits, error) {
	var errs []error
	refuse := func(e LimitError) bool {
		bad := e.Value < e.Min || e.Value > e.Max
		if bad {
			errs = append(errs, &e)
		}
		return bad
	}
	set := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	set(&l.Frame, defFrame)
	if refuse(LimitError{Name: "Frame", Value: l.Frame, Min: minFrame, Max: maxFrame}) {
		l.Frame = defFrame // to judge the others by
	}
	set(&l.Line, min(defLine, l.Frame))
	line := LimitError{Name: "Line", Value: l.Line, Min: minLine, Max: l.Frame}
	if l.Line > line.Max {
		line.With = fmt.Sprintf("Frame = %d", l.Frame)
	}
	refuse(line)
	set(&l.Headers, defHeaders)
	refuse(LimitError{Name: "Headers", Value: l.Headers, Min: minHeaders, Max: maxHdr})
	set(&l.Command, defCmd)
	if refuse(LimitError{Name: "Command", Value: l.Command, Min: minCommand, Max: maxCommand}) {
		l.Command = defCmd
	}
	if l.Buffer == 0 && len(errs) == 0 {
		l.Buffer = l.Frame + l.Command + l.Line
	}
	if l.Buffer != 0 {
		buffer := LimitError{Name: "Buffer", Value: l.Buffer, Min: l.Frame + delimiter, Max: maxBuffer}
		if l.Buffer < buffer.Min {
			buffer.With = fmt.Sprintf("Frame = %d plus the delimiter of %d", l.Frame, delimiter)
		}
		refuse(buffer)
	}
	if len(errs) == 1 {
		return l, errs[0]
	}
	return l, errors.Join(errs...)
}
