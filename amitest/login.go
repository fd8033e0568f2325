package amitest

import (
	"crypto/md5"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// refusalDelay is the sleep(1) before a login is refused.
const refusalDelay = time.Second

// beforeLogin are the actions that need no login.
func beforeLogin(name string) bool {
	switch strings.ToLower(name) {
	case "login", "challenge", "logoff":
		return true
	}
	return false
}

// inUse refuses the login of a user who may have one session only
// (process_message).
func (s *Session) inUse(c *Call) bool {
	user := s.srv.userByName(c.Get("Username"))
	if strings.EqualFold(c.action, "Logoff") || user == nil || !user.SingleLogin || !s.srv.active(user) {
		return false
	}
	c.CloseSession()
	if c.Wait(refusalDelay) {
		c.Error("Login Already In Use")
	}
	return true
}

func (srv *Server) userByName(name string) *User {
	for i := range srv.cfg.users {
		if u := &srv.cfg.users[i]; strings.EqualFold(u.Name, name) {
			return u
		}
	}
	return nil
}

// active tells whether the user has a session.
func (srv *Server) active(user *User) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, s := range srv.sessions {
		if s.user.Load() == user {
			return true
		}
	}
	return false
}

// challenge is action_challenge: one number for the whole session.
func challenge(c *Call) {
	if !c.is("AuthType", "MD5") {
		c.Error("Must specify AuthType")
		return
	}
	s := c.session
	if s.challenge == "" {
		s.challenge = strconv.FormatInt(s.srv.int64n(1_000_000_000), 10)
	}
	c.Respond(F("Challenge", s.challenge))
}

// login is action_login.
func login(c *Call) {
	s := c.session
	f := s.currentFaults()
	if !c.Wait(f.LoginDelay) {
		return
	}
	if s.user.Load() != nil {
		c.Success("Already authenticated")
		return
	}
	user := s.authenticate(c)
	if user == nil || f.LoginError != "" {
		c.CloseSession()
		message := "Authentication failed"
		if f.LoginError != "" {
			message = f.LoginError
		}
		if c.Wait(refusalDelay) {
			c.Error(message)
		}
		return
	}
	if mask, ok := parseMask(c.Get("Events")); ok {
		s.events.mask.Store(uint32(mask))
	}
	s.srv.loggedIn(s, user)
	c.Success("Authentication accepted")
	if booted, uptime := s.srv.boot(); booted && s.wants(ClassSystem) {
		seconds := strconv.Itoa(int(uptime.Seconds()))
		b := appendHeader(nil, "Event", "FullyBooted")
		b = appendHeader(b, "Privilege", ClassSystem.String())
		b = appendHeader(b, "Uptime", seconds)
		b = appendHeader(b, "LastReload", seconds)
		c.Raw(appendEnd(appendHeader(b, "Status", "Fully Booted")))
	}
	if s.srv.cfg.securityEvents {
		s.securityEvent(user)
	}
}

// authenticate checks the secret, or the key made of it (authenticate).
func (s *Session) authenticate(c *Call) *User {
	user := s.srv.userByName(c.Get("Username"))
	if user == nil {
		return nil
	}
	if c.is("AuthType", "MD5") {
		sum := md5.Sum([]byte(s.challenge + user.Secret))
		if s.challenge == "" || c.Get("Key") != hex.EncodeToString(sum[:]) {
			return nil
		}
		return user
	}
	if user.Secret == "" || c.Get("Secret") != user.Secret {
		return nil
	}
	return user
}

// loggedIn makes the session count as the user's. Events begin here.
func (srv *Server) loggedIn(s *Session, user *User) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	s.user.Store(user)
	srv.waiting--
	s.counted = false
	srv.touchLocked()
}

// boot tells whether Asterisk is fully booted and how long it has run.
func (srv *Server) boot() (booted bool, uptime time.Duration) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.booted, time.Since(srv.bootedAt)
}

// securityEvent is the SuccessfulAuth of res_security_log.
func (s *Session) securityEvent(user *User) {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000-0700")
	s.srv.Broadcast("SuccessfulAuth", ClassSecurity,
		F("EventTV", now), F("Severity", "Informational"), F("Service", "AMI"),
		F("EventVersion", "1"), F("AccountID", user.Name),
		F("SessionID", "0x"+strconv.FormatInt(0x7fb070002000+int64(s.id)*32, 16)),
		F("LocalAddress", securityAddr(s.raw.LocalAddr().String())),
		F("RemoteAddress", securityAddr(s.raw.RemoteAddr().String())),
		F("UsingPassword", "0"), F("SessionTV", now))
}

func securityAddr(hostPort string) string {
	host, port, _ := strings.Cut(hostPort, ":")
	return "IPV4/TCP/" + host + "/" + port
}

func logoff(c *Call) {
	c.CloseSession()
	c.respond("Goodbye", "Thanks for all the fish.", nil)
}
