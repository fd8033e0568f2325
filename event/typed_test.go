package event_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/catalog"
)

// typed is what every pointer to a typed event is.
type typed interface {
	EventName() string
	DecodeEvent(e event.Event) []event.FieldError
}

// common are headers that any event may have. Get reads them.
var common = map[string]bool{
	"Event": true, "Privilege": true, "ActionID": true, "EventList": true, "SystemName": true, // always
	"Timestamp": true, "SequenceNumber": true, "File": true, "Line": true, "Func": true, // if manager.conf says so
}

// generic are the headers that get no field, and why.
var generic = map[string]string{
	"AOC-D.Charge/Units({0})/NumberOf":         "array of any length",
	"AOC-D.Charge/Units({0})/TypeOf":           "array of any length",
	"AOC-E.Charge/Units({0})/NumberOf":         "array of any length",
	"AOC-E.Charge/Units({0})/TypeOf":           "array of any length",
	"AOC-S.({0})/Chargeable":                   "array of objects of many kinds",
	"AOC-S.({0})/{RateType}/...":               "array of objects of many kinds",
	"AuthDetail.Md5Cred":                       "secret",
	"AuthDetail.OauthSecret":                   "secret",
	"AuthDetail.Password":                      "secret",
	"AuthDetail.PasswordDigest":                "secret",
	"AuthDetail.RefreshToken":                  "secret",
	"AuthList.Md5Cred":                         "secret",
	"AuthList.OauthSecret":                     "secret",
	"AuthList.Password":                        "secret",
	"AuthList.PasswordDigest":                  "secret",
	"AuthList.RefreshToken":                    "secret",
	"ChallengeResponseFailed.ExpectedResponse": "hash of a secret",
	"ChallengeResponseFailed.Response":         "hash of a secret",
	"InvalidPassword.ReceivedHash":             "hash of a secret",
	"TestEvent.{raw}":                          "a line that need not be a header",
	"TransportDetail.Password":                 "secret",
	"UserEvent.{any}":                          "what users like",
	"VoicemailPasswordChange.NewPassword":      "secret",
}

// renamed are the fields that are not called like the header.
var renamed = map[string]string{
	"CEL.EventName": "Type", "PeerStatus.Time": "RoundTrip", "ResourceListDetail.Event": "EventPackage",
	"Status.Variable": "Variables", "FAXStatus.FileName": "FileNames", "ReceiveFAX.FileName": "FileNames",
	"SendFAX.FileName": "FileNames",
	// in Channel
	"Channel": "Name", "ChannelState": "State", "ChannelStateDesc": "StateDesc", "Uniqueid": "UniqueID",
	"Linkedid": "LinkedID", "Tenantid": "TenantID", "ChanVariable": "Variables",
	// in Bridge
	"BridgeUniqueid": "UniqueID", "BridgeType": "Type", "BridgeTechnology": "Technology", "BridgeCreator": "Creator",
	"BridgeName": "Name", "BridgeNumChannels": "NumChannels", "BridgeVideoSourceMode": "VideoSourceMode",
	"BridgeVideoSource": "VideoSource",
}

// of makes an event of headers.
func of(t testing.TB, name, headers string) event.Event {
	t.Helper()
	f, err := frame.Parse("Event: " + name + "\r\n" + headers)
	require.NoError(t, err)
	return event.Event{Node: "pbx1", Seq: 7, Time: at, Lost: 2, Frame: f}
}

// decode returns e as another of the type of like.
func decode(like typed, e event.Event) (typed, []event.FieldError) {
	v := reflect.New(reflect.TypeOf(like).Elem()).Interface().(typed)
	return v, v.DecodeEvent(e)
}

// probe returns the fields that a header sets if its value is 1, which all take.
func probe(t testing.TB, like typed, key string) map[string]any {
	t.Helper()
	v, invalid := decode(like, of(t, like.EventName(), key+": 1\r\n"))
	require.Empty(t, invalid, "%s.%s", like.EventName(), key)
	return fields(v)
}

// fields returns what is not zero in a typed event, by its path.
func fields(v typed) map[string]any {
	set := make(map[string]any)
	add(set, "", reflect.ValueOf(v).Elem())
	return set
}

func add(set map[string]any, path string, v reflect.Value) {
	for i := range v.NumField() {
		f, name := v.Field(i), path+v.Type().Field(i).Name
		switch x := f.Interface().(type) {
		case event.Event:
		case event.Channel, event.Bridge:
			add(set, name+".", f)
		case []event.RTCPReport:
			for i := range x {
				add(set, name+strconv.Itoa(i)+".", f.Index(i))
			}
		default:
			if !f.IsZero() {
				set[name] = x
			}
		}
	}
}

// A headerCase is a header of an event and the field that takes it.
type headerCase struct {
	key   string
	param catalog.Param
	field string // its path, "" if there is none
	value any    // the field if the header is 1
}

// An eventCase is an event of the catalogue with all headers that it can have.
type eventCase struct {
	*catalog.Event
	typed   typed
	headers []headerCase
}

// load returns the catalogue, with the typed event for each.
func load(t testing.TB) []eventCase {
	t.Helper()
	c, err := catalog.Load()
	require.NoError(t, err)
	var cases []eventCase
	for i := range c.Events {
		e := &c.Events[i]
		v, ok := event.Decode(of(t, e.Name, "")).(typed)
		require.True(t, ok, e.Name)
		tc := eventCase{Event: e, typed: v}
		for _, p := range e.Params {
			tc.add(t, p, "", renamed[e.Name+"."+p.Name])
		}
		for _, s := range e.Snapshots {
			for _, p := range c.Snapshots[s.Kind].Fields {
				tc.add(t, p, s.Prefix, s.Prefix+catalog.GoName(s.Kind)+"."+or(renamed[p.Name], p.Name))
			}
		}
		cases = append(cases, tc)
	}
	return cases
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// add finds the one field for a header; name is what it should be called if not
// like the header.
func (tc *eventCase) add(t testing.TB, p catalog.Param, prefix, name string) {
	t.Helper()
	h := headerCase{key: prefix + strings.ReplaceAll(p.Name, "{n}", "0"), param: p}
	if strings.Contains(p.Name, "({n})") {
		h.key = strings.ReplaceAll(p.Name, "{n}", "{0}")
	}
	for path, value := range probe(t, tc.typed, h.key) {
		require.Empty(t, h.field, "%s.%s sets two fields", tc.Name, h.key)
		h.field, h.value = path, value
	}
	if h.field != "" {
		want := or(name, catalog.GoName(p.Name))
		if rest, ok := strings.CutPrefix(p.Name, "Report{n}"); ok {
			want = "Reports0." + rest
		}
		require.Equal(t, want, h.field, "%s.%s", tc.Name, h.key)
		for _, other := range p.Spellings() {
			if !strings.Contains(p.Name, "{n}") {
				require.Contains(t, probe(t, tc.typed, prefix+other), h.field)
			}
		}
	}
	tc.headers = append(tc.headers, h)
}

func TestEveryEventHasAType(t *testing.T) { // C7, F1
	cases := load(t)
	require.Len(t, cases, 251)
	left := make(map[string]bool)
	for id := range generic {
		left[id] = true
	}
	for _, tc := range cases {
		require.Equal(t, tc.Name, tc.typed.EventName())
		require.Equal(t, catalog.GoName(tc.Name), reflect.TypeOf(tc.typed).Elem().Name())
		require.IsType(t, tc.typed, event.Decode(of(t, strings.ToUpper(tc.Name), "")), "whatever the case")
		taken := make(map[string]string)
		for _, h := range tc.headers {
			id := tc.Name + "." + h.key
			if h.field == "" {
				require.True(t, generic[id] != "" || common[h.key], "%s has no field", id)
				delete(left, id)
				continue
			}
			require.Empty(t, generic[id], "%s has a field", id)
			require.Empty(t, taken[h.field], "two headers for %s.%s", tc.Name, h.field)
			taken[h.field] = h.key
		}
	}
	require.Empty(t, left, "headers that are not there")
}

func TestUnknownEventsAreGeneric(t *testing.T) { // C7: newer than the catalogue
	e := of(t, "ShinyNew", "Header: value\r\n")
	require.Equal(t, e, event.Decode(e))
	gap := event.OfGap("pbx1", 9, at, event.Gap{From: 1, To: 2})
	require.Equal(t, gap, event.Decode(gap))
	_, ok := event.As[event.Hangup](e)
	require.False(t, ok)
	_, ok = event.As[event.Hangup](gap)
	require.False(t, ok)
}

// sample returns a text for the header, and the value of the field then.
func (h *headerCase) sample() (text string, want any) {
	switch h.value.(type) {
	case string:
		if h.param.Escaped == "c" {
			return `of\t` + h.key, "of\t" + h.key
		}
		return "of " + h.key, "of " + h.key
	case bool:
		yes, _, _ := strings.Cut(h.param.Format, "/")
		return yes, true
	case float64:
		return "1.5", 1.5
	case time.Duration:
		return "7", 7 * map[string]time.Duration{"s": time.Second, "ms": time.Millisecond, "us": time.Microsecond}[h.param.Unit]
	case time.Time:
		if h.param.Format == "sec.usec" {
			return "1700000000.250000", time.Unix(1700000000, 250_000_000)
		}
		return "1700000000", time.Unix(1700000000, 0)
	case []string:
		return "of " + h.key, []string{"of " + h.key}
	case []event.Variable:
		return "A=b=c", []event.Variable{{Name: "A", Value: "b=c"}}
	case event.DeviceState:
		return map[string]string{"int": "3", "string": "Busy"}[h.param.Type], event.DeviceStateBusy
	}
	v := reflect.New(reflect.TypeOf(h.value)).Elem() // an enum
	if v.Kind() == reflect.String {
		v.SetString("of " + h.key)
		return v.String(), v.Interface()
	}
	v.SetInt(4)
	return "4", v.Interface()
}

// frameOf returns headers with samples, and the fields that they make. The
// header at skip has another value and its field is left out.
func (tc *eventCase) frameOf(skip int, instead string) (headers string, want map[string]any) {
	var b strings.Builder
	want = make(map[string]any)
	for i, h := range tc.headers {
		if h.field == "" {
			b.WriteString(h.key + ": no field\r\n")
			continue
		}
		text, value := h.sample()
		if i == skip {
			text, value = instead, nil
		}
		b.WriteString(h.key + ": " + text + "\r\n")
		if value != nil {
			want[h.field] = value
		}
	}
	return b.String(), want
}

func TestEveryHeaderIsDecoded(t *testing.T) { // F1
	for _, tc := range load(t) {
		headers, want := tc.frameOf(-1, "")
		e := of(t, tc.Name, headers)
		v, invalid := decode(tc.typed, e)
		require.Empty(t, invalid, tc.Name)
		require.Equal(t, want, fields(v), tc.Name)
		require.Equal(t, e, reflect.ValueOf(v).Elem().FieldByName("Event").Interface(), tc.Name)
	}
}

func TestEveryBadValueIsTold(t *testing.T) { // F1: and nothing else is lost
	const huge = "99999999999999999999999"
	count := 0
	for _, tc := range load(t) {
		for i, h := range tc.headers {
			if h.field == "" || reflect.TypeOf(h.value).Kind() == reflect.String || reflect.TypeOf(h.value).Kind() == reflect.Slice {
				continue
			}
			for _, bad := range []string{"", "<unknown>", "(null)", "12x", huge} {
				if _, ok := h.value.(float64); ok && bad == huge {
					continue // a number with a point takes it
				}
				headers, want := tc.frameOf(i, bad)
				v, invalid := decode(tc.typed, of(t, tc.Name, headers))
				require.Len(t, invalid, 1, "%s.%s = %q", tc.Name, h.key, bad)
				require.NotEmpty(t, invalid[0].Want)
				invalid[0].Want = ""
				require.Equal(t, event.FieldError{Event: tc.Name, Key: h.key, Value: bad}, invalid[0])
				require.Equal(t, want, fields(v), "%s.%s = %q", tc.Name, h.key, bad)
				count++
			}
		}
	}
	require.Greater(t, count, 3000)
}
