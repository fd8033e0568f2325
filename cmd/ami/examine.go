package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
)

// classNames are the classes of manager.conf (main/manager.c, perms).
var classNames = []string{
	"system", "call", "log", "verbose", "command", "agent", "user", "config", "dtmf", "reporting",
	"cdr", "dialplan", "originate", "agi", "cc", "aoc", "test", "security", "message",
}

// examine looks at what can be seen of a node once it is logged in.
func examine(ctx context.Context, c *ami.Client) []check {
	_ = c.Ready(ctx) // until the action lanes have been tried; how they are is looked at below
	facts := askUser(ctx, c)
	return []check{
		sessionCheck(c), privilegeCheck(ctx, c, facts), eventCheck(ctx, c, facts), clockCheck(ctx, c),
	}
}

// sessionCheck looks at the action lanes, which are further sessions of the user.
func sessionCheck(c *ami.Client) check {
	s := c.Stats()
	for _, lane := range s.Lanes {
		if lane.State != ami.Ready {
			why := "it was not tried yet"
			if lane.Reason != nil {
				why = lane.Reason.Error()
			}
			return check{
				Step: "sessions", Verdict: wrongly, Text: "an action lane cannot log in: " + why,
				Fix: "manager.conf [" + c.Node().Username + "]: allowmultiplelogin = yes" + reloaded + "; or action_lanes: 0 in the configuration",
			}
		}
	}
	if s.Stopping {
		return check{Step: "sessions", Verdict: doubt, Text: "Asterisk has announced its shutdown"}
	}
	return check{Step: "sessions", Verdict: fine, Text: plural(1+len(s.Lanes), "session")}
}

func privilegeCheck(ctx context.Context, c *ami.Client, facts userFacts) check {
	section := "manager.conf [" + c.Node().Username + "]: "
	if facts == nil {
		offered, err := ami.Call(ctx, c, action.ListCommands{})
		if err != nil {
			return check{Step: "privileges", Verdict: wrongly, Text: "not even ListCommands is answered: " + explain(c.Node().Key, err)}
		}
		has := inferred(offered)
		if len(has) == 0 {
			return check{Step: "privileges", Verdict: doubt, Text: "the user may use no action that needs a privilege", Fix: section + "write = system,call,originate or what is needed" + reloaded}
		}
		return check{Step: "privileges", Verdict: fine, Text: "write: at least " + strings.Join(has, ",") + "; the rest only the CLI knows, which needs write = command"}
	}
	read, write := classes(facts["read perm"]), classes(facts["write perm"])
	switch {
	case len(read) == 0 && c.Node().Events != "off":
		return check{Step: "privileges", Verdict: wrongly, Text: "the user may read nothing: no event will ever come", Fix: section + "read = system,call,user or what is needed" + reloaded}
	case len(write) == 0:
		return check{Step: "privileges", Verdict: doubt, Text: "the user may use no action that needs a privilege", Fix: section + "write = system,call,originate or what is needed" + reloaded}
	}
	return check{Step: "privileges", Verdict: fine, Text: "read: " + strings.Join(read, ",") + "; write: " + strings.Join(write, ",")}
}

// eventCheck sets the mask of the login once more, and compares what comes back.
func eventCheck(ctx context.Context, c *ami.Client, facts userFacts) check {
	out := check{Step: "events", Verdict: fine}
	mask := c.Node().Events
	if mask == "" {
		mask = "on"
	}
	r, err := ami.Call(ctx, c, action.Events{EventMask: mask}, ami.Timeout(3*time.Second))
	var unreadable []string
	if facts != nil {
		unreadable = withheld(mask, classes(facts["read perm"]))
	}
	switch {
	case err != nil:
		out.Verdict, out.Text = doubt, "the action Events is not answered: "+explain(c.Node().Key, err)
		out.Fix = "manager.conf [general]: brokeneventsaction = no" + reloaded
	case mask == "off":
		out.Text = "off, as configured: no event will come"
	case strings.EqualFold(r.Events, "Off"):
		out.Verdict, out.Text = wrongly, fmt.Sprintf("Asterisk takes the mask %q for off: it does not know its classes", mask)
		out.Fix = "events at the node: on, or some of " + strings.Join(classNames, ",")
	case len(unreadable) > 0:
		out.Verdict, out.Text = doubt, "the mask asks for what the user may not read: "+strings.Join(unreadable, ",")
		out.Fix = "manager.conf [" + c.Node().Username + "]: read = ..." + "," + strings.Join(unreadable, ",") + reloaded
	default:
		out.Text = "mask " + mask
	}
	return out
}

// withheld returns the classes of a mask that are not in read.
func withheld(mask string, read []string) (missing []string) {
	if slices.Contains(read, "all") {
		return nil
	}
	for class := range strings.SplitSeq(mask, ",") {
		if slices.Contains(classNames, class) && !slices.Contains(read, class) {
			missing = append(missing, class)
		}
	}
	return missing
}

// mostSkew is how far two clocks may be apart, besides the time of the answer.
const mostSkew = time.Second

func clockCheck(ctx context.Context, c *ami.Client) check {
	out := check{Step: "clock", Verdict: fine}
	before := time.Now()
	pong, err := ami.Call(ctx, c, action.Ping{})
	took := time.Since(before)
	if err != nil {
		return check{Step: "clock", Verdict: wrongly, Text: "Ping is not answered: " + explain(c.Node().Key, err)}
	}
	if pong.Timestamp.IsZero() {
		out.Text = "unknown: the answer to Ping has no time; it took " + ms(took)
		return out
	}
	ahead := pong.Timestamp.Sub(before.Add(took / 2))
	apart := ahead.Abs().Round(time.Millisecond)
	out.Text = fmt.Sprintf("within %v of ours; an answer takes %s", max(apart, took/2, time.Millisecond).Round(time.Millisecond), ms(took))
	if apart > mostSkew+took/2 {
		out.Verdict, out.Fix = doubt, "let both machines ask the same time server (NTP)"
		out.Text = fmt.Sprintf("the server's clock is %v behind ours", apart)
		if ahead > 0 {
			out.Text = fmt.Sprintf("the server's clock is %v ahead of ours", apart)
		}
	}
	return out
}
