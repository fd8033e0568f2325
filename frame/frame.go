package frame

import (
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"unsafe"
)

// Kind tells what a frame is, by its first header.
type Kind uint8

// The kinds of a frame.
const (
	Other    Kind = iota // text only, or headers that start with neither of the two
	Response             // starts with Response: the answer to an action
	Event                // starts with Event: a broadcast, or an item of a list
)

// String returns "response", "event" or "other".
func (k Kind) String() string {
	switch k {
	case Response:
		return "response"
	case Event:
		return "event"
	default:
		return "other"
	}
}

// The first header of an event and of a response, and what tells to which action
// a frame belongs.
const (
	eventName    = "Event"
	responseName = "Response"
	actionIDName = "ActionID"
)

// A Frame is one message from Asterisk. It is immutable, may be used by many
// goroutines and kept for as long as anybody likes: it pins its own bytes and
// nothing else.
//
// A frame prints (%v, %+v, %#v, slog) as its kind, name and size only: its
// headers may hold secrets (AuthDetail of PJSIPShowAuths carries passwords in
// clear text). Read them with Get, Values and All, or as bytes with Wire.
//
// The zero Frame is an empty one. A Frame must not be copied: a copy panics when
// it is used, unless it is one of the zero Frame. Compare two by their Wire.
type Frame struct {
	_ noCopy

	// self is the address of the frame, as a number: behind it in the same memory
	// stand the message as received, delimiter included, and a table: where in the
	// message every line begins, and at the end the delimiter, in width bytes each.
	// A copy would have something else behind it, and is known by its address.
	// There is no pointer here, so that the collector has nothing to follow.
	self uintptr

	size          uint32 // of the message
	count         uint32 // lines
	raw           uint32 // index of the first raw output line of a Response: Follows; 0 = none
	id            uint32 // index of the first ActionID, and 1; 0 = none
	name, nameEnd uint32 // the value of the first header, in the message
	kind          Kind
	width         uint8 // narrow or wide
}

const frameSize = int(unsafe.Sizeof(Frame{}))

// noCopy makes go vet complain about copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// Bytes of an offset: in a message of up to 64 KiB, and in a larger one.
const (
	narrow = 2
	wide   = 4
)

// Kind classifies the frame by its first header. Asterisk puts Response into
// events and Event into list items (OriginateResponse, ResourceListDetail), so
// that a later header says nothing.
func (f *Frame) Kind() Kind { return f.kind }

// Name returns the value of the first header: the name of an event ("Hangup"),
// the outcome of a response ("Success", "Error", "Follows", "Goodbye").
// It is empty for a frame that is only text.
func (f *Frame) Name() string { return f.Wire()[f.name:f.nameEnd] }

// ActionID is Get("ActionID") without the search.
func (f *Frame) ActionID() string {
	if f.id == 0 {
		return ""
	}
	_, v := f.header(int(f.id) - 1)
	return v
}

// Get returns the value of the first header named key, whatever the case of
// either, or "" if there is none.
func (f *Frame) Get(key string) string {
	v, _ := f.Lookup(key)
	return v
}

// Lookup is Get that tells an empty value from an absent header.
func (f *Frame) Lookup(key string) (value string, ok bool) {
	if f.width == narrow && f.raw == 0 && key != "" {
		return lookup(f.memory(), f.size, key)
	}
	for i := range f.Len() {
		if v, ok := f.match(i, key); ok {
			return v, true
		}
	}
	return "", false
}

// Values returns the values of all headers named key in wire order, nil if
// there is none. The output lines of a Command are Values("Output") in both of
// Asterisk's forms: Output headers (14 and later) and the raw lines after
// Response: Follows (13 and earlier).
func (f *Frame) Values(key string) []string {
	var values []string
	for i := range f.Len() {
		v, ok := f.match(i, key)
		if !ok {
			continue
		}
		if len(values) == cap(values) && len(values) >= 16 { // most of the rest may be alike: Command output
			values = slices.Grow(values, f.Len()-i)
		}
		values = append(values, v)
	}
	return values
}

// All yields name and value of every line in wire order and wire spelling. A
// line without a colon has the empty name and the whole line as its value, a
// raw output line of Response: Follows the name "Output".
func (f *Frame) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := range f.Len() {
			if !yield(f.header(i)) {
				return
			}
		}
	}
}

// At returns name and value of line i, 0 to Len()-1, as All yields them. It
// panics if there is no such line.
func (f *Frame) At(i int) (key, value string) {
	if i < 0 || i >= f.Len() { // in front of the table is text, which could be taken for offsets
		panic("frame: no such line")
	}
	return f.header(i)
}

// Len returns the number of lines, repeated headers counted each.
func (f *Frame) Len() int { return int(f.count) }

// Wire returns the message byte for byte as it was received, with its
// delimiter. Blank lines that strayed before it are not part of it. Mind that
// it can hold secrets.
func (f *Frame) Wire() string { return f.behind(int(f.size)) }

// memory returns the message and the table.
func (f *Frame) memory() string { return f.behind(int(f.size) + int(f.width)*int(f.count+1)) }

// behind returns n bytes of what is behind the frame. Nobody writes to them any more.
func (f *Frame) behind(n int) string {
	if f.self != uintptr(unsafe.Pointer(f)) {
		if f.size == 0 {
			return "" // the zero Frame has nothing
		}
		panic("frame: a copy of a Frame is used")
	}
	return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(f), frameSize)), n)
}

// String returns kind, name and number of headers, and no value of any other
// header.
func (f *Frame) String() string {
	if f == nil {
		return "<nil frame>"
	}
	if f.kind == Other {
		return fmt.Sprintf("text (%d lines)", f.Len())
	}
	return fmt.Sprintf("%s %s (%d headers)", f.kind, clip(f.Name()), f.Len())
}

// Format makes every verb print what String returns, %#v included, which would
// show the insides otherwise.
func (f *Frame) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, f.String()) // a fmt.State has nowhere to report to
}

// LogValue returns what String returns.
func (f *Frame) LogValue() slog.Value { return slog.StringValue(f.String()) }

// span returns where in text line i begins and where the next one does.
func (f *Frame) span(i int) (start, end int) {
	if f.width == wide {
		t := f.memory()[int(f.size)+wide*i:]
		_ = t[7]
		return int(t[0]) | int(t[1])<<8 | int(t[2])<<16 | int(t[3])<<24,
			int(t[4]) | int(t[5])<<8 | int(t[6])<<16 | int(t[7])<<24
	}
	t := f.memory()[int(f.size)+narrow*i:]
	_ = t[3]
	both := uint32(t[0]) | uint32(t[1])<<8 | uint32(t[2])<<16 | uint32(t[3])<<24 // one load
	return int(both & 0xffff), int(both >> 16)
}

// line returns line i without its line end.
func (f *Frame) line(i int) string {
	start, end := f.span(i)
	return trimCR(f.Wire()[start : end-1])
}

// header cuts line i at its first colon and drops one blank after it: more of
// them belong to the value, as in the indented lines of Command output.
func (f *Frame) header(i int) (key, value string) {
	line := f.line(i)
	if f.raw > 0 && i >= int(f.raw) {
		return outputName, line
	}
	key, value, ok := strings.Cut(line, ":")
	if !ok {
		return "", line
	}
	return key, trimBlank(value)
}

// match returns the value of line i if its name is key. It looks at the colon
// first, which spares the comparison for nearly every other line.
func (f *Frame) match(i int, key string) (string, bool) {
	if (f.raw > 0 && i >= int(f.raw)) || key == "" {
		k, v := f.header(i)
		return v, equalFold(k, key)
	}
	start, end := f.span(i)
	line := f.Wire()[start:end]
	if len(key) >= len(line) || line[len(key)] != ':' {
		return "", false
	}
	return valueOf(line, key)
}

// lookup is Lookup in the memory of a frame, nearly any, that has no raw lines and
// fewer than 64 KiB. It goes over the table without asking for each line anew.
func lookup(memory string, size uint32, key string) (value string, ok bool) {
	text, table := memory[:size], memory[size:]
	end := offset(table, 0)
	for i := narrow; i+1 < len(table); i += narrow {
		start := end
		end = offset(table, i)
		if end-start <= len(key) || text[start+len(key)] != ':' {
			continue
		}
		if v, ok := valueOf(text[start:end], key); ok {
			return v, true
		}
	}
	return "", false
}

// offset reads one of a narrow table.
func offset(table string, at int) int { return int(table[at]) | int(table[at+1])<<8 }

// valueOf returns the value of a line, line feed included, if its name is key. The
// line has a colon where the name would end.
func valueOf(line, key string) (string, bool) {
	if !equalFold(line[:len(key)], key) || strings.IndexByte(key, ':') >= 0 { // the name would end at that colon
		return "", false
	}
	return trimBlank(trimCR(line[len(key)+1 : len(line)-1])), true
}

func trimBlank(s string) string {
	if s != "" && s[0] == ' ' {
		return s[1:]
	}
	return s
}

func trimCR(s string) string {
	if s != "" && s[len(s)-1] == '\r' {
		return s[:len(s)-1]
	}
	return s
}

// equalFold compares two header names. Asterisk compares ASCII only
// (strcasecmp), and strings.EqualFold would take the Kelvin sign for a k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z' {
			return false
		}
	}
	return true
}
