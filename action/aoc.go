package action

import (
	"fmt"
	"strconv"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// AOCMessage sends an advice of charge to a channel
// (main/manager.c:action_aocmessage). Privilege aoc. Which fields are needed
// depends on MsgType and ChargeType; those that Asterisk does not find where it
// needs them it refuses.
type AOCMessage struct {
	Channel       string // this or ChannelPrefix
	ChannelPrefix string

	MsgType    string // required; S, D or E
	ChargeType string // NA, FREE, Currency or Unit; needed for D and E

	Units []AOCUnit // with ChargeType Unit, at most 32

	CurrencyName       string // with ChargeType Currency, and the two below
	CurrencyAmount     int
	CurrencyMultiplier string // OneThousandth, OneHundredth, OneTenth, One, Ten, Hundred or Thousand

	TotalType    string // Total (Asterisk's default) or SubTotal
	AOCBillingID string // Normal, ReverseCharge, CreditCard, CallFwdUnconditional, CallFwdBusy, CallFwdNoReply, CallDeflection or CallTransfer

	ChargingAssociationID     int
	ChargingAssociationNumber string
	ChargingAssociationPlan   int

	// Rates go with MsgType S. Each is sent with its own headers; where a header
	// of it occurs more than once, Asterisk takes the last.
	Rates []AOCRate
}

// An AOCUnit is a number of units of charge.
type AOCUnit struct {
	Amount int
	Type   int // 1 to 16, 0 if it has none
}

// An AOCRate is the price of one thing, for MsgType S.
type AOCRate struct {
	ChargedItem          string // NA, SpecialArrangement, BasicCommunication, CallAttempt, CallSetup, UserUserInfo or SupplementaryService
	RateType             string // NA, Free, FreeFromBeginning, Duration, Flat, Volume or SpecialCode
	CurrencyName         string
	CurrencyAmount       int
	CurrencyMultiplier   string
	Time                 int
	TimeScale            string // OneHundredthSecond, OneTenthSecond, Second, TenSeconds, Minute, Hour or Day
	Granularity          int
	GranularityTimeScale string // as TimeScale
	ChargingType         string // ContinuousCharging or StepFunction
	VolumeUnit           string // Octet, Segment or Message
	Code                 int
}

const maxUnits = 32

// Name implements Action.
func (AOCMessage) Name() string { return "AOCMessage" }

// AppendFields implements Action.
func (a AOCMessage) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "AOCMessage", dst: dst}
	if a.Channel == "" && a.ChannelPrefix == "" {
		f.invalid("Channel", "or ChannelPrefix is required")
	}
	f.optional("Channel", a.Channel)
	f.optional("ChannelPrefix", a.ChannelPrefix)
	f.requiredOneOf("MsgType", a.MsgType, "S", "D", "E")
	f.optionalOneOf("ChargeType", a.ChargeType, "NA", "FREE", "Currency", "Unit")
	if len(a.Units) > maxUnits {
		f.invalid("UnitAmount", fmt.Sprintf("occurs more than %d times", maxUnits))
	}
	for n, u := range a.Units {
		f.requiredNumber("UnitAmount("+strconv.Itoa(n)+")", u.Amount)
		f.optionalNumber("UnitType("+strconv.Itoa(n)+")", u.Type)
	}
	f.currency(a.CurrencyName, a.CurrencyAmount, a.CurrencyMultiplier)
	f.optionalOneOf("TotalType", a.TotalType, "Total", "SubTotal")
	f.optionalOneOf("AOCBillingId", a.AOCBillingID, "Normal", "ReverseCharge", "CreditCard",
		"CallFwdUnconditional", "CallFwdBusy", "CallFwdNoReply", "CallDeflection", "CallTransfer")
	f.optionalNumber("ChargingAssociationId", a.ChargingAssociationID)
	f.optional("ChargingAssociationNumber", a.ChargingAssociationNumber)
	f.optionalNumber("ChargingAssociationPlan", a.ChargingAssociationPlan)
	for _, r := range a.Rates {
		r.append(&f)
	}
	return f.done()
}

func (f *fields) currency(name string, amount int, multiplier string) {
	f.optional("CurrencyName", name)
	f.optionalNumber("CurrencyAmount", amount)
	f.optionalOneOf("CurrencyMultiplier", multiplier, "OneThousandth", "OneHundredth", "OneTenth", "One", "Ten", "Hundred", "Thousand")
}

func (r AOCRate) append(f *fields) {
	scales := []string{"OneHundredthSecond", "OneTenthSecond", "Second", "TenSeconds", "Minute", "Hour", "Day"}
	f.requiredOneOf("ChargedItem", r.ChargedItem, "NA", "SpecialArrangement", "BasicCommunication", "CallAttempt",
		"CallSetup", "UserUserInfo", "SupplementaryService")
	f.optionalOneOf("RateType", r.RateType, "NA", "Free", "FreeFromBeginning", "Duration", "Flat", "Volume", "SpecialCode")
	f.currency(r.CurrencyName, r.CurrencyAmount, r.CurrencyMultiplier)
	f.optionalNumber("Time", r.Time)
	f.optionalOneOf("TimeScale", r.TimeScale, scales...)
	f.optionalNumber("Granularity", r.Granularity)
	f.optionalOneOf("GranularityTimeScale", r.GranularityTimeScale, scales...)
	f.optionalOneOf("ChargingType", r.ChargingType, "ContinuousCharging", "StepFunction")
	f.optionalOneOf("VolumeUnit", r.VolumeUnit, "Octet", "Segment", "Message")
	f.optionalNumber("Code", r.Code)
}

// Strategy implements Action.
func (AOCMessage) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Single} }

// Decode implements Typed.
func (AOCMessage) Decode(a Answer) Success { return Success{a} }
