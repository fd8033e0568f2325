package bridge

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

func parse(t testing.TB, wire string) *frame.Frame {
	t.Helper()
	f, err := frame.Parse(wire)
	require.NoError(t, err)
	return f
}

// tokens are those of a JSON text, numbers as they stand there.
func tokens(t testing.TB, data []byte) (list []json.Token) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err == io.EOF {
			return list
		}
		require.NoError(t, err, "%q", data)
		list = append(list, token)
	}
}

func TestAppendHeaders(t *testing.T) {
	for _, tc := range []struct{ name, wire, want string }{
		{"plain", "Event: Hangup\r\nChannel: PJSIP/2001-1\r\nCause: 16\r\n\r\n", `{"Event":"Hangup","Channel":"PJSIP/2001-1","Cause":"16"}`},
		{"repeated", "Event: E\r\nVariable: a=1\r\nX: y\r\nvariable: b=2\r\n\r\n", `{"Event":"E","Variable":["a=1","b=2"],"X":"y"}`},
		{"text lines", "Event: E\r\nno colon\r\nX: y\r\nnor here\r\n\r\n", `{"Event":"E","X":"y","":["no colon","nor here"]}`},
		{"one text line", "Event: E\r\nno colon\r\n\r\n", `{"Event":"E","":"no colon"}`},
		{"empty value", "Event: E\r\nA:\r\n\r\n", `{"Event":"E","A":""}`},
		{"escapes", "Event: E\r\nA: \"q\" \\ \t \x01 <&>\r\n\r\n", `{"Event":"E","A":"\"q\" \\ \t \u0001 <&>"}`},
		{"latin-1", "Event: E\r\nCallerIDName: M\xfcller\r\n\r\n", "{\"Event\":\"E\",\"CallerIDName\":\"M\uFFFDller\"}"},
		{"utf-8", "Event: E\r\nCallerIDName: Müller 电话\r\n\r\n", `{"Event":"E","CallerIDName":"Müller 电话"}`},
		{"names of the same length and ends", "Event: E\r\nAxxB: 1\r\nAyyB: 2\r\n\r\n", `{"Event":"E","AxxB":"1","AyyB":"2"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, string(appendHeaders(nil, parse(t, tc.wire))))
		})
	}
}

// FuzzHeaders: what is written is what encoding/json writes of the same headers,
// but for its escapes.
func FuzzHeaders(f *testing.F) {
	f.Add("Event: Hangup\r\nChannel: a\"b\\c\r\nX: \xff\xc3\x28\r\nchannel: \u2028\r\ntext\r\n\r\n")
	f.Add("Event: E\r\nA: 1\r\na: 2\r\nA: 3\r\n\r\n")
	f.Fuzz(func(t *testing.T, wire string) {
		m, err := frame.Parse(wire)
		if err != nil {
			return
		}
		got := appendHeaders(nil, m)
		require.True(t, utf8.Valid(got), "%q", got)
		require.Equal(t, tokens(t, headersByTheBook(t, m)), tokens(t, got))
	})
}

// headersByTheBook is appendHeaders in the slow and simple way.
func headersByTheBook(t testing.TB, m *frame.Frame) []byte {
	var names []string
	values := make(map[string][]string)
	lower := func(s string) string { // of ASCII alone
		return strings.Map(func(r rune) rune {
			if r >= 'A' && r <= 'Z' {
				r += 'a' - 'A'
			}
			return r
		}, strings.ToValidUTF8(s, "\uFFFE"))
	}
	for key, value := range m.All() {
		if !utf8.ValidString(key) {
			t.Skip("names of bytes that are no text")
		}
		if values[lower(key)] == nil && key != "" {
			names = append(names, key)
		}
		values[lower(key)] = append(values[lower(key)], value)
	}
	if values[""] != nil {
		names = append(names, "")
	}
	b := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		key, err := json.Marshal(name)
		require.NoError(t, err)
		var value any = values[lower(name)]
		if list := values[lower(name)]; len(list) == 1 {
			value = list[0]
		}
		v, err := json.Marshal(value)
		require.NoError(t, err)
		b = append(append(append(b, key...), ':'), v...)
	}
	return append(b, '}')
}

func TestAppendText(t *testing.T) { // every byte, at every place of a word and behind it
	for c := range 256 {
		for at := range 20 {
			s := strings.Repeat("a", at) + string([]byte{byte(c)}) + "~ b!#[]"[:at%8]
			var got string
			require.NoError(t, json.Unmarshal(appendText(nil, s), &got), "%q", s)
			require.Equal(t, strings.ToValidUTF8(s, "\uFFFD"), got)
		}
	}
}

func TestPayloads(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.FixedZone("", 3600))
	r := &Record{Instance: "host-1.1", Node: "pbx1", Epoch: 2, Seq: 7, Kind: KindEvent, Name: "Hangup", Time: at}
	e := &event.Event{Node: "pbx1", Seq: 9, Time: at, Frame: parse(t, "Event: Hangup\r\nCause: 16\r\n\r\n")}
	head := `"id":"host-1.1/pbx1/2/7","node":"pbx1","epoch":2,"seq":7,"time":"2026-01-02T02:04:05.678Z"`
	require.Equal(t, `{"kind":"event",`+head+`,"event":"Hangup","headers":{"Event":"Hangup","Cause":"16"}}`, string(appendEvent(nil, r, e)))

	r.Kind = KindGap
	require.Equal(t, `{"kind":"gap",`+head+`,"lost":3,"gap":{"from":1,"to":2,"down_ms":1.5,"reason":"cut","after":"x/pbx1/1/1","final":true}}`,
		string(appendGap(nil, r, gap{from: 1, to: 2, down: 1500 * time.Microsecond, reason: "cut", lost: 3, after: "x/pbx1/1/1", final: true})))

	r.Kind = KindState
	require.Equal(t, `{"kind":"state",`+head+`,"state":"ready","session":2,"since":"2026-01-02T02:04:05.678Z","version":"9.0.0"}`,
		string(appendState(nil, r, &NodeState{State: "ready", Epoch: 2, Since: at, Version: "9.0.0"})))

	v := &envelope{source: "/ami/host"}
	r.Kind = KindEvent
	b := v.close(appendEvent(v.open(nil, r), r, e))
	require.Equal(t, `{"specversion":"1.0","id":"host-1.1/pbx1/2/7","source":"/ami/host","type":"ami.event.Hangup","subject":"pbx1",`+
		`"time":"2026-01-02T02:04:05.678Z","sequence":"7","datacontenttype":"application/json","data":`+string(appendEvent(nil, r, e))+`}`, string(b))
	require.True(t, json.Valid(b))
}

func TestEntry(t *testing.T) {
	var d decoder
	want := Record{
		Instance: "host-1.1", Node: "pbx1", Epoch: math.MaxUint64, Seq: 1 << 40, Kind: KindGap, Name: "Gap",
		Time: time.Unix(0, 1_700_000_000_123_456_789), Token: 300, Payload: []byte(`{"a":1}`),
	}
	entry := append(appendEntry(nil, &want), want.Payload...)
	var got Record
	require.NoError(t, d.decode(entry, &got))
	require.Equal(t, want, got)
	for n := range len(entry) - len(want.Payload) {
		require.ErrorIs(t, d.decode(entry[:n], &got), errEntry, "%d bytes", n)
	}
	entry[0]++
	require.ErrorIs(t, d.decode(entry, &got), errEntry, "another form")
}

func FuzzEntry(f *testing.F) {
	f.Add(appendEntry(nil, &Record{Instance: "i", Node: "n", Name: "x"}))
	f.Fuzz(func(t *testing.T, entry []byte) {
		var d decoder
		var r Record
		if d.decode(entry, &r) == nil {
			again := append(appendEntry(nil, &r), r.Payload...)
			var same Record
			require.NoError(t, d.decode(again, &same))
			require.Equal(t, r, same)
		}
	})
}

// TestAppendEventAllocates nothing once its buffer is large enough.
func TestAppendEventAllocates(t *testing.T) {
	f := parse(t, "Event: Newchannel\r\nPrivilege: call,all\r\nChannel: PJSIP/2001-00000001\r\nChannelState: 0\r\nUniqueid: 1.1\r\n\r\n")
	e := &event.Event{Node: "pbx1", Time: time.Now(), Frame: f}
	r := &Record{Instance: "i", Node: "pbx1", Kind: KindEvent, Name: f.Name(), Time: e.Time}
	buf := slices.Grow([]byte(nil), 4096)
	require.Zero(t, testing.AllocsPerRun(100, func() { buf = appendEvent(appendEntry(buf[:0], r), r, e) }))
}

func BenchmarkAppendEvent(b *testing.B) {
	wire := "Event: Newchannel\r\nPrivilege: call,all\r\nSystemName: pbx1\r\nChannel: PJSIP/2001-00000001\r\nChannelState: 0\r\nChannelStateDesc: Down\r\nCallerIDNum: 2001\r\nCallerIDName: Alice Example\r\nConnectedLineNum: <unknown>\r\nConnectedLineName: <unknown>\r\nLanguage: en\r\nAccountCode: \r\nContext: default\r\nExten: 2002\r\nPriority: 1\r\nUniqueid: 1700000000.1\r\nLinkedid: 1700000000.1\r\n\r\n"
	f := parse(b, wire)
	e := &event.Event{Node: "pbx1", Time: time.Now(), Frame: f}
	r := &Record{Instance: "host-abcdefg.1", Node: "pbx1", Kind: KindEvent, Name: f.Name(), Time: e.Time}
	var buf []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		buf = appendEvent(appendEntry(buf[:0], r), r, e)
	}
}

func BenchmarkAppendHeaders(b *testing.B) {
	f := parse(b, "Event: Newexten\r\nPrivilege: dialplan,all\r\nChannel: PJSIP/2001-0000002a\r\nChannelState: 6\r\nChannelStateDesc: Up\r\n"+
		"CallerIDNum: 2001\r\nCallerIDName: Alice Ekman\r\nConnectedLineNum: 2007\r\nConnectedLineName: Greta Lind\r\nLanguage: en\r\nAccountCode: \r\n"+
		"Context: default\r\nExten: 100\r\nPriority: 1\r\nUniqueid: 1795617945.10\r\nLinkedid: 1795617945.9\r\nExtension: 100\r\nApplication: Wait\r\nAppData: 1\r\n\r\n")
	var dst []byte
	for b.Loop() {
		dst = appendHeaders(dst[:0], f)
	}
	b.SetBytes(int64(len(f.Wire())))
}
