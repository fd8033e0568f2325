package amitest

import (
	"fmt"
	"strings"
	"time"

	"github.com/apn/ami/frame"
)

// command is action_command. The error of the CLI is an Error response, but
// with the same output lines.
func command(c *Call) {
	cli := c.Get("Command")
	if cli == "" {
		c.Error("No command provided")
		return
	}
	output, ok := c.session.srv.cli(cli)
	if c.session.srv.cfg.oldCommand {
		c.follows(output)
		return
	}
	fields := make([]frame.Field, len(output))
	for i, line := range output {
		fields[i] = F("Output", line)
	}
	response := "Success"
	if !ok {
		response = "Error"
	}
	c.respond(response, "Command output follows", fields)
}

// follows is the answer of Asterisk up to 13.
func (c *Call) follows(output []string) {
	b := []byte("Response: Follows\r\nPrivilege: Command\r\n")
	if c.id != "" {
		b = appendHeader(b, "ActionID", c.id)
	}
	for _, line := range output {
		b = append(append(b, line...), '\n')
	}
	c.session.srv.answered(c, "Follows", "")
	c.Raw(append(b, "--END COMMAND--\r\n\r\n"...))
}

// cli runs a command of the console.
func (srv *Server) cli(line string) (output []string, ok bool) {
	switch strings.Join(strings.Fields(strings.ToLower(line)), " ") {
	case "core show channels":
		return srv.pbx.showChannels(), true
	case "core show channels concise":
		return srv.pbx.showConcise(), true
	case "core show version":
		return []string{"Asterisk " + srv.cfg.version + " built by root @ fake on a x86_64 running Linux on 2026-01-01 00:00:00 UTC"}, true
	case "core show uptime":
		_, up := srv.boot()
		return []string{"System uptime: " + uptimeText(up), "Last reload: " + uptimeText(up)}, true
	case "dialplan reload":
		return []string{"Dialplan reloaded."}, true
	}
	words := strings.Fields(line)
	return []string{fmt.Sprintf("No such command '%s' (type 'core show help %s' for other possible commands)",
		line, strings.Join(words[:min(2, len(words))], " "))}, false
}

func uptimeText(d time.Duration) string {
	seconds := int(d.Seconds())
	var parts []string
	for _, unit := range []struct {
		name string
		n    int
	}{{"day", seconds / 86400}, {"hour", seconds / 3600 % 24}, {"minute", seconds / 60 % 60}, {"second", seconds % 60}} {
		switch {
		case unit.n == 1:
			parts = append(parts, "1 "+unit.name)
		case unit.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", unit.n, unit.name))
		}
	}
	return strings.Join(parts, ", ") + " "
}

// showChannels has the columns of handle_chanlist.
func (p *pbx) showChannels() []string {
	lines := []string{fmt.Sprintf("%-64.64s %-32.32s %-7.7s %-30.30s", "Channel", "Location", "State", "Application(Data)")}
	channels := p.all()
	for _, c := range channels {
		location := fmt.Sprintf("%s@%s:%d", c.exten, c.context, c.priority)
		app := "(None)"
		if c.app != "" {
			app = c.app + "(" + c.data + ")"
		}
		lines = append(lines, fmt.Sprintf("%-64.256s %-32.64s %-7.7s %-30.80s", c.name, location, stateText[c.state], app))
	}
	p.mu.Lock()
	processed := p.processed
	p.mu.Unlock()
	calls := make(map[string]bool)
	for _, c := range channels {
		calls[c.linkedid] = true
	}
	return append(lines, plural(len(channels), "active channel"), plural(len(calls), "active call"),
		plural(processed, "call")+" processed")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// showConcise has the fields that programs split at exclamation marks.
func (p *pbx) showConcise() (lines []string) {
	for _, c := range p.all() {
		seconds, _ := c.duration()
		lines = append(lines, fmt.Sprintf("%s!%s!%s!%d!%s!%s!%s!%s!%s!!3!%d!%s!%s",
			c.name, c.context, c.exten, c.priority, stateText[c.state], c.app, c.data,
			c.number, c.account, seconds, c.bridge, c.uniqueid))
	}
	return lines
}
