package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDidYouMean(t *testing.T) {
	names := []string{"check", "print", "schema"}
	for word, want := range map[string]string{
		"chekc":   ": did you mean check?",
		"PRINT":   ": did you mean print?",
		"shema":   ": did you mean schema?",
		"shemaa":  ": did you mean schema?",
		"dance":   "",
		"":        "",
		"schemat": ": did you mean schema?",
	} {
		require.Equal(t, want, didYouMean(word, names), word)
	}
	require.Equal(t, 1, distance("ab", "ba"))
	require.Equal(t, 3, distance("", "abc"))
	require.Equal(t, 3, distance("kitten", "sitting"))
}
