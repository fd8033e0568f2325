package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apn/ami/internal/setting"
)

// prefix begins the names of all variables.
const prefix = "AMI_"

// variables holds the paths that the environment can set, by variable: all
// single values but those of the nodes.
var variables = func() map[string]string {
	names := make(map[string]string)
	for _, f := range optionFields {
		if f.Kind != setting.Texts {
			names[variable(f.Path)] = f.Path
		}
	}
	for _, f := range defaultFields {
		names[variable("defaults."+f.Path)] = "defaults." + f.Path
	}
	return names
}()

// variable returns the name of the variable for a path.
func variable(path string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// environment takes what the environment says: it comes before the file.
func (b *builder) environment() {
	secret := false
	for _, name := range slices.Sorted(maps.Keys(b.environ)) {
		given := b.environ[name]
		path, known := variables[name]
		switch {
		case given == "" || !strings.HasPrefix(name, prefix): // ${X} of an unset X yields ""
		case known:
			f := root.at(path).field
			if all := "defaults.secret"; strings.HasPrefix(path, all) && !secret {
				secret = true // one source replaces another
				for _, key := range []string{"", ".file", ".env"} {
					delete(b.values, all+key)
				}
			}
			v, err := f.parse(given)
			if err != nil {
				b.refuse(&Error{Path: path, Env: name, Value: v.given, Allowed: f.wants(), Err: err})
				continue
			}
			v.env = name
			b.values[path] = v
			group := around(path)
			if _, ok := b.values[group]; !ok { // as if the mapping stood in the file
				b.values[group] = value{env: name}
			}
		case !b.named(name):
			e := &Error{Path: name, Err: ErrUnknownKey}
			if guess := nearest(name, slices.Sorted(maps.Keys(variables))); guess != "" {
				e.Err = fmt.Errorf("%w: did you mean %s?", ErrUnknownKey, guess)
			}
			b.warnings = append(b.warnings, e)
		}
	}
}

// named reports whether the file takes a secret from the variable.
func (b *builder) named(variable string) bool {
	for path, v := range b.values {
		if strings.HasSuffix(path, "secret.env") && v.text == variable {
			return true
		}
	}
	return false
}

// environOf makes a map of "NAME=value" lines; the last one counts.
func environOf(lines []string) map[string]string {
	m := make(map[string]string, len(lines))
	for _, line := range lines {
		if name, v, ok := strings.Cut(line, "="); ok {
			m[name] = v
		}
	}
	return m
}
