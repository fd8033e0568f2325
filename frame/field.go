package frame

// Field is one header of an outgoing action: a name and its value, without
// the colon, the blank after it and the line end. Order and repetition are
// significant: Variable, for one, may occur many times.
type Field struct {
	Key   string
	Value string
}
