package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGoName(t *testing.T) { // C7
	for name, want := range map[string]string{
		"Hangup": "Hangup", "Cause-txt": "CauseTxt", "AOC-D": "AOCD", "100rel": "X100rel", "SIP-T.38Support": "SIPT38Support",
		"Named Callgroup": "NamedCallgroup", "Charge/Currency/Name": "ChargeCurrencyName", "bpviol": "Bpviol", "": "",
	} {
		require.Equal(t, want, GoName(name))
	}
}

func TestSpellings(t *testing.T) { // C7
	require.Equal(t, []string{"CommandId", "Commandid", "CommandID"}, (&Param{Name: "CommandId", DocName: "CommandID", Also: []string{"Commandid"}}).Spellings())
	require.Equal(t, []string{"Same"}, (&Param{Name: "Same", DocName: "Same"}).Spellings())
}
