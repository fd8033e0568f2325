package catalog

import (
	"bytes"
	_ "embed" // the data
	"encoding/json"
	"fmt"
)

//go:embed overlay.json
var overlayJSON []byte

// An overlay says what differs from asterisk.json. Every entry names its source
// in Why: a recording, or a file and function of Asterisk.
type overlay struct {
	Events  map[string]change `json:"events"`
	Actions map[string]change `json:"actions"`
}

type change struct {
	Why    string                     `json:"why"`
	Add    []Param                    `json:"add"`    // headers that are missing
	Set    map[string]json.RawMessage `json:"set"`    // header → keys of Param to replace
	Action json.RawMessage            `json:"action"` // keys of Action to replace
	Event  json.RawMessage            `json:"event"`  // keys of Event to replace
}

func (c *Catalog) overlay() error {
	var o overlay
	d := json.NewDecoder(bytes.NewReader(overlayJSON))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return err
	}
	for i := range c.Events {
		e := &c.Events[i]
		if err := o.Events[e.Name].apply(&e.Params, e, o.Events[e.Name].Event); err != nil {
			return fmt.Errorf("event %s: %w", e.Name, err)
		}
		delete(o.Events, e.Name)
	}
	for i := range c.Actions {
		a := &c.Actions[i]
		if err := o.Actions[a.Name].apply(&a.Params, a, o.Actions[a.Name].Action); err != nil {
			return fmt.Errorf("action %s: %w", a.Name, err)
		}
		delete(o.Actions, a.Name)
	}
	for name := range o.Events {
		return fmt.Errorf("no event %s", name)
	}
	for name := range o.Actions {
		return fmt.Errorf("no action %s", name)
	}
	return nil
}

func (ch change) apply(params *[]Param, whole any, keys json.RawMessage) error {
	if ch.Why == "" && (ch.Add != nil || ch.Set != nil || keys != nil) {
		return fmt.Errorf("does not say why")
	}
	if keys != nil {
		if err := json.Unmarshal(keys, whole); err != nil {
			return err
		}
	}
	for i := range *params {
		p := &(*params)[i]
		if raw := ch.Set[p.Name]; raw != nil {
			delete(ch.Set, p.Name)
			if err := json.Unmarshal(raw, p); err != nil {
				return err
			}
		}
	}
	for name := range ch.Set {
		return fmt.Errorf("no header %s", name)
	}
	*params = append(*params, ch.Add...)
	return nil
}
