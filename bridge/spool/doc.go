// Package spool is a bounded FIFO on disk for one writer and one reader. What is
// to be published is appended first, read from there, and acknowledged when it is
// out.
//
//	s, err := spool.Open("/var/spool/ami", spool.Options{})
//	...
//	err = s.Append(spool.Entry{Group: "pbx1", Data: data})
//	...
//	b, err := s.Read(ctx, 500, 1<<20) // waits for entries
//	// publish b.Losses as gaps, then b.Entries
//	err = s.Ack(b.Last) // or s.Rewind(), to read them again
//
// # What survives
//
// The death of the process, kill -9 included: everything for which Append has
// returned nil, in its order. The acknowledged position is written every 200 ms
// and by Close, so what was acknowledged in the last 200 ms is read again: at
// least once, never out of order.
//
// A loss of power: everything but what was appended in the last interval of
// Options.Sync and during the sync that it ends with.
//
// # Losses
//
// When MaxBytes are full, the oldest segment of which nothing is being published
// is dropped: Append never waits for the reader. Entries that were damaged on disk
// are skipped one by one. Either way the batch that would have begun with them
// tells in Losses how many are missing, of which group: exactly, also when the
// process has died meanwhile. Of damaged entries the number is exact and the group
// unknown. One kind of damage cannot be told from an append that a crash cut
// short: that of the newest entries before Open. They are cut off and not counted.
//
// # A disk that fails
//
// If the disk is full, the oldest segments are dropped to make room. If that does
// not help, or the disk refuses for another reason, entries are kept in memory,
// up to MemoryBytes, the oldest making room for the newest; Append says so. The
// disk is tried again once a second, and gets what is still there, in order.
package spool
