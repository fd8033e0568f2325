package frame

import "bytes"

// Asterisk 13 and earlier answer a Command with Response: Follows, a header or
// two, the raw output with bare line feeds and blank lines in it, and an end
// mark before the delimiter (main/manager.c:action_command of those versions).
//
// A message that claims to be one and never ends would swallow all that comes
// after it. Raw output has no CR, so a blank line with an Event: or Response:
// line ended by CR LF behind it is taken for the next message.

const outputName = "Output"

// follows is the progress through one such message.
type follows struct {
	on    bool
	ended bool   // the last line was the end mark
	blank bool   // the last line was blank
	raw   uint32 // index of the first raw line; 0 while headers are read
}

// ends reports whether a line ends the message: the blank one behind the end
// mark, or the first of the next message (which is not blank).
func (f *follows) ends(line []byte, cr, blank bool) bool {
	switch {
	case blank && f.ended:
		return true
	case f.blank && cr && (bytes.HasPrefix(line, []byte("Event: ")) || bytes.HasPrefix(line, []byte("Response: "))):
		return true
	}
	f.blank = blank
	f.ended = bytes.HasSuffix(line, []byte(endOfCommand))
	return false
}

// endFollowsLine is endLine for a message that began with Response: Follows.
func (r *Reader) endFollowsLine(start, stop int) (*Frame, error) {
	line, ended := r.buf[start:stop], r.follows.ended
	if r.follows.ends(line, r.buf[stop] == '\r', start == stop) {
		if ended {
			// The end mark may stand behind output without a line feed.
			last := len(r.starts) - 1
			sentinel := start - (len(endOfCommand) + 1)
			if r.buf[start-2] == '\r' {
				sentinel--
			}
			if sentinel == int(r.starts[last])+r.message {
				r.starts = r.starts[:last]
			} else {
				sentinel++ // as if a line feed ended the output
			}
			return r.complete(sentinel), nil
		}
		r.line = start
		err := r.reject(CommandNotEnded, 0)
		r.discard = false
		r.skipTo(start)
		return nil, err
	}
	if r.follows.raw == 0 && !isFollowsHeader(line) {
		r.follows.raw = uint32(len(r.starts))
	}
	if r.follows.raw > 0 {
		r.output += r.line - start
		r.outputs++
	} else {
		r.note(line)
	}
	r.starts = append(r.starts, uint32(start-r.message))
	return nil, r.check()
}

// isFollows recognises the first line of such a message.
func isFollows(line []byte) bool {
	key, value, _ := bytes.Cut(line, []byte(":"))
	return len(key) == len("Response") && len(value) <= len(" Follows") &&
		equalFold(string(key), "Response") && equalFold(trimBlank(string(value)), "Follows")
}

// isFollowsHeader recognises the headers that Asterisk puts before raw output.
func isFollowsHeader(line []byte) bool {
	key, _, ok := bytes.Cut(line, []byte(":"))
	switch string(key) {
	case "Privilege", "ActionID", "Message":
		return ok
	}
	return false
}

// isOutput recognises a line of Command output of Asterisk 14 and later.
func isOutput(line []byte) bool { return isHeader(line, outputName) }

// isHeader recognises a line with that name.
func isHeader(line []byte, name string) bool {
	return len(line) > len(name) && line[len(name)] == ':' && equalFold(string(line[:len(name)]), name)
}
