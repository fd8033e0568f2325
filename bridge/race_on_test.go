//go:build race

package bridge_test

// each is how many events a node of the end-to-end test sends.
const each = 6_000
