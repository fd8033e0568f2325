package action

import (
	"crypto/md5" // Asterisk's challenge knows nothing else
	"encoding/hex"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// Login authenticates a session (main/manager.c:action_login). The client sends
// it by itself. A refusal comes after a second, and Asterisk closes the
// session.
type Login struct {
	Username string
	// Secret goes over the wire in clear text. Leave it empty if Key is set.
	Secret Secret
	// Key answers a Challenge instead; see ChallengeKey. It is a Secret as well:
	// with the challenge, a weak secret can be guessed from it.
	Key Secret
	// Events is the initial event mask: "on", "off" or a list of classes such
	// as "call,agent". Empty means all.
	Events string
}

// Name implements Action.
func (Login) Name() string { return "Login" }

// AppendFields implements Action.
func (a Login) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "Login", dst: dst}
	f.required("Username", a.Username)
	if key := a.Key.Reveal(); key != "" {
		f.add("AuthType", "MD5")
		f.add("Key", key)
	} else {
		f.required("Secret", a.Secret.Reveal())
	}
	f.optional("Events", a.Events)
	return f.done()
}

// Strategy implements Action.
func (Login) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Single} }

// Decode implements Typed.
func (Login) Decode(a Answer) Success { return Success{a} }

// Challenge asks for the number that an MD5 login answers
// (main/manager.c:action_challenge).
type Challenge struct{}

// Name implements Action.
func (Challenge) Name() string { return "Challenge" }

// AppendFields implements Action.
func (Challenge) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	return append(dst, frame.Field{Key: "AuthType", Value: "MD5"}), nil
}

// Strategy implements Action.
func (Challenge) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Single} }

// A ChallengeResult is the answer to Challenge.
type ChallengeResult struct {
	Answer

	Challenge string // for ChallengeKey
}

// Decode implements Typed.
func (Challenge) Decode(a Answer) ChallengeResult {
	return ChallengeResult{Answer: a, Challenge: a.Response.Get("Challenge")}
}

// ChallengeKey returns the Key of a Login that answers challenge: the MD5 sum
// of challenge and secret in lower-case hexadecimal digits
// (main/manager.c:authenticate).
func ChallengeKey(challenge string, secret Secret) Secret {
	sum := md5.Sum([]byte(challenge + secret.Reveal()))
	return NewSecret(hex.EncodeToString(sum[:]))
}

// Logoff ends the session. Asterisk answers Goodbye, closes the connection and
// answers nothing that was sent behind it. The client sends it in Shutdown.
type Logoff struct{}

// Name implements Action.
func (Logoff) Name() string { return "Logoff" }

// AppendFields implements Action.
func (Logoff) AppendFields(dst []frame.Field) ([]frame.Field, error) { return dst, nil }

// Strategy implements Action.
func (Logoff) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Single} }

// Decode implements Typed.
func (Logoff) Decode(a Answer) Success { return Success{a} }
