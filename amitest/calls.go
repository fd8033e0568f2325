package amitest
import "context"
func (srv *Server) LiveCalls(ctx context.Context, perSecond float64) {}
