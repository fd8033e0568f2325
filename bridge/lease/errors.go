package lease

import (
	"errors"
	"fmt"
)

// ErrStarted is returned by Run if it was called before: a Keeper runs once.
var ErrStarted = errors.New("lease: the keeper has run already")

// An OptionError reports a field of Options, or nodes given to SetNodes, that
// cannot be used.
type OptionError struct {
	Field  string // of Options
	Reason string
}

func (e *OptionError) Error() string { return "lease: " + e.Field + ": " + e.Reason }

// A VersionError reports a bucket whose layout is of another version, so that
// nothing was written to it. All processes that share a bucket need the same.
type VersionError struct {
	Bucket string
	Found  int // 0: the bucket belongs to something else
	Wanted int
}

func (e *VersionError) Error() string {
	if e.Found == 0 {
		return fmt.Sprintf("lease: bucket %s holds something else", e.Bucket)
	}
	return fmt.Sprintf("lease: bucket %s has layout version %d, this process needs %d", e.Bucket, e.Found, e.Wanted)
}

// A ReplacedError reports that a process started later runs under the same
// instance name. It has taken over all nodes of this one.
type ReplacedError struct{ Instance string }

func (e *ReplacedError) Error() string {
	return "lease: another process has been started as instance " + e.Instance
}

// A LeaveError reports leases that Run could not give back at its end. Others
// take over those nodes when the TTL has passed.
type LeaveError struct {
	Nodes []string // that were still held, in alphabetical order
	Err   error
}

func (e *LeaveError) Error() string {
	return fmt.Sprintf("lease: leaving with %d nodes held: %v", len(e.Nodes), e.Err)
}

// Unwrap returns Err.
func (e *LeaveError) Unwrap() error { return e.Err }
