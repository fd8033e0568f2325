package amitest_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/amitest"
	"github.com/apn/ami/internal/captures"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is the user of the recordings.
var bench = amitest.User{Name: "admin", Secret: "s3cr3t-Adm1n"}

// peer is a client that knows no protocol.
type peer struct {
	t *testing.T
	net.Conn
}

func dial(t *testing.T, srv *amitest.Server) *peer {
	t.Helper()
	conn, err := srv.DialContext(t.Context(), "tcp", srv.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &peer{t, conn}
}

// login is a client behind the banner and the login of the default user.
func login(t *testing.T, srv *amitest.Server, events string) *peer {
	t.Helper()
	p := dial(t, srv)
	p.send("Action: Login", "Username: admin", "Secret: secret", "Events: "+events)
	p.until("Message: Authentication accepted\r\n\r\n")
	if events == "on" {
		p.until("Fully Booted\r\n\r\n")
	}
	return p
}

// send writes one action of the given lines.
func (p *peer) send(lines ...string) {
	p.t.Helper()
	p.write(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

func (p *peer) write(s string) {
	p.t.Helper()
	_, err := io.WriteString(p, s)
	require.NoError(p.t, err)
}

// until reads up to the text, which it includes.
func (p *peer) until(text string) string {
	p.t.Helper()
	var b bytes.Buffer
	one := make([]byte, 1)
	for !strings.HasSuffix(b.String(), text) {
		_, err := io.ReadFull(p, one)
		require.NoError(p.t, err, "waiting for %q behind %q", text, b.String())
		b.Write(one)
	}
	return b.String()
}

// message reads one message.
func (p *peer) message() string { p.t.Helper(); return p.until("\r\n\r\n") }

// rest reads until the end.
func (p *peer) rest() string {
	p.t.Helper()
	b, err := io.ReadAll(p)
	require.NoError(p.t, err)
	return string(b)
}

// quiet tells whether nothing comes for a while.
func (p *peer) quiet() {
	p.t.Helper()
	synctest.Wait()
	require.NoError(p.t, p.SetReadDeadline(time.Now()))
	b, err := io.ReadAll(p)
	require.ErrorIs(p.t, err, os.ErrDeadlineExceeded)
	require.Empty(p.t, string(b))
	require.NoError(p.t, p.SetReadDeadline(time.Time{}))
}

var varying = regexp.MustCompile(`(?m)^(Timestamp|LoginTime|Challenge|Uptime|LastReload|EventTV|SessionTV|SessionID|LocalAddress|RemoteAddress): .*\r$`)

func normal(b []byte) []string {
	return strings.Split(varying.ReplaceAllString(string(b), "$1: x\r"), "\r\n")
}

// converse sends the recording's client bytes and compares the answers with
// the recorded ones.
func converse(t *testing.T, name string, srv *amitest.Server) {
	t.Helper()
	p := dial(t, srv)
	p.write(string(captures.Client(name)))
	assert.Equal(t, normal(captures.Server(name)), normal([]byte(p.rest())))
}
