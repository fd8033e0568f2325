package config

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/apn/ami/internal/setting"
)

//go:generate go test -run "TestSchema|TestGuide" . -update

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of the file, for editors.
func Schema() []byte { return slices.Clone(schema) }

type object = map[string]any

// newSchema makes the schema of the tables.
func newSchema() ([]byte, error) {
	s := root.schema()
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Configuration of github.com/apn/ami"
	s["required"] = []string{"nodes"}
	nodes := s["properties"].(object)["nodes"].(object)
	nodes["minItems"] = 1
	nodes["items"].(object)["required"] = []string{"key", "addr"}
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

// schema describes a place in the file.
func (b *branch) schema() object {
	switch {
	case b.items != nil:
		return object{"type": "array", "items": b.items.schema()}
	case b.field != nil && b.below != nil:
		return object{"oneOf": []object{b.field.schema(), b.mapping()}, "description": b.field.Doc}
	case b.field != nil:
		return b.field.schema()
	default:
		return b.mapping()
	}
}

func (b *branch) mapping() object {
	properties := make(object)
	for _, key := range b.keys {
		properties[key] = b.below[key].schema()
	}
	o := object{"type": "object", "additionalProperties": false, "properties": properties}
	if b.field != nil { // one source for a secret
		o["minProperties"], o["maxProperties"] = 1, 1
	}
	return o
}

// schema describes a value.
func (f *field) schema() object {
	o := object{"description": f.describe()}
	switch f.Kind {
	case setting.Duration:
		o["type"], o["pattern"] = "string", durationPattern
		o["default"] = f.Show(f.Default)
	case setting.Count:
		o["type"], o["minimum"], o["maximum"], o["default"] = "integer", f.Min, f.Max, f.Default
	case setting.Bytes:
		o["oneOf"] = []object{
			{"type": "integer", "minimum": f.Min, "maximum": f.Max},
			{"type": "string", "pattern": sizePattern},
		}
		o["default"] = f.Default
	case setting.Flag:
		o["type"] = "boolean"
	case setting.Texts:
		o["type"], o["items"] = "array", object{"type": "string"}
	case setting.Text:
		o["type"] = "string"
		if f.Min > 0 {
			o["minLength"] = f.Min
		}
		if f.Max > 0 {
			o["maxLength"] = f.Max
		}
		if f.fallback != "" {
			o["default"] = f.fallback
		}
		if f.choices != nil {
			delete(o, "type")
			o["enum"] = f.enum()
		}
	}
	return o
}

// enum returns the choices, those that look like a number in both forms.
func (f *field) enum() (all []any) {
	for _, c := range f.choices {
		all = append(all, c)
		if n, err := strconv.ParseFloat(c, 64); err == nil {
			all = append(all, n)
		}
	}
	return all
}

func (f *field) describe() string {
	if f.Number() {
		return f.Doc + "; " + f.Range()
	}
	return f.Doc
}
