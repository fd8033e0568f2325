// Package strategy says when an action is complete.
//
// Asterisk has no one way to answer. Most actions get one Response. Lists get a
// Response, items as events, and an event that ends them, with about a dozen
// exceptions. Command output is one Response of any size. An asynchronous
// Originate is answered at once and decided later by a broadcast event. A few
// old actions answer without any Response at all.
//
// A Strategy is plain data that describes one such way; actions carry one, and
// users write their own for actions of their own modules. Progress is the state
// of one action that is being answered: it is offered frames and returns
// verdicts. Everything here is pure: no clock, no goroutine, no I/O, so that
// each irregular case is a table test.
package strategy
