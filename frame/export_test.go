package frame

// Held returns how many bytes of memory r keeps for the message being read.
func (r *Reader) Held() int { return cap(r.buf) + 4*cap(r.starts) }
