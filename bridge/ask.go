package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/apn/ami/action"
	"github.com/apn/ami/frame"
)

// requestMost is the largest request in bytes. An action is smaller: it has 128
// lines of 1,022 bytes at most.
const requestMost = 256 << 10

// timeoutMost is the longest time that a request may give an action.
const timeoutMost = 24 * time.Hour

// An ask is a request as JSON:
//
//	{"action":"Originate","headers":{"Channel":"PJSIP/2001","Variable":["a=1","b=2"]},"timeout_ms":30000,"node":"pbx1"}
type ask struct {
	action  string
	headers []frame.Field // in the order of the JSON
	timeout time.Duration // 0: that of the library
	node    string
}

// parseAsk reads a request. It is strict: what is written twice, or has no
// meaning, is a mistake of the requester that must not become an action.
func parseAsk(data []byte) (*ask, error) {
	if len(data) > requestMost {
		return nil, &askError{code: codeTooLarge, text: fmt.Sprintf("the request has %d bytes, %d are allowed", len(data), requestMost)}
	}
	if !utf8.Valid(data) {
		return nil, malformed("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	a := &ask{}
	err := object(d, "", func(key string) error {
		switch key {
		case "action":
			return text(d, key, &a.action)
		case "node":
			return text(d, key, &a.node)
		case "timeout_ms":
			return a.time(d)
		case "headers":
			return a.fields(d)
		default:
			return malformed("%q has no meaning; action, headers, timeout_ms and node have", clip(key))
		}
	})
	if err != nil {
		return nil, asAskError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed("more follows behind the object")
	}
	if a.action == "" {
		return nil, malformed("action is required")
	}
	return a, nil
}

func (a *ask) time(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	n, _ := t.(json.Number) // "" is no number either
	ms, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || ms < 1 || ms > timeoutMost.Milliseconds() {
		return malformed("timeout_ms must be a whole number from 1 to %d", timeoutMost.Milliseconds())
	}
	a.timeout = time.Duration(ms) * time.Millisecond
	return nil
}

// fields reads the headers: a text, number or boolean each, or a list of them for
// one that is to be sent more than once.
func (a *ask) fields(d *json.Decoder) error {
	return object(d, "headers: ", func(key string) error {
		for _, f := range a.headers {
			if sameName(f.Key, key) {
				return malformed("headers: %q occurs twice; give a list of its values", clip(key))
			}
		}
		t, err := d.Token()
		if err != nil {
			return err
		}
		if t != json.Delim('[') {
			return a.field(key, t)
		}
		for d.More() {
			if t, err = d.Token(); err != nil {
				return err
			}
			if err := a.field(key, t); err != nil {
				return err
			}
		}
		_, err = d.Token() // the end of the list
		return err
	})
}

func (a *ask) field(key string, t json.Token) error {
	var value string
	switch v := t.(type) {
	case string:
		value = v
	case json.Number:
		value = v.String()
	case bool:
		value = strconv.FormatBool(v)
	default:
		return malformed("headers: %q must be a text, or a list of texts", clip(key))
	}
	if len(a.headers) >= frame.MaxActionHeaders {
		return malformed("headers: Asterisk takes %d at most", frame.MaxActionHeaders)
	}
	a.headers = append(a.headers, frame.Field{Key: key, Value: value})
	return nil
}

// build makes the action.
func (a *ask) build() (action.Generic, error) {
	name, act := a.action, action.Custom(a.action)
	if facts, known := action.Lookup(name); known {
		name = facts.Name
		act = action.New(name)
	}
	fields := append([]frame.Field{{Key: "ActionID", Value: "x"}}, a.headers...)
	for _, f := range a.headers {
		if sameName(f.Key, "ActionID") {
			return act, malformed("headers: ActionID is set by the bridge: it must be unique")
		}
		act = act.With(f.Key, f.Value)
	}
	if _, err := frame.AppendAction(nil, name, fields); err != nil { // before a node is chosen
		return act, malformed("%v", err)
	}
	return act, nil
}

// object reads an object whose names are unique. each reads the value of one.
func object(d *json.Decoder, where string, each func(key string) error) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return malformed("%smust be an object", where)
	}
	seen := make(map[string]bool)
	for d.More() {
		if t, err = d.Token(); err != nil {
			return err
		}
		key, _ := t.(string) // the decoder takes nothing else here
		if seen[key] {
			return malformed("%s%q occurs twice", where, clip(key))
		}
		seen[key] = true
		if err := each(key); err != nil {
			return err
		}
	}
	_, err = d.Token() // the end of the object
	return err
}

func text(d *json.Decoder, key string, to *string) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	s, ok := t.(string)
	if !ok {
		return malformed("%s must be a text", key)
	}
	*to = s
	return nil
}

// clip bounds what an error repeats of a request.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// An askError is what is wrong with a request.
type askError struct {
	code     code
	text     string
	executed bool // Asterisk has done it all the same
}

func (e *askError) Error() string { return e.text }

func malformed(format string, args ...any) *askError {
	return &askError{code: codeBadRequest, text: fmt.Sprintf(format, args...)}
}

// asAskError makes one of what the decoder says of malformed JSON.
func asAskError(err error) *askError {
	if e, ok := errors.AsType[*askError](err); ok {
		return e
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("the JSON ends too early")
	}
	return malformed("no JSON: %v", err)
}
