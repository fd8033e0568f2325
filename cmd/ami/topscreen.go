package main

import (
	"context"
	"errors"
	"os"
	"time"
	"unicode/utf8"

	tea "github.com/charmbracelet/bubbletea"

	_ "github.com/apn/ami/cmd/ami/internal/quietterm" // before bubbletea
)

// A topScreen is "ami top" on a terminal: the board, and what the keys have chosen.
// bubbletea calls its methods, one at a time.
type topScreen struct {
	board *board
	canvas
	interval time.Duration
	sample   func() []nodeSample
	look     func(node string) // somebody looks at the details of a node

	page    topPage
	scroll  int  // the first line of the page that is in sight
	typing  bool // the filter
	details string
}

// A topPage is what the screen shows.
type topPage uint8

const (
	pageList topPage = iota
	pageDetails
	pageHelp
)

// A tick says that it is time for the next sample.
type tick struct{}

// Init implements tea.Model.
func (s *topScreen) Init() tea.Cmd { return s.next() }

// next takes a sample and has the next one taken an interval later.
func (s *topScreen) next() tea.Cmd {
	s.board.take(s.sample(), time.Now())
	return tea.Tick(s.interval, func(time.Time) tea.Msg { return tick{} })
}

// Update implements tea.Model.
func (s *topScreen) Update(msg tea.Msg) (_ tea.Model, cmd tea.Cmd) {
	switch msg := msg.(type) {
	case tick:
		cmd = s.next()
	case tea.WindowSizeMsg:
		s.width, s.height = msg.Width, msg.Height
		s.move(0)
	case tea.KeyMsg:
		cmd = s.key(msg)
	}
	return s, cmd
}

// key obeys a key, or several letters that came at once.
func (s *topScreen) key(k tea.KeyMsg) tea.Cmd {
	switch {
	case k.Type == tea.KeyCtrlC:
		return tea.Quit
	case s.typing:
		s.edit(k)
		return nil
	case k.Paste:
		return nil // it was meant for something else
	case len(k.Runes) > 1:
		for _, r := range k.Runes {
			if cmd := s.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: k.Alt}); cmd != nil {
				return cmd
			}
		}
		return nil
	}
	switch k.String() {
	case "q":
		return tea.Quit
	case "esc":
		return s.back()
	case "up":
		s.move(-1)
	case "down":
		s.move(1)
	case "pgup":
		s.move(-max(s.bodyLines(), 1))
	case "pgdown":
		s.move(max(s.bodyLines(), 1))
	case "home":
		s.move(-s.all())
	case "end":
		s.move(s.all())
	case "?":
		s.open(pageHelp)
	case "enter":
		if s.page != pageList {
			return s.back()
		}
		if s.details = s.board.chosen(); s.details != "" {
			s.look(s.details)
			s.open(pageDetails)
		}
	case "s", "right":
		s.sort(1)
	case "left":
		s.sort(-1)
	case "r":
		if s.page == pageList {
			s.board.turn()
		}
	case "/":
		s.open(pageList)
		s.typing = true
	}
	return nil
}

// back leaves a page, takes back the filter, or ends.
func (s *topScreen) back() tea.Cmd {
	switch {
	case s.page != pageList:
		s.open(pageList)
	case s.board.filter != "":
		s.board.filterBy("")
	default:
		return tea.Quit
	}
	return nil
}

func (s *topScreen) open(p topPage) { s.page, s.scroll = p, 0 }

// sort sorts by another column of those in sight.
func (s *topScreen) sort(step int) {
	if s.page == pageList {
		s.board.sortNext(s.layOut(s.board.shown()).columns, step)
	}
}

// all is more than there are lines.
func (s *topScreen) all() int { return len(s.board.rows) + len(s.text()) }

// move chooses another node, or scrolls the page.
func (s *topScreen) move(step int) {
	if s.page == pageList {
		s.board.move(step, s.bodyLines())
		return
	}
	s.scroll = max(min(s.scroll+step, len(s.text())-s.bodyLines()), 0)
}

// mostFilter is how long a filter may be: longer than any name of a node.
const mostFilter = 100

// edit changes the filter by a key.
func (s *topScreen) edit(k tea.KeyMsg) {
	switch f := s.board.filter; k.Type {
	case tea.KeyEnter:
		s.typing = false
	case tea.KeyEsc:
		s.typing = false
		s.board.filterBy("")
	case tea.KeyBackspace:
		_, size := utf8.DecodeLastRuneInString(f)
		s.board.filterBy(f[:len(f)-size])
	case tea.KeyRunes, tea.KeySpace:
		if text := f + string(k.Runes); len(text) <= mostFilter {
			s.board.filterBy(text)
		}
	}
}

// text is that of the page.
func (s *topScreen) text() []string {
	switch r := s.board.byKey[s.details]; {
	case s.page == pageHelp:
		return helpLines
	case s.page == pageDetails && r != nil:
		return s.canvas.details(s.board, r)
	default:
		return nil
	}
}

// View implements tea.Model.
func (s *topScreen) View() string {
	if s.width <= 0 || s.height <= 0 {
		return "" // the terminal has not said yet
	}
	switch s.page {
	case pageHelp:
		return s.canvas.page("ami top: keys and columns", s.text(), s.scroll, s.line(faint, "Esc back  q quit"))
	case pageDetails:
		return s.canvas.page(s.details, s.text(), s.scroll, s.line(faint, "Esc back  up/down scroll  q quit"))
	}
	foot := s.line(faint, "q quit  s sort  r reverse  / filter  Enter details  ? help")
	if s.typing {
		foot = s.line(bold, "/"+s.board.filter+"_")
	}
	return s.list(s.board, foot)
}

// No line may wrap, whatever terminal and library think of the width of a
// character: the rest of the screen would be one line too low.
const (
	wrapOff = "\x1b[?7l"
	wrapOn  = "\x1b[?7h"
)

// draw shows the screen until a key or ctx ends it.
func (s *topScreen) draw(ctx context.Context, terminal *os.File) error {
	if _, err := terminal.WriteString(wrapOff); err != nil {
		return err
	}
	defer func() { _, _ = terminal.WriteString(wrapOn) }() // the terminal is gone
	p := tea.NewProgram(s, tea.WithOutput(terminal), tea.WithAltScreen(), tea.WithoutSignalHandler())
	// Not tea.WithContext: at the end of that, bubbletea closes what its goroutine
	// for the keyboard still reads.
	stop := context.AfterFunc(ctx, p.Quit)
	defer stop()
	_, err := p.Run()
	if ctx.Err() != nil && !errors.Is(err, tea.ErrProgramPanic) {
		return nil // it was told to end, by a terminal that goes, perhaps
	}
	return err
}
