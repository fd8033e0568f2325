package redact

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
)

// Panic tells of a panic without what may be a secret: its type, or the text if it
// comes from the runtime, which knows none.
func Panic(v any) string {
	if e, ok := v.(runtime.Error); ok {
		t := reflect.TypeOf(v)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if from := t.PkgPath(); from == "runtime" || strings.HasPrefix(from, "internal/") {
			return e.Error()
		}
	}
	return fmt.Sprintf("%T", v)
}
