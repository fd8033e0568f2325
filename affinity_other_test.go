//go:build !linux

package ami_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// onOneCore starts a process where the system wants it.
func onOneCore(b *testing.B, start func() error) {
	b.Helper()
	require.NoError(b, start())
}
