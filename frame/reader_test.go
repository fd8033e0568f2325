package frame_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
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
	line := func(n int) string { return strings.Repeat("x", n) }
	for _, tc := range []struct {
		name, bad string
		want      string // reason; "" if within the limit
	}{
		{"line at the limit", "K: " + line(1024-3) + "\r\n\r\n", ""},
		{"line above", "Event: A\r\nActionID: 7\r\nK: " + line(1024-2) + "\r\nmore: 1\r\n\r\n", "line too long"},
		{"first line above", line(5000) + "\r\n\r\n", "line too long"},
		{"line far above", "Event: A\r\nK: " + line(100_000) + "\r\n\r\n", "line too long"},
		{"headers at the limit", "Event: A\r\n" + strings.Repeat("K: v\r\n", 127) + "\r\n", ""},
		{"headers above", "Event: A\r\n" + strings.Repeat("K: v\r\n", 128) + "\r\n", "too many headers"},
		{"frame above", "Event: A\r\n" + strings.Repeat("K: "+line(900)+"\r\n", 80) + "\r\n", "frame too large"},
		{"command at the limit", "Response: Success\r\n" + strings.Repeat("Output: 123456\r\n", 256) + "\r\n", ""},
		{"command above", "Response: Success\r\nActionID: 7\r\n" + strings.Repeat("Output: 123456\r\n", 257) + "\r\n", "command output too large"},
		{"old command above", "Response: Follows\r\nActionID: 7\r\n" + strings.Repeat("1234567\n\n", 600) + "--END COMMAND--\r\n\r\n", "command output too large"},
		{"old command above, without its end", "Response: Follows\r\n" + strings.Repeat("1234567\n\n", 600) + "\r\n", "command output too large"},
		{"old command with a long line", "Response: Follows\r\n" + line(3000) + "\n\n--END COMMAND--\r\n\r\n", "line too long"},
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

func TestOldCommandLineAtOnce(t *testing.T) { // B2: the line is whole before the check
	stream := "Response: Follows\r\n" + strings.Repeat("x", 1025) + "\n--END COMMAND--\r\n\r\nEvent: B\r\n\r\n"
	require.Equal(t, []string{"!line too long", "event B: Event=B"}, messages(t, strings.NewReader(stream), small))
}

func TestBufferLimit(t *testing.T) { // B2
	lim := frame.Limits{Frame: 64 << 10, Buffer: 64<<10 + 4, Command: 1 << 20}
	output := strings.Repeat("Output: 123456\r\n", 6000)
	require.Equal(t, []string{"!frame larger than the buffer", "event B: Event=B"},
		messages(t, strings.NewReader("Response: Success\r\n"+output+"\r\nEvent: B\r\n\r\n"), lim))
}

func TestFormatErrorHead(t *testing.T) { // B3: the ActionID of a discarded answer can be found
	long := strings.Repeat("x", 2000)
	for _, tc := range []struct{ name, stream, id string }{
		{"short head", "Response: Success\r\nActionID: 7\r\nK: " + long + "\r\n\r\n", "7"},
		{"cut at 2 KiB", "Response: Success\r\nActionID: 7\r\n" + strings.Repeat("K: v\r\n", 500) + "K: " + long + "\r\n\r\n", "7"},
		{"a line crosses 2 KiB", "Response: Success\r\nActionID: 7\r\n" + strings.Repeat("K: "+long[:700]+"\r\n", 3) + "K: " + long + "\r\n\r\n", "7"},
		{"none", long + "\r\n\r\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lim := small
			lim.Headers = 1000
			_, err := frame.NewReader(strings.NewReader(tc.stream), lim).Next()
			e, ok := errors.AsType[*frame.FormatError](err)
			require.True(t, ok)
			if tc.id == "" {
				require.Nil(t, e.Head)
				require.Equal(t, "frame: line too long (limit 1024); discarded up to the next blank line", e.Error())
				return
			}
			require.Equal(t, tc.id, e.Head.Get("ActionID"))
			require.Contains(t, e.Error(), `in response "Success"`)
		})
	}
	lim := frame.Limits{Line: 60 << 10, Frame: 64 << 10}
	first := "Event: " + strings.Repeat("e", 3000) + "\r\n"
	_, err := frame.NewReader(strings.NewReader(first+strings.Repeat("K: "+strings.Repeat("x", 30_000)+"\r\n", 3)+"\r\n"), lim).Next()
	e, ok := errors.AsType[*frame.FormatError](err)
	require.True(t, ok)
	require.Nil(t, e.Head, "the first line alone is above 2 KiB")
}

func TestBanner(t *testing.T) { // B5
	for _, tc := range []struct {
		name, stream, want, wrong string
		err                       error
	}{
		{"Asterisk", "Asterisk Call Manager/11.0.0\r\nEvent: A\r\n\r\n", "Asterisk Call Manager/11.0.0", "", nil},
		{"LF", "Asterisk Call Manager/7.0.3\n", "Asterisk Call Manager/7.0.3", "", nil},
		{"SSH", "SSH-2.0-OpenSSH_9.2\r\nx", "", "SSH-2.0-OpenSSH_9.2", nil},
		{"binary", "J\x00\x00\x00\x0a5.5.5\x00", "", "J\x00\x00\x00", nil},
		{"too long", "Asterisk Call Manager/" + strings.Repeat("1", 1000), "", "Asterisk Call Manager/" + strings.Repeat("1", 234), nil},
		{"cut", "Asterisk Ca", "", "Asterisk Ca", nil},
		{"nothing", "", "", "", io.EOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := frame.NewReader(strings.NewReader(tc.stream), frame.Limits{})
			got, err := r.Banner()
			require.Equal(t, tc.want, got)
			switch e, ok := errors.AsType[*frame.BannerError](err); {
			case tc.wrong != "":
				require.True(t, ok)
				require.Equal(t, tc.wrong, e.Line)
				require.Contains(t, e.Error(), "not an Asterisk manager")
			case tc.err != nil:
				require.ErrorIs(t, err, tc.err)
			default:
				require.NoError(t, err)
				require.EqualValues(t, strings.IndexByte(tc.stream, 10)+1, r.Offset())
			}
		})
	}
	_, err := frame.NewReader(iotest.ErrReader(errors.New("broken")), frame.Limits{}).Banner()
	require.ErrorContains(t, err, "broken")
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestReadErrors(t *testing.T) {
	_, err := frame.NewReader(stuck{}, frame.Limits{}).Next()
	require.ErrorIs(t, err, io.ErrNoProgress)
	r := frame.NewReader(iotest.ErrReader(errors.New("broken")), frame.Limits{})
	for range 2 {
		_, err = r.Next()
		require.ErrorContains(t, err, "broken", "the error stays")
	}
	r = frame.NewReader(strings.NewReader(strings.Repeat("x", 2000)), small)
	_, err = r.Next()
	require.ErrorContains(t, err, "line too long")
	_, err = r.Next()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the end came while a frame was discarded")
	r = frame.NewReader(strings.NewReader(""), frame.Limits{Frame: 1})
	_, err = r.Next()
	_, ok := errors.AsType[*frame.LimitError](err)
	require.True(t, ok)
}

func TestLimitsValidate(t *testing.T) { // B2
	for _, tc := range []struct {
		name string
		lim  frame.Limits
		want []string
	}{
		{"defaults", frame.Limits{}, nil},
		{"smallest", frame.Limits{Line: 1024, Headers: 128, Frame: 64 << 10, Command: 4096, Buffer: 64<<10 + 4}, nil},
		{"frame too small", frame.Limits{Frame: 65535}, []string{"Frame = 65535", "65536"}},
		{"frame too large", frame.Limits{Frame: 4<<20 + 1}, []string{"Frame", "4194304"}},
		{"negative", frame.Limits{Headers: -1}, []string{"Headers = -1"}},
		{"line above frame", frame.Limits{Line: 70_000, Frame: 64 << 10}, []string{"Line = 70000", "Frame = 65536"}},
		{"command", frame.Limits{Command: 1}, []string{"Command = 1"}},
		{"buffer below frame and delimiter", frame.Limits{Frame: 64 << 10, Buffer: 64<<10 + 3}, []string{"Buffer = 65539", "Frame = 65536", "65540"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.lim.Validate()
			if tc.want == nil {
				require.NoError(t, err)
			}
			for _, w := range tc.want {
				require.ErrorContains(t, err, w)
			}
		})
	}
}

// endless repeats a piece for ever.
type endless struct {
	piece string
	left  int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n+len(e.piece) <= len(p) {
		n += copy(p[n:], e.piece)
	}
	if n == 0 {
		n = copy(p, e.piece[:1])
	}
	e.left -= n
	return n, nil
}

func TestMemoryIsBounded(t *testing.T) { // B2, B3
	for name, stream := range map[string]struct{ head, piece string }{
		"no line feed":            {"", "xxxxxxxx"},
		"headers":                 {"Event: A\r\n", "K: v\r\n"},
		"output":                  {"Response: Success\r\n", "Output: abc\r\n"},
		"old command":             {"Response: Follows\r\n", "some output\n\n"},
		"old command, one line":   {"Response: Follows\r\n", "xxxxxxxxxxxxxx"},
		"blank lines":             {"", "\r\n"},
		"text without a colon":    {"", "abc\n"},
		"frames with no end":      {"", "Event: A\r\n"},
		"many malformed messages": {"", strings.Repeat("K: v\r\n", 200) + "\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			r := frame.NewReader(io.MultiReader(strings.NewReader(stream.head), &endless{stream.piece, 20 << 20}), small)
			runtime.GC()
			runtime.ReadMemStats(&before)
			for {
				_, err := r.Next()
				if _, ok := errors.AsType[*frame.FormatError](err); err != nil && !ok {
					break
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(1<<20))
			runtime.KeepAlive(r)
		})
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
