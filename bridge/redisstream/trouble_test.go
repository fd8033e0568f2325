package redisstream_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/internal/redistest"
	"github.com/apn/ami/bridge/redisstream"
)

// do makes a server do something.
func do(t *testing.T, c *redis.Client, args ...any) {
	t.Helper()
	require.NoError(t, c.Do(context.Background(), args...).Err())
}

// TestTrouble: what a real server may refuse. Each time the records before it are
// stored, nothing is lost, and the rest goes through when it has passed.
func TestTrouble(t *testing.T) {
	isDenied := func(t *testing.T, err error) {
		var denied *redisstream.DeniedError
		require.ErrorAs(t, err, &denied)
	}
	isKey := func(key string) func(t *testing.T, err error) {
		return func(t *testing.T, err error) {
			var foreign *redisstream.KeyError
			require.ErrorAs(t, err, &foreign)
			require.Equal(t, key, foreign.Key)
		}
	}
	isFull := func(t *testing.T, err error) { require.ErrorIs(t, err, redisstream.ErrFull) }
	says := func(text string) func(t *testing.T, err error) {
		return func(t *testing.T, err error) { require.ErrorContains(t, err, text) }
	}
	for _, tc := range []struct {
		name   string
		begin  func(t *testing.T, c *redis.Client, s *redistest.Server)
		is     func(t *testing.T, err error)
		stored int // of three of a and three of b
		end    func(t *testing.T, c *redis.Client)
	}{
		{
			"memory is full", func(t *testing.T, c *redis.Client, _ *redistest.Server) { do(t, c, "config", "set", "maxmemory", "1") },
			isFull, 0, func(t *testing.T, c *redis.Client) { do(t, c, "config", "set", "maxmemory", "0") },
		},
		{
			"the disk fails", func(t *testing.T, c *redis.Client, s *redistest.Server) {
				do(t, c, "config", "set", "save", "3600 1")
				require.NoError(t, os.RemoveAll(s.Dir))
				do(t, c, "bgsave")
				require.Eventually(t, func() bool {
					return strings.Contains(c.Info(context.Background(), "persistence").Val(), "rdb_last_bgsave_status:err")
				}, soon, tick)
			},
			isFull, 0, func(t *testing.T, c *redis.Client) { do(t, c, "config", "set", "stop-writes-on-bgsave-error", "no") },
		},
		{
			"a foreign stream", func(t *testing.T, c *redis.Client, _ *redistest.Server) { do(t, c, "set", "ami:events:b", "x") },
			isKey("ami:events:b"), 3, func(t *testing.T, c *redis.Client) { do(t, c, "del", "ami:events:b") },
		},
		{
			"a foreign hash", func(t *testing.T, c *redis.Client, _ *redistest.Server) {
				do(t, c, "rename", "ami:last", "was")
				do(t, c, "set", "ami:last", "x")
			},
			isKey("ami:last"), 0, func(t *testing.T, c *redis.Client) { do(t, c, "rename", "was", "ami:last") },
		},
		{
			"a replica", func(t *testing.T, c *redis.Client, _ *redistest.Server) { do(t, c, "replicaof", "127.0.0.1", "1") },
			says("READONLY"), 0, func(t *testing.T, c *redis.Client) { do(t, c, "replicaof", "no", "one") },
		},
		{
			"no replicas", func(t *testing.T, c *redis.Client, _ *redistest.Server) {
				do(t, c, "config", "set", "min-replicas-to-write", "1")
			},
			says("NOREPLICAS"), 0, func(t *testing.T, c *redis.Client) { do(t, c, "config", "set", "min-replicas-to-write", "0") },
		},
		{
			"a password", func(t *testing.T, c *redis.Client, _ *redistest.Server) {
				do(t, c, "config", "set", "requirepass", "hidden")
				_, _ = c.ClientKillByFilter(context.Background(), "type", "normal", "skipme", "yes").Result()
			},
			isDenied, 0, func(t *testing.T, c *redis.Client) { do(t, c, "config", "set", "requirepass", "") },
		},
		{
			"no such command", func(t *testing.T, c *redis.Client, _ *redistest.Server) {
				do(t, c, "acl", "setuser", "default", "-evalsha")
			},
			isDenied, 0, func(t *testing.T, c *redis.Client) { do(t, c, "acl", "setuser", "default", "+evalsha") },
		},
		{
			"no such stream", func(t *testing.T, c *redis.Client, _ *redistest.Server) {
				do(t, c, "acl", "setuser", "default", "resetkeys", "~ami:events:a", "~ami:last")
			},
			isDenied, 0, func(t *testing.T, c *redis.Client) { do(t, c, "acl", "setuser", "default", "allkeys") },
		},
		{
			"no such command in the script", func(t *testing.T, c *redis.Client, _ *redistest.Server) {
				do(t, c, "acl", "setuser", "default", "-xadd")
			},
			says("can't run this command"), 0, func(t *testing.T, c *redis.Client) { do(t, c, "acl", "setuser", "default", "+xadd") },
		},
		{
			"it forgets the script", func(t *testing.T, c *redis.Client, _ *redistest.Server) { do(t, c, "script", "flush") },
			nil, 6, func(*testing.T, *redis.Client) {},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := own(t)
			c := s.Client(t)
			o := redisstream.Options{URL: s.URL()}
			b := open(t, o)
			publish(t, b, append(brokertest.Records("a", 1, 3), brokertest.Records("b", 1, 3)...))
			tc.begin(t, c, s)
			records := append(brokertest.Records("a", 4, 3), brokertest.Records("b", 4, 3)...)
			n, err := b.Publish(t.Context(), records)
			require.Equal(t, tc.stored, n, err)
			if tc.is != nil {
				tc.is(t, err)
				_, refused := errors.AsType[*bridge.RefusedError](err)
				require.False(t, refused, "the bridge would go on without it")
				require.ErrorContains(t, err, s.URL())
			} else {
				require.NoError(t, err)
			}
			tc.end(t, c)
			publish(t, b, records[n:])
			require.Zero(t, b.Stats().Duplicates)
			require.Equal(t, idsOf("a", brokertest.Records("a", 1, 6)), ids(t, o, "a"))
			want := idsOf("b", brokertest.Records("b", 1, 6))
			if tc.name == "a foreign stream" { // which was put in its place
				want = want[3:]
			}
			require.Equal(t, want, ids(t, o, "b"))
		})
	}
}

// TestAnswers: what a server may say that none can easily be brought to.
func TestAnswers(t *testing.T) {
	o := ofSystem(t)
	p := through(t, o.URL)
	o.URL = p.url()
	b := open(t, o)
	for _, tc := range []struct {
		said string
		is   string // "": it has no type
	}{
		{"LOADING Redis is loading the dataset in memory", ""},
		{"MASTERDOWN Link with MASTER is down", ""},
		{"BUSY Redis is busy running a script.", ""},
		{"CLUSTERDOWN The cluster is down", ""},
		{"CROSSSLOT Keys in request don't hash to the same slot", ""},
		{"MOVED 1234 127.0.0.1:1", ""},
		{"ERR unknown", ""},
		{"MISCONF Errors writing to the AOF file: No space left on device", "full"},
		{"OOM command not allowed when used memory > 'maxmemory'.", "full"},
		{"NOAUTH Authentication required.", "denied"},
	} {
		t.Run(tc.said, func(t *testing.T) {
			for _, form := range []string{"-" + tc.said + "\r\n", "*3\r\n:0\r\n:0\r\n+" + tc.said + "\r\n"} {
				p.answers(func(answer []byte) ([]byte, bool) {
					if bytes.HasPrefix(answer, []byte("*3\r\n:")) {
						return []byte(form), false
					}
					return answer, false
				})
				n, err := b.Publish(t.Context(), brokertest.Records("a", 1, 3))
				require.Zero(t, n)
				require.ErrorContains(t, err, tc.said)
				require.Equal(t, tc.is == "full", errors.Is(err, redisstream.ErrFull))
				_, denied := errors.AsType[*redisstream.DeniedError](err)
				require.Equal(t, tc.is == "denied", denied)
				p.answers(nil)
			}
		})
	}
}

// TestPermissions: what the documentation names is enough, and without any of it
// Open says so, or Publish before it stores anything.
func TestPermissions(t *testing.T) {
	s := own(t)
	url := s.URL() + "/1"
	c := redistest.Client(t, url)
	o := redisstream.Options{URL: url, User: "bridge", Password: ami.NewSecret("hidden")}
	commands := []string{"+evalsha", "+eval", "+xadd", "+hset", "+hget", "+hincrby", "+hdel", "+select"}
	user := func(without string) {
		rules := []any{"acl", "setuser", "bridge", "reset", "on", ">hidden", "~ami:*"}
		for _, command := range commands {
			if command != without {
				rules = append(rules, command)
			}
		}
		do(t, c, rules...)
	}
	for _, without := range append(commands, "") {
		t.Run("without "+without, func(t *testing.T) {
			do(t, c, "flushall")
			do(t, c, "script", "flush")
			user(without)
			try := func() error {
				b, err := redisstream.Open(t.Context(), o)
				if err != nil {
					return err
				}
				defer func() { require.NoError(t, b.Close()) }()
				_, err = b.Publish(t.Context(), brokertest.Records("a", 1, 3))
				return errors.Join(err, b.PutState(t.Context(), bridge.NodeState{Node: "a"}))
			}
			err := try()
			if without == "" {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			require.NotContains(t, err.Error(), "hidden")
			n, err := c.Exists(t.Context(), "ami:events:a").Result()
			require.NoError(t, err)
			require.Zero(t, n)
			user("")
			require.NoError(t, try())
			require.Len(t, ids(t, redisstream.Options{URL: url}, "a"), 3)
		})
	}
}

// TestWrongPassword is told, and nothing of it.
func TestWrongPassword(t *testing.T) {
	s := own(t, "--requirepass", "right")
	for _, o := range []redisstream.Options{
		{URL: s.URL(), Password: ami.NewSecret("hidden")},
		{URL: s.URL(), User: "nobody", Password: ami.NewSecret("hidden")},
		{URL: s.URL()},
	} {
		_, err := redisstream.Open(t.Context(), o)
		var denied *redisstream.DeniedError
		require.ErrorAs(t, err, &denied)
		require.NotContains(t, err.Error(), "hidden")
	}
	o := redisstream.Options{URL: s.URL() + "/1", Password: ami.NewSecret("right")}
	publish(t, open(t, o), brokertest.Records("a", 1, 1))
}
