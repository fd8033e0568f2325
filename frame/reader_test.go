package frame_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// messages reads all of a stream and returns each frame as "kind name: k=v|k=v"
// and each *FormatError as its reason.
func messages(t *testing.T, src io.Reader, lim frame.Limits) []string {
	t.Helper()
	r := frame.NewReader(src, lim)
	var got []string
	for {
		f, err := r.Next()
		if malformed, ok := errors.AsType[*frame.FormatError](err); ok {
			got = append(got, "!"+string(malformed.Reason))
			continue
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				got = append(got, err.Error())
			}
			return got
		}
		var pairs []string
		for k, v := range f.All() {
			pairs = append(pairs, k+"="+v)
		}
		require.Equal(t, len(pairs), f.Len())
		got = append(got, f.Kind().String()+" "+f.Name()+": "+strings.Join(pairs, "|"))
	}
}

// splits are ways in which the same bytes may arrive.
var splits = map[string]func(io.Reader) io.Reader{
	"at once":       func(r io.Reader) io.Reader { return r },
	"byte by byte":  iotest.OneByteReader,
	"in halves":     iotest.HalfReader,
	"with the end":  iotest.DataErrReader,
	"bytes and end": func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
}

func TestMessages(t *testing.T) { // B1, B4, B7, B8
	for _, tc := range []struct {
		name, stream string
		want         []string
	}{
		{"CR LF", "Event: A\r\nK: v\r\n\r\n", []string{"event A: Event=A|K=v"}},
		{"LF", "Event: A\nK: v\n\n", []string{"event A: Event=A|K=v"}},
		{"mixed", "Event: A\nK: v\r\n\nEvent: B\r\n\r\n", []string{"event A: Event=A|K=v", "event B: Event=B"}},
		{"text ends in LF", "Response: Error\r\nMessage: no\n\r\n\r\nEvent: B\r\n\r\n", []string{"response Error: Response=Error|Message=no", "event B: Event=B"}},
		{"stray blank lines", "\r\n\nEvent: A\r\n\r\n\r\n\n\r\nEvent: B\r\n\r\n\r\n", []string{"event A: Event=A", "event B: Event=B"}},
		{"no colon", "Event: A\r\nrubbish\r\nK: v\r\n\r\n", []string{"event A: Event=A|=rubbish|K=v"}},
		{"text only", "Local/1  10\r\nLocal/2  20\r\n\r\nEvent: B\r\n\r\n", []string{"other : =Local/1  10|=Local/2  20", "event B: Event=B"}},
		{"rubbish before the first header", "#!\x00\xff\r\nEvent: A\r\n\r\n", []string{"event A: =#!\x00\xff|Event=A"}},
		{"odd names", ": x\r\n\r\nEvent: A\r\nChanVariable(PJSIP/x): a=b\r\nNamed Callgroup: \r\nZ : 1\r\nempty:\r\n\r\n", []string{"other x: =x", "event A: Event=A|ChanVariable(PJSIP/x)=a=b|Named Callgroup=|Z =1|empty="}},
		{"values keep colons and blanks", "Event: A\r\nUrl: sip:a@b:5060\r\nY:   three\r\nT: end \r\nX:none\r\n\r\n", []string{"event A: Event=A|Url=sip:a@b:5060|Y=  three|T=end |X=none"}},
		{"a lone CR is data", "Event: A\rB\r\n\r\n", []string{"event A\rB: Event=A\rB"}},
		{"the first header decides", "Event: OriginateResponse\r\nResponse: Failure\r\nEvent: x\r\n\r\n", []string{"event OriginateResponse: Event=OriginateResponse|Response=Failure|Event=x"}},
		{"any case", "EVENT: A\r\n\r\nresponse: Success\r\n\r\n", []string{"event A: EVENT=A", "response Success: response=Success"}},
		{"a line of one CR", "Event: A\r\n\r\r\nK: v\r\r\n\r\n", []string{"event A: Event=A|=\r|K=v\r"}},
		{"a feed in a value", "Event: Agents\r\nCallStarted: 1\nChannel: 2\r\n\r\n", []string{"event Agents: Event=Agents|CallStarted=1|Channel=2"}},
		{"list detail", "Event: ResourceListDetail\r\nEvent: presence\r\n\r\n", []string{"event ResourceListDetail: Event=ResourceListDetail|Event=presence"}},
		{"another header first", "ActionID: 1\r\nResponse: Success\r\n\r\n", []string{"other 1: ActionID=1|Response=Success"}},
		{"only blank lines", "\r\n\n\r\n", nil},
		{"nothing", "", nil},
		{"end after a CR", "Event: A\r\n\r\n\r", []string{"event A: Event=A", "unexpected EOF"}},
		{"end inside", "Event: A\r\nK: v\r\n", []string{"unexpected EOF"}},
		{"end inside a line", "Event: A\r\n\r\nEve", []string{"event A: Event=A", "unexpected EOF"}},
		{
			"old command", "Response: Follows\r\nPrivilege: Command\r\nActionID: 7\r\na: 1\n\n  b\nEvent: x\n--END COMMAND--\r\n\r\nEvent: B\r\n\r\n",
			[]string{"response Follows: Response=Follows|Privilege=Command|ActionID=7|Output=a: 1|Output=|Output=  b|Output=Event: x", "event B: Event=B"},
		},
		{"old command, no line feed before its end", "Response: Follows\nab--END COMMAND--\n\n", []string{"response Follows: Response=Follows|Output=ab"}},
		{"old command, no output", "Response: Follows\r\nPrivilege: Command\r\n--END COMMAND--\r\n\r\n", []string{"response Follows: Response=Follows|Privilege=Command"}},
		{"old command, its end in the middle", "Response: Follows\r\n--END COMMAND--\nx\n--END COMMAND--\r\n\r\n", []string{"response Follows: Response=Follows|Output=--END COMMAND--|Output=x"}},
		{
			"old command without its end", "Response: Follows\r\nActionID: 7\r\nx\n\r\nEvent: B\r\n\r\nResponse: Success\r\n\r\n",
			[]string{"!command output without its end mark", "event B: Event=B", "response Success: Response=Success"},
		},
		{
			"old command without its end, a response behind", "Response: Follows\r\n\nResponse: Success\r\n\r\n",
			[]string{"!command output without its end mark", "response Success: Response=Success"},
		},
		{"old command, two ends", "Response: Follows\r\na\n--END COMMAND--\n--END COMMAND--\r\n\r\n", []string{"response Follows: Response=Follows|Output=a|Output=--END COMMAND--"}},
		{"old command, text behind its end", "Response: Follows\r\n--END COMMAND-- no\n\n--END COMMAND--\r\n\r\n", []string{"response Follows: Response=Follows|Output=--END COMMAND-- no|Output="}},
		{"old command, LF events in its output", "Response: Follows\r\na\n\nEvent: x\n\n--END COMMAND--\r\n\r\n", []string{"response Follows: Response=Follows|Output=a|Output=|Output=Event: x|Output="}},
		{"old command, in lower case", "response:follows\r\na: b\n--END COMMAND--\r\n\r\n", []string{"response follows: response=follows|Output=a: b"}},
		{"old command, header-like output", "Response: Follows\r\na\nActionID: 9\n--END COMMAND--\r\n\r\n", []string{"response Follows: Response=Follows|Output=a|Output=ActionID: 9"}},
		{"follows as a later header", "Response: Success\r\nResponse: Follows\r\n\r\n", []string{"response Success: Response=Success|Response=Follows"}},
		{"more than follows", "Response: Follows on\r\n\r\n", []string{"response Follows on: Response=Follows on"}},
		{"new command", "Response: Success\r\nOutput: a\r\nOutput: \r\noutput:   b\r\n\r\n", []string{"response Success: Response=Success|Output=a|Output=|output=  b"}},
	} {
		for split, how := range splits {
			t.Run(tc.name+", "+split, func(t *testing.T) {
				require.Equal(t, tc.want, messages(t, how(strings.NewReader(tc.stream)), frame.Limits{}))
			})
		}
	}
}

// small are limits that tests reach quickly.
var small = frame.Limits{Line: 1024, Headers: 128, Frame: 64 << 10, Command: 4096}

func TestLimits(t *testing.T) { // B2, B3: both neighbours stay intact
	const before, after = "Event: Before\r\n\r\n", "Event: After\r\n\r\n"
	const ended = "\n--END COMMAND--\r\n\r\n" // 17 bytes of it count as output
	line := func(n int) string { return strings.Repeat("x", n) }
	lines := func(n int) string { // an event of n bytes and the blank line
		const first, most = "Event: A\r\n", 1000
		var b strings.Builder
		b.WriteString(first)
		for b.Len() < n {
			if left := n - b.Len(); left >= 2*most {
				b.WriteString(line(most-2) + "\r\n")
			} else {
				b.WriteString(line(left/2-2) + "\r\n" + line(left-left/2-2) + "\r\n")
			}
		}
		return b.String() + "\r\n"
	}
	for _, tc := range []struct {
		name, bad string
		want      string // reason; "" if within the limit
	}{
		{"line one below", "K: " + line(1024-4) + "\r\n\r\n", ""},
		{"line at the limit", "K: " + line(1024-3) + "\r\n\r\n", ""},
		{"line at the limit, LF", "K: " + line(1024-3) + "\n\n", ""},
		{"line one above, LF", "K: " + line(1024-2) + "\n\n", "line too long"},
		{"line above", "Event: A\r\nActionID: 7\r\nK: " + line(1024-2) + "\r\nmore: 1\r\n\r\n", "line too long"},
		{"first line above", line(5000) + "\r\n\r\n", "line too long"},
		{"line far above", "Event: A\r\nK: " + line(100_000) + "\r\n\r\n", "line too long"},
		{"headers at the limit", "Event: A\r\n" + strings.Repeat("K: v\r\n", 127) + "\r\n", ""},
		{"headers above", "Event: A\r\n" + strings.Repeat("K: v\r\n", 128) + "\r\n", "too many headers"},
		{"headers one below", "Event: A\r\n" + strings.Repeat("K: v\r\n", 126) + "\r\n", ""},
		{"headers and output", "Event: A\r\n" + strings.Repeat("K: v\r\n", 127) + strings.Repeat("Output: 1\r\n", 200) + "\r\n", ""},
		{"headers and raw output", "Response: Follows\r\n" + strings.Repeat("K: v\n", 200) + "--END COMMAND--\r\n\r\n", ""},
		{"raw headers above", "Response: Follows\r\n" + strings.Repeat("ActionID: 7\r\n", 128) + "--END COMMAND--\r\n\r\n", "too many headers"},
		{"frame one below", lines(64<<10 - 1), ""},
		{"frame at the limit", lines(64 << 10), ""},
		{"frame one above", lines(64<<10 + 1), "frame too large"},
		{"frame far above", lines(100_000), "frame too large"},
		{"frame and output at both limits", strings.TrimSuffix(lines(64<<10), "\r\n") + strings.Repeat("Output: 123456\r\n", 256) + "\r\n", ""},
		{"command one below", "Response: Success\r\n" + strings.Repeat("Output: 123456\r\n", 255) + "Output: 12345\r\n\r\n", ""},
		{"command at the limit", "Response: Success\r\n" + strings.Repeat("Output: 123456\r\n", 256) + "\r\n", ""},
		{"command one above", "Response: Success\r\n" + strings.Repeat("Output: 123456\r\n", 255) + "Output: 1234567\r\n\r\n", "command output too large"},
		{"command far above", "Response: Success\r\nActionID: 7\r\n" + strings.Repeat("Output: 123456\r\n", 5000) + "\r\n", "command output too large"},
		{"old command one below", "Response: Follows\r\nActionID: 7\r\n" + strings.Repeat("1234567\n", 509) + "12345" + ended, ""},
		{"old command at the limit", "Response: Follows\r\nActionID: 7\r\n" + strings.Repeat("1234567\n", 509) + "123456" + ended, ""},
		{"old command one above", "Response: Follows\r\nActionID: 7\r\n" + strings.Repeat("1234567\n", 509) + "1234567" + ended, "command output too large"},
		{"old command far above", "Response: Follows\r\nActionID: 7\r\n" + strings.Repeat("1234567\n\n", 600) + "--END COMMAND--\r\n\r\n", "command output too large"},
		{"old command above, without its end", "Response: Follows\r\n" + strings.Repeat("1234567\n\n", 600) + "\r\n", "command output too large"},
		{"old command, line at the limit", "Response: Follows\r\n" + line(1024) + "\n--END COMMAND--\r\n\r\n", ""},
		{"old command, line one above", "Response: Follows\r\n" + line(1025) + "\n--END COMMAND--\r\n\r\n", "line too long"},
		{"old command, line far above", "Response: Follows\r\n" + line(3000) + "\n\n--END COMMAND--\r\n\r\n", "line too long"},
		{"old command, its end behind a long line", "Response: Follows\r\n" + line(1024-14) + "--END COMMAND--\r\n\r\n", "line too long"},
	} {
		for split, how := range splits {
			t.Run(tc.name+", "+split, func(t *testing.T) {
				got := messages(t, how(strings.NewReader(before+tc.bad+after)), small)
				require.Len(t, got, 3)
				require.Equal(t, "event Before: Event=Before", got[0])
				require.Equal(t, "event After: Event=After", got[2])
				if tc.want != "" {
					require.Equal(t, "!"+tc.want, got[1])
				} else {
					require.NotContains(t, got[1], "!")
				}
			})
		}
	}
}

func TestBufferLimit(t *testing.T) { // B2
	lim := frame.Limits{Frame: 64 << 10, Buffer: 64<<10 + 4, Command: 1 << 20}
	output := strings.Repeat("Output: 123456\r\n", 6000)
	require.Equal(t, []string{"!frame larger than the buffer", "event B: Event=B"},
		messages(t, strings.NewReader("Response: Success\r\n"+output+"\r\nEvent: B\r\n\r\n"), lim))
}

func TestFormatErrors(t *testing.T) { // B3: the ActionID of a discarded answer can be found
	const skipped = "; discarded up to the next blank line"
	long := strings.Repeat("x", 2000)
	start := "Response: Success\r\nActionID: 7\r\n"
	old := "Response: Follows\r\nActionID: 7\r\n"
	for _, tc := range []struct {
		name, stream string
		want         frame.FormatError
		head, text   string
	}{
		{
			"short head", start + "K: " + long + "\r\n\r\n",
			frame.FormatError{Reason: frame.LineTooLong, Limit: 1024},
			start,
			`frame: line too long (limit 1024) in response "Success"`,
		},
		{
			"no head", long + "\r\n" + start + "\r\n",
			frame.FormatError{Reason: frame.LineTooLong, Limit: 1024},
			"",
			"frame: line too long (limit 1024)",
		},
		{
			"text alone", "a\r\nb\r\n" + long + "\r\n\r\n",
			frame.FormatError{Reason: frame.LineTooLong, Limit: 1024},
			"a\r\nb\r\n",
			"frame: line too long (limit 1024)",
		},
		{
			"2 KiB to the byte", start + "Key: " + long[:1000] + "\r\n" + "Key: " + long[:1048-len(start)-2*7] + "\r\n" + "K: " + long + "\r\n\r\n",
			frame.FormatError{Reason: frame.LineTooLong, Limit: 1024},
			start + "Key: " + long[:1000] + "\r\n" + "Key: " + long[:1048-len(start)-2*7] + "\r\n",
			`frame: line too long (limit 1024) in response "Success"`,
		},
		{
			"one line beyond 2 KiB", start + "Key: " + long[:1000] + "\r\n" + "Key: " + long[:1048-len(start)-2*7+1] + "\r\n" + "K: " + long + "\r\n\r\n",
			frame.FormatError{Reason: frame.LineTooLong, Limit: 1024},
			start + "Key: " + long[:1000] + "\r\n",
			`frame: line too long (limit 1024) in response "Success"`,
		},
		{
			"headers", start + strings.Repeat("K: v\r\n", 200) + "\r\n",
			frame.FormatError{Reason: frame.TooManyHeaders, Limit: 128},
			start + strings.Repeat("K: v\r\n", 127),
			`frame: too many headers (limit 128) in response "Success"`,
		},
		{
			"frame", "Event: " + long[:500] + "\r\n" + strings.Repeat("K: "+long[:1000]+"\r\n", 70) + "\r\n",
			frame.FormatError{Reason: frame.TooLarge, Limit: 65536},
			"Event: " + long[:500] + "\r\nK: " + long[:1000] + "\r\n",
			`frame: frame too large (limit 65536) in event "` + long[:64] + `"…`,
		},
		{
			"command", start + strings.Repeat("Output: "+long[:1000]+"\r\n", 5) + "\r\n",
			frame.FormatError{Reason: frame.CommandTooLarge, Limit: 4096},
			start + "Output: " + long[:1000] + "\r\n",
			`frame: command output too large (limit 4096) in response "Success"`,
		},
		{
			"old command", old + strings.Repeat(long[:1015]+"\n", 5) + "--END COMMAND--\r\n\r\n",
			frame.FormatError{Reason: frame.CommandTooLarge, Limit: 4096},
			old + long[:1015] + "\n",
			`frame: command output too large (limit 4096) in response "Follows"`,
		},
		{
			"old command without its end", old + "Secret: x\n\nEvent: B\r\n\r\n",
			frame.FormatError{Reason: frame.CommandNotEnded},
			old + "Secret: x\n\n",
			`frame: command output without its end mark in response "Follows"`,
		},
	} {
		for split, how := range splits {
			t.Run(tc.name+", "+split, func(t *testing.T) {
				_, err := frame.NewReader(how(strings.NewReader(tc.stream)), small).Next()
				e, ok := errors.AsType[*frame.FormatError](err)
				require.True(t, ok)
				require.Equal(t, tc.text+skipped, e.Error())
				require.Equal(t, tc.want.Reason, e.Reason)
				require.Equal(t, tc.want.Limit, e.Limit)
				if tc.head == "" {
					require.Nil(t, e.Head)
					return
				}
				require.Equal(t, tc.head, e.Head.Wire())
				if e.Head.Kind() == frame.Response {
					require.Equal(t, "7", e.Head.Get("ActionID"))
				}
				require.Empty(t, e.Head.Get("Secret"), "raw output is no header")
				for _, v := range e.Head.All() {
					require.NotContains(t, v, "\n")
				}
			})
		}
	}
	lim := frame.Limits{Line: 60 << 10, Frame: 64 << 10}
	first := "Event: " + strings.Repeat("e", 3000) + "\r\n"
	_, err := frame.NewReader(strings.NewReader(first+strings.Repeat("K: "+strings.Repeat("x", 30_000)+"\r\n", 3)+"\r\n"), lim).Next()
	e, ok := errors.AsType[*frame.FormatError](err)
	require.True(t, ok)
	require.Nil(t, e.Head, "the first line alone is above 2 KiB")
}

func TestBanner(t *testing.T) { // B5
	const good = "Asterisk Call Manager/"
	ones := strings.Repeat("1", 256-len(good))
	for _, tc := range []struct {
		name, stream, want, wrong string
		err                       error
	}{
		{"Asterisk", good + "11.0.0\r\nEvent: A\r\n\r\n", good + "11.0.0", "", nil},
		{"LF", good + "7.0.3\n", good + "7.0.3", "", nil},
		{"longest", good + ones + "\n", good + ones, "", nil},
		{"longest, CR LF", good + ones[1:] + "\r\n", good + ones[1:], "", nil},
		{"one byte longer", good + ones + "1\n", "", good + ones, nil},
		{"one byte longer, CR LF", good + ones + "\r\n", "", good + ones, nil},
		{"much longer", good + strings.Repeat(ones, 100), "", good + ones, nil},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", "", "HTTP/1.1 400 Bad Request", nil},
		{"SSH", "SSH-2.0-OpenSSH_9.2\r\nx", "", "SSH-2.0-OpenSSH_9.2", nil},
		{"almost", "Asterisk Call Manager 11.0.0\r\n", "", "Asterisk Call Manager 11.0.0", nil},
		{"wrong case", "asterisk call manager/11.0.0\r\n", "", "asterisk call manager/11.0.0", nil},
		{"binary", "J\x00\x00\x00\x0a5.5.5\x00", "", "J\x00\x00\x00", nil},
		{"binary without an end", strings.Repeat("\xff\x00", 200), "", strings.Repeat("\xff\x00", 128), nil},
		{"blank line", "\r\n" + good + "11.0.0\r\n", "", "", nil},
		{"none: a message", "Event: A\r\n\r\n", "", "Event: A", nil},
		{"cut", "Asterisk Ca", "", "Asterisk Ca", nil},
		{"cut in its version", good + "11.0", "", good + "11.0", nil},
		{"nothing", "", "", "", io.EOF},
	} {
		for split, how := range splits {
			t.Run(tc.name+", "+split, func(t *testing.T) {
				r := frame.NewReader(how(strings.NewReader(tc.stream)), frame.Limits{})
				got, err := r.Banner()
				require.Equal(t, tc.want, got)
				switch {
				case tc.err != nil:
					require.ErrorIs(t, err, tc.err)
				case tc.want == "":
					e, ok := errors.AsType[*frame.BannerError](err)
					require.True(t, ok)
					require.True(t, strings.HasPrefix(tc.wrong, e.Line), "%q", e.Line) // it may be told before all of it is there
					if split == "at once" {
						require.Equal(t, tc.wrong, e.Line)
					}
					require.Contains(t, e.Error(), "frame: not an Asterisk manager: it greets with \"")
					require.Less(t, len(e.Error()), 400)
				default:
					require.NoError(t, err)
					require.EqualValues(t, strings.IndexByte(tc.stream, '\n')+1, r.Offset())
				}
			})
		}
	}
	require.Equal(t, `frame: not an Asterisk manager: it greets with "SSH-2.0" instead of "Asterisk Call Manager/…"`, (&frame.BannerError{Line: "SSH-2.0"}).Error())
}

// TestBannerDoesNotWait: a peer that greets otherwise and waits is found out at
// its first byte (B5).
func TestBannerDoesNotWait(t *testing.T) {
	src := io.MultiReader(strings.NewReader("220"), iotest.ErrReader(errors.New("waited")))
	_, err := frame.NewReader(src, frame.Limits{}).Banner()
	_, ok := errors.AsType[*frame.BannerError](err)
	require.True(t, ok, "%v", err)
	src = io.MultiReader(strings.NewReader("Asterisk"), iotest.ErrReader(errors.New("broken")))
	_, err = frame.NewReader(src, frame.Limits{}).Banner()
	require.EqualError(t, err, "broken")
	_, err = frame.NewReader(stuck{}, frame.Limits{}).Banner()
	require.ErrorIs(t, err, io.ErrNoProgress)
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// hesitant returns 0, nil some times before each byte.
type hesitant struct {
	src   io.Reader
	times int
	n     int
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.n++; h.n%(h.times+1) != 0 {
		return 0, nil
	}
	return h.src.Read(p[:1])
}

func TestReadErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		name string
		src  io.Reader
		want []string
		err  error
	}{
		{"at once", iotest.ErrReader(broken), nil, broken},
		{"inside a message", io.MultiReader(strings.NewReader("Event: A\r\n\r\nEvent: B"), iotest.ErrReader(broken)), []string{"Event: A\r\n\r\n"}, broken},
		{"with the last bytes", iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("Event: A\r\n\r\n"))), nil, iotest.ErrTimeout},
		{"no bytes for ever", stuck{}, nil, io.ErrNoProgress},
		{"no bytes inside a message", io.MultiReader(strings.NewReader("Event: A\r\n\r\nEv"), stuck{}), []string{"Event: A\r\n\r\n"}, io.ErrNoProgress},
		{"no bytes 99 times", &hesitant{src: strings.NewReader("Event: A\r\n\r\n"), times: 99}, []string{"Event: A\r\n\r\n"}, io.EOF},
		{"no bytes 100 times", &hesitant{src: strings.NewReader("Event: A\r\n\r\n"), times: 100}, nil, io.ErrNoProgress},
		{"end between messages", strings.NewReader("Event: A\r\n\r\n\r\n"), []string{"Event: A\r\n\r\n"}, io.EOF},
		{"end inside a message", strings.NewReader("Event: A\r\n\r\nEvent: B\r\n"), []string{"Event: A\r\n\r\n"}, io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := frame.NewReader(tc.src, frame.Limits{})
			for _, want := range tc.want {
				f, err := r.Next()
				require.NoError(t, err)
				require.Equal(t, want, f.Wire())
			}
			for range 3 {
				_, err := r.Next()
				require.ErrorIs(t, err, tc.err)
				_, err = r.Banner()
				require.Error(t, err, "the error stays")
			}
		})
	}
	r := frame.NewReader(strings.NewReader(strings.Repeat("x", 2000)), small)
	_, err := r.Next()
	require.ErrorContains(t, err, "line too long")
	for range 2 {
		_, err = r.Next()
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the end came while a frame was discarded")
	}
}

func TestLimitsValidate(t *testing.T) { // B2
	for _, tc := range []struct {
		name string
		lim  frame.Limits
		want string
	}{
		{"defaults", frame.Limits{}, ""},
		{"smallest", frame.Limits{Line: 1024, Headers: 128, Frame: 64 << 10, Command: 4096, Buffer: 64<<10 + 4}, ""},
		{"largest", frame.Limits{Line: 4 << 20, Headers: 1 << 20, Frame: 4 << 20, Command: 64 << 20, Buffer: 72 << 20}, ""},
		{"small frame", frame.Limits{Frame: 64 << 10}, ""},
		{"frame one below", frame.Limits{Frame: 65535}, "frame: limit Frame = 65535 is out of range: it must be 65536 to 4194304"},
		{"frame one above", frame.Limits{Frame: 4<<20 + 1}, "frame: limit Frame = 4194305 is out of range: it must be 65536 to 4194304"},
		{"frame negative", frame.Limits{Frame: -1}, "frame: limit Frame = -1 is out of range: it must be 65536 to 4194304"},
		{"line one below", frame.Limits{Line: 1023}, "frame: limit Line = 1023 is out of range: it must be 1024 to 1048576"},
		{"line negative", frame.Limits{Line: -5}, "frame: limit Line = -5 is out of range: it must be 1024 to 1048576"},
		{"line above frame", frame.Limits{Line: 65537, Frame: 64 << 10}, "frame: limit Line = 65537 contradicts Frame = 65536: it must be 1024 to 65536"},
		{"headers one below", frame.Limits{Headers: 127}, "frame: limit Headers = 127 is out of range: it must be 128 to 1048576"},
		{"headers one above", frame.Limits{Headers: 1<<20 + 1}, "frame: limit Headers = 1048577 is out of range: it must be 128 to 1048576"},
		{"command one below", frame.Limits{Command: 4095}, "frame: limit Command = 4095 is out of range: it must be 4096 to 67108864"},
		{"command one above", frame.Limits{Command: 64<<20 + 1}, "frame: limit Command = 67108865 is out of range: it must be 4096 to 67108864"},
		{"command beyond all", frame.Limits{Command: math.MaxInt}, fmt.Sprintf("frame: limit Command = %d is out of range: it must be 4096 to 67108864", math.MaxInt)},
		{"buffer below frame and delimiter", frame.Limits{Frame: 64 << 10, Buffer: 64<<10 + 3}, "frame: limit Buffer = 65539 contradicts Frame = 65536 plus the delimiter of 4: it must be 65540 to 75497472"},
		{"buffer below the default frame", frame.Limits{Buffer: 1 << 20}, "frame: limit Buffer = 1048576 contradicts Frame = 1048576 plus the delimiter of 4: it must be 1048580 to 75497472"},
		{"buffer negative", frame.Limits{Buffer: -1}, "frame: limit Buffer = -1 contradicts Frame = 1048576 plus the delimiter of 4: it must be 1048580 to 75497472"},
		{"buffer one above", frame.Limits{Buffer: 72<<20 + 1}, "frame: limit Buffer = 75497473 is out of range: it must be 1048580 to 75497472"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.lim.Validate()
			r := frame.NewReader(strings.NewReader("Asterisk Call Manager/11.0.0\r\nEvent: A\r\n\r\n"), tc.lim)
			if tc.want == "" {
				require.NoError(t, err)
				_, err = r.Banner()
				require.NoError(t, err)
				_, err = r.Next()
				require.NoError(t, err)
				return
			}
			e, ok := errors.AsType[*frame.LimitError](err)
			require.True(t, ok)
			require.Equal(t, tc.want, e.Error())
			for range 2 { // and every call of a Reader says so
				_, err = r.Banner()
				require.EqualError(t, err, tc.want)
				_, err = r.Next()
				require.EqualError(t, err, tc.want)
			}
			require.Zero(t, r.Offset())
		})
	}
}

// TestAllLimitsAtOnce: each field that is wrong is told, and nothing that follows
// from another one.
func TestAllLimitsAtOnce(t *testing.T) { // B2
	err := frame.Limits{Line: 1, Headers: 1, Frame: 1, Command: 1, Buffer: 1}.Validate()
	var names []string
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		e, ok := errors.AsType[*frame.LimitError](err)
		require.True(t, ok)
		names = append(names, e.Name)
	}
	require.Equal(t, []string{"Frame", "Line", "Headers", "Command", "Buffer"}, names)
}

func TestLimitRanges(t *testing.T) { // B2
	set := func(name string, v int) frame.Limits {
		l := frame.Limits{Frame: 4 << 20}
		switch name {
		case "Line":
			l.Line = v
		case "Headers":
			l.Headers = v
		case "Frame":
			l.Frame = v
		case "Command":
			l.Command = v
		case "Buffer":
			l.Frame, l.Buffer = 64<<10, v
		}
		return l
	}
	ranges := frame.LimitRanges()
	require.Len(t, ranges, reflect.TypeFor[frame.Limits]().NumField())
	for _, r := range ranges {
		for _, v := range []int{r.Min, r.Default, r.Max} {
			require.NoError(t, set(r.Name, v).Validate(), "%s = %d", r.Name, v)
		}
		for _, v := range []int{r.Min - 1, r.Max + 1} {
			require.Error(t, set(r.Name, v).Validate(), "%s = %d", r.Name, v)
		}
	}
}

func TestLargeFrames(t *testing.T) { // the offsets are right at every size of the frame's allocation
	for _, n := range []int{1, 15, 16, 31, 32, 63, 64, 127, 128, 129, 6000} {
		var b strings.Builder
		b.WriteString("Event: A\r\n")
		for i := range n {
			fmt.Fprintf(&b, "K%d: %d\r\n", i, i)
		}
		b.WriteString("\r\n")
		r := frame.NewReader(strings.NewReader(strings.Repeat(b.String(), 3)), frame.Limits{})
		for range 3 {
			f, err := r.Next()
			require.NoError(t, err)
			require.Equal(t, n+1, f.Len())
			require.Equal(t, fmt.Sprint(n-1), f.Get(fmt.Sprintf("k%d", n-1)))
			require.Equal(t, b.String(), f.Wire())
		}
	}
}
