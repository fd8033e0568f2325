//go:build !linux

package main

// onOneCore lets the system place the process.
func onOneCore(start func() error) error { return start() }
