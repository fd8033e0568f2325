package amitest

import (
	"time"
)

// Shutdown stops the server as "core stop gracefully" does: the Shutdown event
// goes out, every session ends, and connections are refused. Channels,
// variables and queues are gone afterwards, the database stays. It returns
// when all sessions have ended; [Server.Start] brings the server back.
func (srv *Server) Shutdown(restart bool) {
	again := "False"
	if restart {
		again = "True"
	}
	srv.SetStopping(true)
	srv.goDown()
	srv.Broadcast("Shutdown", ClassSystem, F("Shutdown", "Cleanly"), F("Restart", again))
	for _, s := range srv.Sessions() {
		s.cancel() // sends what is queued, then ends
	}
	_ = srv.wait(srv.ctx, func() bool { return len(srv.sessions) == 0 })
	srv.pbx.clear()
	srv.mu.Lock()
	srv.stopping, srv.booted = false, false
	srv.mu.Unlock()
}

// Start accepts connections again after Shutdown. The FullyBooted event comes
// only after bootFor; until then a login succeeds without it. Start returns at
// once.
func (srv *Server) Start(bootFor time.Duration) error {
	srv.mu.Lock()
	srv.bootedAt = time.Now()
	srv.mu.Unlock()
	if err := srv.goUp(); err != nil {
		return err
	}
	srv.wg.Go(func() {
		if sleep(srv.ctx, bootFor) {
			srv.fullyBooted()
		}
	})
	return nil
}

// Restart is Shutdown, and after downFor Start. It returns after the shutdown;
// the rest happens in the background.
func (srv *Server) Restart(downFor, bootFor time.Duration) {
	srv.Shutdown(true)
	srv.wg.Go(func() {
		if sleep(srv.ctx, downFor) {
			_ = srv.Start(bootFor)
		}
	})
}

// Drop ends every session without a word, as "core restart now" or a dying
// machine may, and refuses connections until [Server.Start].
func (srv *Server) Drop() {
	srv.goDown()
	for _, s := range srv.Sessions() {
		s.kill()
	}
	_ = srv.wait(srv.ctx, func() bool { return len(srv.sessions) == 0 })
	srv.pbx.clear()
	srv.mu.Lock()
	srv.booted = false
	srv.mu.Unlock()
}

func (srv *Server) fullyBooted() {
	srv.mu.Lock()
	srv.booted = true
	srv.mu.Unlock()
	srv.Broadcast("FullyBooted", ClassSystem,
		F("Status", "Fully Booted"), F("Uptime", "0"), F("LastReload", "0"))
}

// SetStopping makes the server answer every action, even Ping, with "Asterisk
// is shutting down", as one does that waits for its calls to end; or ends that.
func (srv *Server) SetStopping(on bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.stopping = on
}

func (srv *Server) isStopping() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.stopping
}
