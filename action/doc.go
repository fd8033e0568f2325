// Package action has the requests that Asterisk takes. A typed action is a
// struct whose fields are the action's parameters; New makes one of any name.
//
// Actions are immutable values: sending one does not change it, so that it may
// be sent twice and from many goroutines. Each knows how Asterisk answers it
// (its strategy.Strategy), which is what makes Send return at the right moment.
package action

//go:generate go run ../internal/gen/actions
