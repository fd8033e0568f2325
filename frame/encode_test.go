package frame_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/frame"
)

func field(key, value string) []frame.Field { return []frame.Field{{Key: key, Value: value}} }

func fields(n int) []frame.Field {
	f := make([]frame.Field, n)
	for i := range f {
		f[i] = frame.Field{Key: "Variable", Value: "a=1"}
	}
	return f
}

func TestAppendAction(t *testing.T) { // B6
	x := strings.Repeat("x", 2000)
	for _, tc := range []struct {
		name, action string
		fields       []frame.Field
		want         string
	}{
		{"no fields", "Ping", nil, "Action: Ping\r\n\r\n"},
		{"fields in order, repeated, empty", "A", []frame.Field{{Key: "B", Value: "1"}, {Key: "C", Value: ""}, {Key: "B", Value: "2"}}, "Action: A\r\nB: 1\r\nC: \r\nB: 2\r\n\r\n"},
		{"colons and blanks in a value", "A", field("B", " sip:a@b:5060 "), "Action: A\r\nB:  sip:a@b:5060 \r\n\r\n"},
		{"UTF-8 and worse", "A", field("B", "ü\xff:\t\x01"), "Action: A\r\nB: ü\xff:\t\x01\r\n\r\n"},
		{"odd names", "A", field("Chan Variable(x)[1]/é", "v"), "Action: A\r\nChan Variable(x)[1]/é: v\r\n\r\n"},
		{"almost Action", "A", field("Actions", "v"), "Action: A\r\nActions: v\r\n\r\n"},
		{"line one below", "A", field("B", x[:1018]), "Action: A\r\nB: " + x[:1018] + "\r\n\r\n"},
		{"longest line", "A", field("B", x[:1019]), "Action: A\r\nB: " + x[:1019] + "\r\n\r\n"},
		{"longest key", "A", field(x[:1020], ""), "Action: A\r\n" + x[:1020] + ": \r\n\r\n"},
		{"longest name", x[:1014], nil, "Action: " + x[:1014] + "\r\n\r\n"},
		{"headers one below", "A", fields(126), "Action: A\r\n" + strings.Repeat("Variable: a=1\r\n", 126) + "\r\n"},
		{"most headers", "A", fields(127), "Action: A\r\n" + strings.Repeat("Variable: a=1\r\n", 127) + "\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := frame.AppendAction(nil, tc.action, tc.fields)
			require.NoError(t, err)
			require.Equal(t, tc.want, string(got))
			got, err = frame.AppendAction([]byte("before"), tc.action, tc.fields)
			require.NoError(t, err)
			require.Equal(t, "before"+tc.want, string(got))
		})
	}
}

func TestAppendActionRefuses(t *testing.T) { // B6, G2
	x := strings.Repeat("x", 2000)
	for _, tc := range []struct {
		name, action string
		fields       []frame.Field
		want         frame.EncodeError
	}{
		{"no name", "", nil, frame.EncodeError{Action: `""`, Reason: "the name is empty"}},
		{"CR in the name", "A\rB", nil, frame.EncodeError{Action: `"A\rB"`, Reason: "the value holds a CR, LF or NUL"}},
		{"LF in the name", "A\nB", nil, frame.EncodeError{Action: `"A\nB"`, Reason: "the value holds a CR, LF or NUL"}},
		{"NUL in the name", "A\x00", nil, frame.EncodeError{Action: `"A\x00"`, Reason: "the value holds a CR, LF or NUL"}},
		{"name too long", x[:1015], nil, frame.EncodeError{Action: `"` + x[:64] + `"…`, Reason: "the line has 1023 bytes, Asterisk takes 1022 at most"}},
		{"CR in a value", "A", field("B", "canary\r"), frame.EncodeError{Action: `"A"`, Key: `"B"`, Reason: "the value holds a CR, LF or NUL"}},
		{"LF in a value", "A", field("B", "canary\nAction: x"), frame.EncodeError{Action: `"A"`, Key: `"B"`, Reason: "the value holds a CR, LF or NUL"}},
		{"NUL in a value", "A", field("B", "canary\x00"), frame.EncodeError{Action: `"A"`, Key: `"B"`, Reason: "the value holds a CR, LF or NUL"}},
		{"line one above", "A", field("Secret", "canary"+x[:1023-14]), frame.EncodeError{Action: `"A"`, Key: `"Secret"`, Reason: "the line has 1023 bytes, Asterisk takes 1022 at most"}},
		{"line far above", "A", field("Secret", "canary"+x), frame.EncodeError{Action: `"A"`, Key: `"Secret"`, Reason: "the line has 2014 bytes, Asterisk takes 1022 at most"}},
		{"key too long", "A", field(x, "canary"), frame.EncodeError{Action: `"A"`, Key: `"` + x[:64] + `"…`, Reason: "the line has 2008 bytes, Asterisk takes 1022 at most"}},
		{"empty key", "A", field("", "canary"), frame.EncodeError{Action: `"A"`, Key: `""`, Reason: "the name is empty"}},
		{"CR in a key", "A", field("B\r", "canary"), frame.EncodeError{Action: `"A"`, Key: `"B\r"`, Reason: "the name holds a CR, LF, NUL or colon"}},
		{"LF in a key", "A", field("B\nC", "canary"), frame.EncodeError{Action: `"A"`, Key: `"B\nC"`, Reason: "the name holds a CR, LF, NUL or colon"}},
		{"NUL in a key", "A", field("\x00", "canary"), frame.EncodeError{Action: `"A"`, Key: `"\x00"`, Reason: "the name holds a CR, LF, NUL or colon"}},
		{"colon in a key", "A", field("B:c", "canary"), frame.EncodeError{Action: `"A"`, Key: `"B:c"`, Reason: "the name holds a CR, LF, NUL or colon"}},
		{"second Action", "A", field("aCTION", "canary"), frame.EncodeError{Action: `"A"`, Key: `"aCTION"`, Reason: "the action already has its name"}},
		{"last of many", "A", append(fields(100), field("B", "canary\n")...), frame.EncodeError{Action: `"A"`, Key: `"B"`, Reason: "the value holds a CR, LF or NUL"}},
		{"headers one above", "A", fields(128), frame.EncodeError{Action: `"A"`, Reason: "129 headers, Asterisk takes 128 at most"}},
		{"headers far above", "A", fields(5000), frame.EncodeError{Action: `"A"`, Reason: "5001 headers, Asterisk takes 128 at most"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, dst := range [][]byte{nil, []byte("before"), append(make([]byte, 0, 4096), "before"...)} {
				got, err := frame.AppendAction(dst, tc.action, tc.fields)
				var e *frame.EncodeError
				require.ErrorAs(t, err, &e)
				require.Equal(t, tc.want, *e)
				require.Equal(t, string(dst), string(got))
				require.NotContains(t, err.Error(), "canary")
				require.NotContains(t, err.Error(), "\n")
				text := "frame: action " + e.Action + ": "
				if e.Key != "" {
					text += "header " + e.Key + ": "
				}
				require.Equal(t, text+e.Reason, err.Error())
			}
		})
	}
}

// TestAppendActionAllocates nothing if there is room, so that a writer can use
// one buffer for all of its actions.
func TestAppendActionAllocates(t *testing.T) {
	buf, f := make([]byte, 0, 4096), fields(20)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := frame.AppendAction(buf, "Originate", f); err != nil {
			t.Error(err)
		}
	}))
}

// TestFieldsPrintNoValues: what an action sends may be a secret.
func TestFieldsPrintNoValues(t *testing.T) { // G2
	f := frame.Field{Key: "Secret", Value: "canary"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		require.Equal(t, "Secret: [redacted]", fmt.Sprintf(verb, f), verb)
		require.NotContains(t, fmt.Sprintf(verb, []frame.Field{f}), "canary", verb)
		require.NotContains(t, fmt.Sprintf(verb, struct{ F *frame.Field }{&f}), "canary", verb)
	}
	b, err := json.Marshal([]frame.Field{f})
	require.NoError(t, err)
	require.JSONEq(t, `["Secret: [redacted]"]`, string(b))
}
