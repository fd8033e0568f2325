package amitest_test

import (
	"bufio"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
)

// TestLateWrite: what there is room for is written however late the server gets its
// turn: its time limit is for waiting alone, as in Asterisk. On a busy machine a
// client that reads would be cut off otherwise.
func TestLateWrite(t *testing.T) {
	srv := amitest.NewServer(amitest.WithWriteTimeout(1)) // a nanosecond: always too late
	defer srv.Close()
	conn, err := srv.DialContext(t.Context(), "tcp", srv.Addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	banner, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, banner, "Asterisk Call Manager")
	_, err = io.WriteString(conn, "Action: Login\r\nUsername: admin\r\nSecret: secret\r\n\r\n")
	require.NoError(t, err)
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "Response: Success\r\n", line)
}
