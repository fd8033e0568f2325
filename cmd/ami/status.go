package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/event"
)

// A nodeStatus is what "ami status" tells of a node.
type nodeStatus struct {
	State    string   `json:"state"`
	Asterisk string   `json:"asterisk,omitempty"`
	AMI      string   `json:"ami,omitempty"`
	System   string   `json:"system,omitempty"`
	Started  string   `json:"started,omitempty"`  // by the server's clock
	Uptime   float64  `json:"uptime_s,omitempty"` // if the user may read system events
	Calls    *int     `json:"calls,omitempty"`
	Latency  float64  `json:"latency_ms,omitempty"`
	Events   *float64 `json:"events_per_s,omitempty"`
	privileges
}

// statusCommand is "ami status".
func (a *app) statusCommand() *cobra.Command {
	var sample time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the nodes are",
		Long: `Logs in to all nodes, or to those that --node names, and shows of each: its
state, the versions of Asterisk and of the interface, since when it runs, its
calls, how long an answer takes, how many events come in a second, and the
privileges of its user, as far as they can be found out: those to read only with
write = command. A field that the user may not ask for stays empty. It exits with
1 if a node is not ready.`,
		Example: `  ami status
  ami status --node pbx1 --sample 10s
  ami status --json | jq 'select(.latency_ms > 50) | .node'`,
		Args: cobra.NoArgs,
	}
	a.askFlags(cmd)
	cmd.Flags().DurationVar(&sample, "sample", time.Second, "how long to count events; 0: not at all")
	cmd.RunE = a.run(func(cmd *cobra.Command, _ []string) error {
		if sample < 0 {
			return wrong("--sample must not be negative")
		}
		c, err := a.chosen(cmd.Context())
		if err != nil {
			return err
		}
		var boots boots
		got := make(map[string]nodeStatus)
		err = ask(cmd.Context(), a, cmd, c, asking[nodeStatus]{
			before: boots.watch,
			do: func(ctx context.Context, c *ami.Client) (nodeStatus, error) {
				s, err := statusOf(ctx, c, sample)
				s.Uptime = boots.uptime(c.Node().Key).Seconds()
				return s, err
			},
			show: func(w *nodeWriter, o outcome, s nodeStatus) {
				if s.State == "" {
					s.State = "down"
				}
				if got[o.Node] = s; w.json {
					w.object(struct {
						outcome
						nodeStatus
					}{o, s})
				}
			},
		})
		if !a.out.json && len(got) > 0 {
			a.out.statuses(keysOf(c), got)
		}
		return err
	})
	return cmd
}

// boots are the uptimes that FullyBooted tells at each login.
type boots struct {
	mu sync.Mutex
	up map[string]time.Duration
}

// watch notes the events of a cluster. Nothing is left in the subscription.
func (b *boots) watch(cluster *ami.Cluster) {
	b.up = make(map[string]time.Duration)
	cluster.Subscribe(ami.Named("FullyBooted"), ami.Where(func(e event.Event) bool {
		if booted, ok := event.As[event.FullyBooted](e); ok {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.up[e.Node] = booted.Uptime
		}
		return false
	}))
}

func (b *boots) uptime(node string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.up[node]
}

// statusOf asks one node. What its user may not ask for stays empty.
func statusOf(ctx context.Context, c *ami.Client, sample time.Duration) (nodeStatus, error) {
	start := time.Now()
	if _, err := c.Send(ctx, action.Ping{}); err != nil {
		return nodeStatus{}, err
	}
	before := c.Stats()
	s := nodeStatus{State: before.State.String(), Latency: millis(time.Since(start))}
	s.AMI = strings.TrimPrefix(before.Banner, "Asterisk Call Manager/")
	if settings, err := ami.Call(ctx, c, action.CoreSettings{}); err == nil {
		s.Asterisk, s.System = settings.AsteriskVersion, settings.SystemName
	}
	if core, err := ami.Call(ctx, c, action.CoreStatus{}); err == nil {
		s.Started = core.CoreStartupDate + " " + core.CoreStartupTime
		s.Calls = &core.CoreCurrentCalls
	}
	s.privileges = askPrivileges(ctx, c)
	if sample > 0 {
		from := time.Now()
		timer := time.NewTimer(sample)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
		rate := float64(c.Stats().Events-before.Events) / time.Since(from).Seconds()
		s.Events = &rate
	}
	after := c.Stats()
	if s.State = after.State.String(); after.State != ami.Ready {
		return s, after.Reason
	}
	return s, nil
}

// statuses prints a table.
func (o *output) statuses(keys []string, got map[string]nodeStatus) {
	rows := [][]string{{"NODE", "STATE", "ASTERISK", "AMI", "UP", "CALLS", "PING", "EVENTS/S", "READ", "WRITE"}}
	for _, key := range keys {
		s, ok := got[key]
		switch {
		case !ok: // interrupted before
		case s.Latency == 0:
			rows = append(rows, []string{key, s.State})
		default:
			up, calls, rate := "since "+s.Started, "", ""
			if s.Started == "" {
				up = ""
			}
			if s.Uptime > 0 {
				up = age(time.Duration(s.Uptime) * time.Second)
			}
			if s.Calls != nil {
				calls = fmt.Sprint(*s.Calls)
			}
			if s.Events != nil {
				rate = fmt.Sprintf("%.1f", *s.Events)
			}
			rows = append(rows, []string{
				key, s.State, s.Asterisk, s.AMI, up, calls, fmt.Sprintf("%.2f ms", s.Latency),
				rate, strings.Join(s.Read, ","), strings.Join(s.Write, ","),
			})
		}
	}
	o.table(rows, func(row, column int, text string) style {
		switch {
		case row == 0:
			return faint
		case column == 0:
			return cyan
		case column == 1 && text == ami.Ready.String():
			return green
		case column == 1:
			return red
		}
		return plain
	})
}

// table prints rows in columns that are as wide as they must be.
func (o *output) table(rows [][]string, look func(row, column int, text string) style) {
	var widths []int
	for _, row := range rows {
		for i, text := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], ansi.StringWidth(clean(text)))
		}
	}
	for n, row := range rows {
		var b strings.Builder
		for i, text := range row {
			shown := clean(text)
			b.WriteString(o.paint(look(n, i, text), shown))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-ansi.StringWidth(shown)+2))
			}
		}
		o.line("%s", b.String())
	}
}

// age is a duration in its two largest units.
func age(d time.Duration) string {
	s := int(d.Seconds())
	for _, unit := range []struct {
		one      int
		big, sub string
		of       int
	}{{86400, "d", "h", 3600}, {3600, "h", "m", 60}, {60, "m", "s", 1}} {
		if s >= unit.one {
			return fmt.Sprintf("%d%s%d%s", s/unit.one, unit.big, s%unit.one/unit.of, unit.sub)
		}
	}
	return fmt.Sprintf("%ds", s)
}
