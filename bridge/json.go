package bridge

import (
	"encoding/binary"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/apn/ami/frame"
)

const hexDigits = "0123456789abcdef"

// plain are the bytes that stand in a JSON text as they are.
var plain = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendText appends s as a JSON text. Asterisk passes on what telephones send,
// which need not be UTF-8: such bytes become U+FFFD, as in encoding/json.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := plainWords(s); i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

// plainWords returns how many bytes of s, in words of eight, stand in a JSON text as
// they are: nearly all that Asterisk sends.
func plainWords(s string) (n int) {
	const (
		ones = 0x0101010101010101
		tops = 0x80 * ones
	)
	for ; n+8 <= len(s); n += 8 {
		w := binary.LittleEndian.Uint64([]byte(s[n : n+8])) // does not allocate: it is one load
		control := w - 0x20*ones                            // its tops: of bytes below a blank
		quote, slash := w^'"'*ones, w^'\\'*ones             // zero bytes where they are
		if (w|control|(quote-ones)&^quote|(slash-ones)&^slash)&tops != 0 {
			break // or nearly so: who looks byte by byte will see
		}
	}
	return n
}

// appendTime appends t as encoding/json does, in UTC.
func appendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

// appendMillis appends a duration in milliseconds, to the microsecond.
func appendMillis(dst []byte, d time.Duration) []byte {
	return strconv.AppendFloat(dst, float64(d.Microseconds())/1000, 'f', -1, 64)
}

// appendHeaders appends the headers of f as an object, each name once, in the
// spelling and the place of its first occurrence. One that occurs more than once
// is a list of its values; the name of lines without a colon is empty, and comes
// last.
func appendHeaders(dst []byte, f *frame.Frame) []byte {
	dst = append(dst, '{')
	begin := len(dst)
	var seen uint64 // by a few bits of each name: most never meet
	for i := range f.Len() {
		key, value := f.At(i)
		if key == "" {
			return append(appendMerged(dst[:begin], f), '}')
		}
		mark := uint64(1) << ((uint(len(key))*7 + uint(key[0]|0x20) + uint(key[len(key)-1]|0x20)*5) & 63)
		if seen&mark != 0 && occurs(f, key, i) {
			return append(appendMerged(dst[:begin], f), '}')
		}
		seen |= mark
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, key), ':')
		dst = appendText(dst, value)
	}
	return append(dst, '}')
}

// occurs reports whether one of the first n names of f is key.
func occurs(f *frame.Frame, key string, n int) bool {
	for i := range n {
		if other, _ := f.At(i); sameName(other, key) {
			return true
		}
	}
	return false
}

func appendMerged(dst []byte, f *frame.Frame) []byte {
	first := true
	put := func(key string, values []string) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendText(dst, key), ':')
		list := len(values) > 1
		if list {
			dst = append(dst, '[')
		}
		for i, v := range values {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendText(dst, v)
		}
		if list {
			dst = append(dst, ']')
		}
	}
	for i := range f.Len() {
		key, _ := f.At(i)
		if key == "" || occurs(f, key, i) {
			continue
		}
		put(key, f.Values(key))
	}
	if text := f.Values(""); len(text) > 0 {
		put("", text)
	}
	return dst
}

// sameName compares names of headers as Asterisk does: without regard to the case
// of ASCII letters, and of no others.
func sameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}
