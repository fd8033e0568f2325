// Package amitest is a fake Asterisk for tests: a server that speaks the
// Asterisk Manager Interface byte for byte as Asterisk 18 to 23 do, without a
// telephone in sight.
//
// A server listens as soon as it is made, by default on a buffered in-memory
// network that also works inside a testing/synctest bubble:
//
//	srv := amitest.NewServer()
//	defer srv.Close()
//	conn, err := srv.DialContext(ctx, "tcp", srv.Addr())
//
// # What it does
//
// It has users with permission classes, event masks and filters, runs the
// actions of a session strictly in order, answers some thirty of them with
// Asterisk's own texts (see [Server.Handle] for more), and has channels, a
// database and queues that these actions read and change. It keeps a ledger
// of every action received, so that a test can prove what was executed and
// what was not.
//
// It also does what a real server does on a bad day: see [Faults] for a
// connection that is slow, cut, mangled or silent, [Server.Shutdown] and
// [Server.Restart] for a server that goes away, [Server.Flood] and
// [WithCalls] for events, [Server.Play] for recorded ones, at any speed, and
// [WithReplay] for a whole recorded conversation.
//
// # Concurrency properties
//
// Every method of Server, Session and Call may be called by several
// goroutines at once. A session has one goroutine that runs its actions and
// writes its events, and one that reads; Close waits for all of them. A
// handler runs in the goroutine of its session: while it runs, that session
// answers nothing else and delivers no event, as in Asterisk. No lock is held
// while anything blocks, so a bubble of testing/synctest sees idle goroutines
// as durably blocked.
package amitest
