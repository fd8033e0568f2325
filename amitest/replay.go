package amitest
type replay struct{}
func (r *replay) play(s *Session) {}
