package config

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/internal/redact"
	"github.com/apn/ami/internal/setting"
)

// A value is what was given for a field.
type value struct {
	text   string
	secret ami.Secret   // in place of text
	num    int64        // of a number; 1 for true
	list   []ami.Secret // patterns may hold what they are to hide

	given string // as an error may show it
	line  int    // 0: not from the file
	env   string // the variable that it came from
}

// parse reads what stands for a field as text. Its error is an ErrType or an
// ErrValue; ranges are left to the library.
func (f *field) parse(s string) (v value, err error) {
	v.given = f.show(s)
	switch f.Kind {
	case setting.Duration:
		v.num, err = duration(s)
	case setting.Count:
		v.num, err = number(s, 1)
	case setting.Bytes:
		v.num, err = size(s)
	case setting.Flag:
		switch s {
		case "true":
			v.num = 1
		case "false":
		default:
			err = ErrType
		}
	case setting.Text:
		if f.secret {
			v.secret = ami.NewSecret(s)
		} else {
			v.text = s
		}
		if f.choices != nil && !slices.Contains(f.choices, s) {
			err = ErrValue
		}
		if f.Min > 0 && s == "" {
			err = ErrValue
		}
	case setting.Texts:
		err = ErrType
	}
	return v, err
}

// What a duration and a size are in the schema, and to the loader: time.ParseDuration
// alone takes .5s and +5s as well. Both kinds of µ are in use.
const (
	durationPattern = `^(0|([0-9]+(\.[0-9]*)?(ns|us|µs|μs|ms|s|m|h))+)$`
	sizePattern     = `^(0|[1-9][0-9]*) ?(KiB|MiB|GiB)$`
)

var durationForm = regexp.MustCompile(durationPattern)

// duration reads a duration. A negative one is left to its range, which is told.
func duration(s string) (int64, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err == nil && d < 0:
		return int64(d), nil
	case !durationForm.MatchString(s):
		return 0, ErrType
	case err != nil: // it is too long
		return 0, ErrValue
	default:
		return int64(d), nil
	}
}

// number reads a decimal number the way that one would write it: 010 might be
// eight.
func number(s string, unit int64) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if unit > 1 && errors.Is(err, strconv.ErrRange) {
		return 0, ErrValue
	}
	if err != nil || strconv.FormatInt(n, 10) != s {
		return 0, ErrType
	}
	if n*unit/unit != n {
		return 0, ErrValue
	}
	return n * unit, nil
}

// size reads a number of bytes: 65536, 64KiB, 1MiB, 1GiB.
func size(s string) (int64, error) {
	for suffix, unit := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			return number(strings.TrimSuffix(n, " "), unit)
		}
	}
	return number(s, 1)
}

// policy hides in what errors show whatever looks like the assignment of a
// secret: it may have got to the wrong place.
var policy = func() *redact.Policy {
	p, err := redact.New(redact.Rules{})
	if err != nil {
		panic(err) // there are no rules
	}
	return p
}()

const shownMost = 80 // bytes of a value in an error

// show returns a value as an error may show it.
func (f *field) show(s string) string {
	switch {
	case f.secret, f.name:
		return redact.Mask
	case f.Kind <= setting.Flag:
		return shorten(s)
	default:
		return strconv.Quote(shorten(s))
	}
}

func shorten(s string) string {
	s = policy.Text(s)
	if len(s) > shownMost {
		s = s[:shownMost] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
