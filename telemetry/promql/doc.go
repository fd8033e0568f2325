// Package promql has no code: its tests read the dashboard and the alert rules of
// package amiprom with Prometheus's own parser. It is a module of its own, so that
// nobody who imports the adapters has the server among the dependencies.
package promql
