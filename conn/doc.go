// Package conn moves frames and encoded actions over one socket.
//
// A Conn has a reader and a writer goroutine, which never wait for each other,
// and a bounded outbound queue between callers and writer, which is the
// backpressure. It knows nothing of ActionIDs, logins or what a frame means:
// the session above it does.
//
// # Life
//
// New wraps a connected socket. Until Start, one goroutine may speak to the
// peer directly (Banner, Next, Write): that is the login. Start hands the
// socket to the two goroutines. The first error of any side wins, closes the
// socket and ends both; Wait returns when they have ended.
package conn
