// Package frame turns the bytes of the Asterisk Manager Interface into frames
// and actions into bytes. It imports the standard library only, opens no
// connection and knows nothing of what a frame means beyond its first header.
//
// A frame is one message: lines of "Name: value" up to a blank line. Asterisk
// does not keep to that as well as its documentation says: line ends are mixed,
// lines lack their colon, headers repeat, blank lines stray between messages,
// some answers are bare text. Reader accepts all of it and keeps its memory
// bounded whatever arrives; what breaks a limit is discarded up to the next
// blank line, reported as a *FormatError, and the stream goes on.
//
// In the other direction AppendAction writes one action and refuses every
// input that Asterisk would read as something else: a line end or NUL in a
// name or value, a line longer than Asterisk's buffer, more headers than it
// takes.
package frame
