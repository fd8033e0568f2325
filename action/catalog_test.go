package action_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/action"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/catalog"
	"github.com/apn/ami/strategy"
)

func load(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Load()
	require.NoError(t, err)
	return c
}

// typed returns every typed action by name.
func typed() map[string]action.Action {
	m := map[string]action.Action{}
	for _, a := range action.All {
		m[a.Name()] = a
	}
	return m
}

// elsewhere are the parameters that are no field of the struct, with the reason.
var elsewhere = map[string]string{
	"Challenge.AuthType": "always MD5", "Login.AuthType": "follows from Key", "Park.Channel2": "alias of TimeoutChannel",
	"JabberSend.JID":  "documented, never read",
	"UserEvent.{any}": "Headers", "UpdateConfig.PreserveEffectiveContext": "DropEffectiveContext",
	"UpdateConfig.Action-{n6}": "Changes", "UpdateConfig.Cat-{n6}": "Changes", "UpdateConfig.Var-{n6}": "Changes",
	"UpdateConfig.Value-{n6}": "Changes", "UpdateConfig.Match-{n6}": "Changes", "UpdateConfig.Line-{n6}": "Changes",
	"UpdateConfig.Options-{n6}":  "Changes",
	"AOCMessage.UnitAmount({n})": "Units", "AOCMessage.UnitType({n})": "Units", "AOCMessage.ChargedItem": "Rates",
	"AOCMessage.RateType": "Rates", "AOCMessage.Time": "Rates", "AOCMessage.TimeScale": "Rates",
	"AOCMessage.Granularity": "Rates", "AOCMessage.GranularityTimeScale": "Rates", "AOCMessage.ChargingType": "Rates",
	"AOCMessage.VolumeUnit": "Rates", "AOCMessage.Code": "Rates",
}

// TestCatalogue walks the catalogue: every action is a type with a field for
// each parameter, and knows its list end (C7, C2).
func TestCatalogue(t *testing.T) {
	c, all := load(t), typed()
	require.Len(t, c.Actions, 169)
	require.Len(t, all, 169)
	for _, a := range c.Actions {
		t.Run(a.Name, func(t *testing.T) {
			got := all[a.Name]
			require.NotNil(t, got)
			for _, p := range a.Params {
				if _, ok := elsewhere[a.Name+"."+p.Name]; ok {
					continue
				}
				_, ok := reflect.TypeOf(got).FieldByNameFunc(func(field string) bool {
					return strings.EqualFold(field, catalog.GoName(p.Name)) || field == "Variables" && p.Name == "Variable"
				})
				require.True(t, ok, "no field for %s", p.Name)
			}
			_, ok := reflect.TypeOf(got).MethodByName("Decode")
			require.True(t, ok, "it is Typed")
			s := got.Strategy()
			require.NoError(t, s.Validate())
			if a.List != nil && a.List.OnlyWhen == "" {
				require.Equal(t, strategy.List, s.Kind)
				require.Equal(t, []string{a.List.Complete}, s.Terminal)
				require.Equal(t, a.List.Empty == "error" && a.Name != "PJSIPShowEndpoint", len(s.Empty) > 0)
			}
		})
	}
	for name := range elsewhere {
		key, param, _ := strings.Cut(name, ".")
		require.NotNil(t, all[key], name)
		require.NotEmpty(t, param)
	}
}

// TestLookup: the table says of every action what its type says (C2, C7).
func TestLookup(t *testing.T) {
	all := typed()
	for _, a := range load(t).Actions {
		for _, name := range []string{a.Name, strings.ToLower(a.Name), strings.ToUpper(a.Name)} {
			f, ok := action.Lookup(name)
			require.True(t, ok, name)
			require.Equal(t, a.Name, f.Name)
			require.Equal(t, a.Module, f.Module)
			require.ElementsMatch(t, a.Privilege, f.Privilege)
			require.Equal(t, a.RemovedAfter, f.RemovedAfter)
			if a.List != nil {
				require.Equal(t, a.List.Complete, f.ListEnd)
			}
			want := all[a.Name].Strategy()
			want.Timeout = 0 // depends on parameters
			require.Equal(t, want, f.Strategy, a.Name)
			require.Equal(t, all[a.Name].Strategy().Kind, action.New(name).Strategy().Kind)
		}
	}
	for _, name := range []string{"", "Frobnicate", "Ping ", "zzz", "a"} {
		_, ok := action.Lookup(name)
		require.False(t, ok, name)
		require.Equal(t, strategy.Strategy{}, action.New(name).Strategy())
	}
}

func TestGenericStrategy(t *testing.T) { // C2
	async := action.Originate{Async: true, Timeout: 5 * time.Second}
	require.Equal(t, async.Strategy(), action.New("originate", "ASYNC", "yes", "Timeout", "5000").Strategy())
	require.Equal(t, action.Originate{}.Strategy(), action.New("Originate", "Async", "false").Strategy())
	require.Equal(t, action.Originate{Async: true}.Strategy(), action.New("Originate", "Async", " \ttrue").Strategy(), "Asterisk does not see the blanks")
	require.Equal(t, action.WaitEvent{Timeout: time.Minute}.Strategy(), action.New("WaitEvent", "Timeout", "60").Strategy())
	require.Equal(t, action.Status{}.Strategy(), action.New("status").Strategy())
	own := strategy.Strategy{Kind: strategy.Single, Responses: 2}
	require.Equal(t, own, action.New("Status").Answered(own).Strategy(), "the last word")
}

// fill sets every field of v to a random value that Asterisk could take.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[action.Secret]() {
			v.Set(reflect.ValueOf(action.NewSecret("s3cr3t")))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(r, v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+r.IntN(3), 3))
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("v%x", r.Uint32()))
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int:
		v.SetInt(1 + r.Int64N(100))
	case reflect.Int64: // a time.Duration
		v.SetInt(int64(time.Duration(1+r.IntN(100)) * time.Second))
	}
}

// choices are the fields that take few values only: one of each.
var choices = map[string]string{
	"Tone": "Both", "Control": "stop", "Direction": "both", "LoadType": "reload", "Operation": "Add",
	"MsgType": "D", "ChargeType": "Unit", "CurrencyMultiplier": "One", "TotalType": "Total", "AOCBillingID": "Normal",
	"ChargedItem": "CallSetup", "RateType": "Flat", "TimeScale": "Second", "GranularityTimeScale": "Day",
	"ChargingType": "StepFunction", "VolumeUnit": "Octet", "Action": "Append",
}

func choose(v reflect.Value, action string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if c, ok := choices[f.Name]; ok && f.Type.Kind() == reflect.String {
				if action == "MuteAudio" && f.Name == "Direction" {
					c = "all"
				}
				v.Field(i).SetString(c)
				continue
			}
			choose(v.Field(i), action)
		}
	case reflect.Slice:
		for i := range v.Len() {
			choose(v.Index(i), action)
		}
	}
}

// random returns an action of a's type with random fields.
func random(r *rand.Rand, a action.Action) action.Action {
	v := reflect.New(reflect.TypeOf(a)).Elem()
	fill(r, v)
	choose(v, a.Name())
	if v.Kind() == reflect.Struct && a.Name() == "Login" && r.IntN(2) == 0 {
		v.FieldByName("Key").SetZero()
	}
	return v.Interface().(action.Action)
}

// TestEncode: whatever the fields, the bytes parse as one action with exactly
// the headers that the fields stand for; the zero value sends what is required
// or is refused, and a second encoding gives the same (C7, B6).
func TestEncode(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 7))
	for _, zero := range action.All {
		t.Run(zero.Name(), func(t *testing.T) {
			for range 50 {
				a := random(r, zero)
				fields, err := a.AppendFields(nil)
				require.NoError(t, err)
				again, err := a.AppendFields(nil)
				require.NoError(t, err)
				require.Equal(t, values(fields), values(again), "immutable")
				wire, err := frame.AppendAction(nil, a.Name(), fields)
				require.NoError(t, err)
				f, err := frame.Parse(string(wire))
				require.NoError(t, err)
				got := map[string][]string{}
				for key, value := range f.All() {
					got[key] = append(got[key], value)
				}
				require.Equal(t, []string{a.Name()}, got["Action"])
				delete(got, "Action")
				require.Equal(t, values(fields), got)
				checkFields(t, a, got)
			}
			fields, err := zero.AppendFields([]frame.Field{{Key: "ActionID", Value: "1"}})
			if err != nil {
				_, ok := errors.AsType[*action.InvalidError](err)
				require.True(t, ok, "%T", err)
				return
			}
			require.Equal(t, "ActionID", fields[0].Key, "appended")
		})
	}
}

func values(fields []frame.Field) map[string][]string {
	m := map[string][]string{}
	for _, f := range fields {
		m[f.Key] = append(m[f.Key], f.Value)
	}
	return m
}

// checkFields compares the simple fields with what was sent.
func checkFields(t *testing.T, a action.Action, got map[string][]string) {
	t.Helper()
	v := reflect.ValueOf(a)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		var sent []string
		for key, values := range got {
			if strings.EqualFold(catalog.GoName(key), name) {
				sent = values
			}
		}
		switch f := v.Field(i); {
		case f.Kind() == reflect.String && name != "EventName":
			require.NotEmpty(t, sent, name)
			require.Equal(t, f.String(), sent[0], name)
		case f.Kind() == reflect.Int:
			require.NotEmpty(t, sent, name)
			require.Equal(t, fmt.Sprint(f.Int()), sent[0], name)
		case f.Kind() == reflect.Bool && f.Bool() && name != "DropEffectiveContext":
			require.Len(t, sent, 1, name)
			require.Contains(t, []string{"1", "true", "yes", "on"}, sent[0])
		}
	}
}

// TestBadStrings: CR, LF, NUL or too long a value in any field of any action is
// a typed error, and nothing is written (B6, C7).
func TestBadStrings(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, zero := range action.All {
		for i := range reflect.TypeOf(zero).NumField() {
			field := reflect.TypeOf(zero).Field(i)
			if field.Type.Kind() != reflect.String {
				continue
			}
			for _, bad := range []string{"a\rb", "a\nb", "a\x00b", "a\r\nAction: Originate", strings.Repeat("x", 2000)} {
				v := reflect.New(reflect.TypeOf(zero)).Elem()
				v.Set(reflect.ValueOf(random(r, zero)))
				v.Field(i).SetString(bad)
				a := v.Interface().(action.Action)
				fields, err := a.AppendFields(nil)
				if err == nil {
					var wire []byte
					wire, err = frame.AppendAction(nil, a.Name(), fields)
					require.Empty(t, wire)
				}
				_, invalid := errors.AsType[*action.InvalidError](err)
				_, encode := errors.AsType[*frame.EncodeError](err)
				require.True(t, invalid || encode, "%s.%s = %q: %v", a.Name(), field.Name, bad[:3], err)
				require.NotContains(t, err.Error(), bad)
			}
		}
	}
}

func TestBadValues(t *testing.T) { // C7
	many := make([]action.ConfigChange, 200)
	for i := range many {
		many[i] = action.ConfigChange{Action: "Append", Cat: "c", Var: "v", Value: "x"}
	}
	for _, tc := range []struct {
		name string
		a    action.Action
		want string
	}{
		{"negative timeout", action.Originate{Channel: "a", Application: "b", Timeout: -1}, "action Originate: Timeout must be a whole number of milliseconds and not negative"},
		{"no whole unit", action.QueueAdd{Queue: "q", Interface: "i", Wrapuptime: time.Millisecond}, "action QueueAdd: Wrapuptime must be a whole number of seconds and not negative"},
		{"negative seconds", action.AbsoluteTimeout{Channel: "c", Timeout: -time.Second}, "Timeout must not be negative"},
		{"cause", action.Hangup{Channel: "c", Cause: 128}, "Cause must be 1 to 127, or 0 to leave it to Asterisk"},
		{"negative cause", action.Hangup{Channel: "c", Cause: -1}, "Cause must be"},
		{"enum", action.ControlPlayback{Channel: "c", Control: "rewind"}, "Control must be one of stop, forward, reverse, pause, restart"},
		{"required enum", action.ModuleLoad{Module: "m"}, "LoadType must be one of load, unload, reload, refresh"},
		{"required", action.QueueAdd{Queue: "q"}, "action QueueAdd: Interface is required"},
		{"required list", action.SIPnotify{Channel: "c"}, "Variable is required"},
		{"variable name", action.MessageSend{Variables: []action.Variable{{Name: "a=b"}}}, "needs a name without = and comma"},
		{"unique id", action.Originate{Channel: "a", Application: "b", ChannelID: strings.Repeat("x", 150)}, "ChannelId must have at most 149 bytes"},
		{"no channel", action.AOCMessage{MsgType: "D"}, "Channel or ChannelPrefix is required"},
		{"too many units", action.AOCMessage{Channel: "c", MsgType: "D", Units: make([]action.AOCUnit, 33)}, "UnitAmount occurs more than 32 times"},
		{"change without action", action.UpdateConfig{SrcFilename: "a", DstFilename: "a", Changes: []action.ConfigChange{{}}}, "Action-000000 must be one of NewCat"},
		{"odd headers", action.With(action.Ping{}, "a"), "headers end with a name that has no value"},
		{"header twice", action.With(action.QueueAdd{Queue: "q", Interface: "i"}, "queue", "r"), "queue is sent by the action itself"},
		{"how it completes", action.With(action.Originate{Channel: "c", Application: "a"}, "async", "true"), "async decides how the action completes: set its field"},
		{"how long it takes", action.With(action.Originate{Channel: "c", Application: "a"}, "Timeout", "60000"), "Timeout decides how the action completes: set its field"},
		{"invalid below", action.With(action.QueueAdd{Queue: "q"}, "Penalty", "0"), "Interface is required"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fields, err := tc.a.AppendFields([]frame.Field{{Key: "ActionID", Value: "1"}})
			e, ok := errors.AsType[*action.InvalidError](err)
			require.True(t, ok, "%v", err)
			require.Contains(t, e.Error(), tc.want)
			require.Nil(t, fields)
		})
	}
	for _, name := range []string{"Frobnicate", "", "Ping ", "QueueStatuss"} {
		_, err := action.New(name).AppendFields(nil)
		e, ok := errors.AsType[*action.InvalidError](err)
		require.True(t, ok, "%q: %v", name, err)
		require.Equal(t, "action "+name+": Action is no action of Asterisk 18 to 23: use Custom if your server has it", e.Error())
		_, err = action.Custom(name).AppendFields(nil)
		require.NoError(t, err)
		_, err = action.New(name).Answered(strategy.Strategy{}).AppendFields(nil)
		require.NoError(t, err, "it says how it is answered: it is meant")
	}
	fields, err := action.UpdateConfig{SrcFilename: "a", DstFilename: "a", Changes: many}.AppendFields(nil)
	require.NoError(t, err)
	wire, err := frame.AppendAction(nil, "UpdateConfig", fields)
	_, ok := errors.AsType[*frame.EncodeError](err)
	require.True(t, ok, "more headers than Asterisk takes: %v", err)
	require.Empty(t, wire)
}

// TestWith: an optional zero can be sent, and nothing else changes.
func TestWith(t *testing.T) { // C7
	add := action.QueueAdd{Queue: "q", Interface: "i"}
	a := action.With(add, "Penalty", "0", "Reason", "")
	fields, err := a.AppendFields(nil)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"Queue": {"q"}, "Interface": {"i"}, "Penalty": {"0"}, "Reason": {""}}, values(fields))
	require.Equal(t, "QueueAdd", a.Name())
	require.Equal(t, add.Strategy(), a.Strategy())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.Equal(t, "Setvar with 1 more headers", fmt.Sprintf(verb, action.With(action.Setvar{Variable: "v"}, "X", "canary")))
	}
}

// TestUpdateConfig and the ones below: headers of more than one part.
func TestUpdateConfig(t *testing.T) { // C7
	fields, err := action.UpdateConfig{SrcFilename: "a.conf", DstFilename: "b.conf", Reload: "yes", DropEffectiveContext: true, Changes: []action.ConfigChange{
		{Action: "newcat", Cat: "x", Options: "template"}, {Action: "Append", Cat: "x", Var: "v", Value: "1"},
	}}.AppendFields(nil)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{
		"SrcFilename": {"a.conf"}, "DstFilename": {"b.conf"}, "Reload": {"yes"}, "PreserveEffectiveContext": {"no"},
		"Action-000000": {"newcat"}, "Cat-000000": {"x"}, "Options-000000": {"template"},
		"Action-000001": {"Append"}, "Cat-000001": {"x"}, "Var-000001": {"v"}, "Value-000001": {"1"},
	}, values(fields))
}

func TestAOCMessage(t *testing.T) { // C7
	fields, err := action.AOCMessage{
		Channel: "c", MsgType: "S", Units: []action.AOCUnit{{Amount: 5, Type: 2}, {Amount: 0}},
		Rates: []action.AOCRate{{ChargedItem: "CallSetup", RateType: "Flat", CurrencyAmount: 3}, {ChargedItem: "NA"}},
	}.AppendFields(nil)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{
		"Channel": {"c"}, "MsgType": {"S"}, "UnitAmount(0)": {"5"}, "UnitType(0)": {"2"}, "UnitAmount(1)": {"0"},
		"ChargedItem": {"CallSetup", "NA"}, "RateType": {"Flat"}, "CurrencyAmount": {"3"},
	}, values(fields))
}
