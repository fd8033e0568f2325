package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/apn/ami/frame"
)

// headers are those of a message, in its order. As JSON they are an object, in
// which a header that occurs more than once is a list of its values.
type headers struct {
	frame *frame.Frame
	only  []string // if not empty: these, in this order
}

// MarshalJSON implements json.Marshaler.
func (h headers) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	put := func(key string, values []string) error {
		if len(b) > 1 {
			b = append(b, ',')
		}
		k, err := json.Marshal(key)
		if err != nil {
			return err
		}
		var v []byte
		if len(values) == 1 {
			v, err = json.Marshal(values[0])
		} else {
			v, err = json.Marshal(values)
		}
		b = append(append(append(b, k...), ':'), v...)
		return err
	}
	for _, key := range h.names() {
		values := h.frame.Values(key)
		if len(values) == 0 {
			continue
		}
		if err := put(key, values); err != nil {
			return nil, err
		}
	}
	if text := h.textLines(); len(text) > 0 {
		if err := put("", text); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// names returns each header's name once, in the spelling of its first occurrence.
func (h headers) names() (names []string) {
	if len(h.only) > 0 {
		return h.only
	}
	for key := range h.frame.All() {
		same := func(other string) bool { return strings.EqualFold(other, key) }
		if key != "" && !slices.ContainsFunc(names, same) {
			names = append(names, key)
		}
	}
	return names
}

// textLines returns the lines that have no colon.
func (h headers) textLines() (lines []string) {
	if len(h.only) > 0 {
		return nil
	}
	for key, value := range h.frame.All() {
		if key == "" {
			lines = append(lines, value)
		}
	}
	return lines
}

// values returns those of the chosen headers, several of one joined by commas.
func (h headers) values() []string {
	texts := make([]string, len(h.only))
	for i, key := range h.only {
		texts[i] = clean(strings.Join(h.frame.Values(key), ","))
	}
	return texts
}
