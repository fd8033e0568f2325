package redisstream

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrClosed is returned once Close was called.
var ErrClosed = errors.New("redisstream: closed")

// ErrFull is returned if the server takes no writes for want of room: its memory
// is full and nothing may be evicted, or it cannot write to its disk.
var ErrFull = errors.New("redisstream: no room")

// A DeniedError reports that the server does not let the user in, or does not
// permit what it asks for. For a command within the broker's script a server may
// say so in words alone, as Redis 7.0 does: then they are in an error without a
// type.
type DeniedError struct {
	Err error // what the server said
}

func (e *DeniedError) Error() string { return "redisstream: not permitted: " + e.Err.Error() }

// Unwrap returns Err.
func (e *DeniedError) Unwrap() error { return e.Err }

// A KeyError reports that a key of the broker holds something else.
type KeyError struct {
	Key string
	Err error // what the server said
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("redisstream: key %s holds something else: %v", e.Key, e.Err)
}

// Unwrap returns Err.
func (e *KeyError) Unwrap() error { return e.Err }

// A TooLargeError is why a record is refused.
type TooLargeError struct {
	Bytes, Max int // of the payload
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("redisstream: the payload has %d bytes, %d are allowed", e.Bytes, e.Max)
}

// A reply is an error that the server has told within an answer.
type reply string

func (r reply) Error() string { return string(r) }

// RedisError implements redis.Error.
func (reply) RedisError() {}

// verdict makes an error of what the server said of key. None of them refuses a
// record: each can be mended while the bridge waits, and nothing is lost.
func verdict(key string, err error) error {
	said, ok := errors.AsType[redis.Error](err)
	if !ok {
		return err // the connection
	}
	if redis.IsAuthError(err) || redis.IsPermissionError(err) { // it takes writes when somebody has changed the user
		return &DeniedError{Err: err}
	}
	code, _, _ := strings.Cut(said.Error(), " ")
	switch code {
	case "OOM", // memory, with the policy noeviction: it takes writes when consumers or limits have made room
		"MISCONF": // the disk: it takes writes when it can save again
		return fmt.Errorf("%w: %w", ErrFull, err)
	case "WRONGTYPE": // it takes writes when somebody has renamed the key
		return &KeyError{Key: key, Err: err}
	}
	// LOADING, READONLY, MASTERDOWN, CLUSTERDOWN, BUSY, NOREPLICAS … pass by
	// themselves; others, as CROSSSLOT and MOVED, are for somebody to see.
	return fmt.Errorf("redisstream: the server says: %w", err)
}
