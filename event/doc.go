// Package event has the values that subscriptions deliver: what Asterisk
// broadcasts, and the gaps in it.
package event

//go:generate go run ../internal/gen/events
