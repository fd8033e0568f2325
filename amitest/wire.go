package amitest

import (
	"strconv"
	"time"

	"github.com/apn/ami/frame"
)

func appendHeader(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

func appendFields(b []byte, fields []frame.Field) []byte {
	for _, f := range fields {
		b = appendHeader(b, f.Key, f.Value)
	}
	return b
}

func appendEnd(b []byte) []byte { return append(b, "\r\n"...) }

// timestamp has the form sec.usec.
func timestamp(t time.Time) string {
	b := strconv.AppendInt(nil, t.Unix(), 10)
	usec := strconv.Itoa(t.Nanosecond() / 1000)
	b = append(b, ".000000"[:7-len(usec)]...)
	return string(append(b, usec...))
}

// F makes a field; it only saves typing.
func F(key, value string) frame.Field { return frame.Field{Key: key, Value: value} }

// number makes a field of a number.
func number(key string, n int) frame.Field { return F(key, strconv.Itoa(n)) }

// fieldsOf makes fields of alternating keys and values.
func fieldsOf(kv ...string) []frame.Field {
	fields := make([]frame.Field, 0, len(kv)/2)
	for i := 0; i < len(kv); i += 2 {
		fields = append(fields, F(kv[i], kv[i+1]))
	}
	return fields
}
