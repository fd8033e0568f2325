// Package event has the values that subscriptions deliver: what Asterisk
// broadcasts, the gaps in it, and what comes in lists.
//
// There is a struct for every event of Asterisk 18, 20, 22 and 23; As and Decode
// make one of an Event. Its fields are named like the headers. What many events
// tell of a channel or a bridge is a field of its own: Channel for the headers
// without a prefix, DestChannel for those that start with Dest.
//
// A text is as received, "<unknown>" included, but for the C escapes of those few
// headers where Asterisk writes them (VarSet.Value, names of callers): they are
// undone. A channel or bridge that an event does not tell of is zero, as is a
// number whose text is none; Invalid tells which.
//
// Of headers with the same name the first counts, as in Get. Those that Asterisk
// repeats for a list make a slice, in their order.
//
// Privilege, Timestamp, SystemName, ActionID and what else any event may have is
// read with Get, like headers that the struct has no field for.
package event

//go:generate go run ../internal/gen/events
