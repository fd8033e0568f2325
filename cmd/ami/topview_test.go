package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
)

// screenOf makes a screen of a board without a terminal.
func screenOf(b *board, width, height int, colours bool) *topScreen {
	out := &output{colour: colours}
	return &topScreen{
		board: b, canvas: canvas{width: width, height: height, paint: out.paint}, interval: time.Second,
		sample: func() []nodeSample { return nil }, look: func(string) {},
	}
}

// press types keys and returns whether one of them ends it.
func press(s *topScreen, keys ...string) (ends bool) {
	special := map[string]tea.KeyType{
		"up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown,
		"home": tea.KeyHome, "end": tea.KeyEnd, "enter": tea.KeyEnter, "esc": tea.KeyEsc, "backspace": tea.KeyBackspace, "ctrl+c": tea.KeyCtrlC,
	}
	for _, k := range keys {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
		if kind, ok := special[k]; ok {
			msg = tea.KeyMsg{Type: kind}
		}
		_, cmd := s.Update(msg)
		if cmd != nil {
			_, quits := cmd().(tea.QuitMsg)
			ends = ends || quits
		}
	}
	return ends
}

// hostile is what a server may send to break the screen.
const hostile = "\x1b[2J\x1b[?1049l\r\nevil\u009b\u202e\a\t漢字漢字"

// oddNodes is a board with names and reasons that are made to break the screen.
func oddNodes() *board {
	b := newBoard()
	wide, evil := sampled("東京交換機東京交換機", 5), sampled("evil"+hostile, 7)
	wide.stats.State, wide.stats.Reason = ami.Disconnected, errors.New("ami: "+strings.Repeat("長い理由", 30))
	evil.stats.State, evil.stats.Reason = ami.Disconnected, errors.New("ami: "+hostile)
	evil.version, evil.stats.Banner, evil.names = hostile, hostile, map[string]uint64{hostile: 3}
	evil.gap = &pastGap{at: noon}
	evil.gap.Reason = errors.New(hostile)
	evil.privileges = &privileges{Read: []string{hostile}, Write: []string{}}
	b.take([]nodeSample{wide, evil, sampled("pbx1", 0)}, noon)
	return b
}

// manyNodes is a board with more nodes than lines.
func manyNodes() *board {
	b := newBoard()
	at := noon.Add(-time.Second)
	for range 2 {
		var samples []nodeSample
		for i := range 100 {
			s := sampled(fmt.Sprintf("pbx%03d.example.com", i), uint64(i*i))
			if at.Before(noon) {
				s.stats.Events = 0
			}
			samples = append(samples, s)
		}
		b.take(samples, at)
		at = noon
	}
	return b
}

func TestTopScreens(t *testing.T) {
	for _, tc := range []struct {
		name          string
		board         func() *board
		width, height int
		colours       bool
		keys          []string
	}{
		{"80x24", someNodes, 80, 24, false, nil},
		{"200x60", someNodes, 200, 60, false, nil},
		{"120x6-colours", someNodes, 120, 6, true, nil},
		{"40x10", someNodes, 40, 10, false, nil},
		{"20x5", someNodes, 20, 5, false, nil},
		{"many", manyNodes, 80, 12, false, []string{"end", "up"}},
		{"many-by-rate", manyNodes, 80, 12, false, []string{"s", "s", "s", "down"}},
		{"filter", someNodes, 80, 8, false, []string{"/", "p", "b", "x", "enter"}},
		{"typing", someNodes, 60, 8, false, []string{"/", "x", "y"}},
		{"details", someNodes, 80, 24, false, []string{"down", "enter"}},
		{"details-busy", someNodes, 80, 24, false, []string{"end", "enter"}},
		{"details-scrolled", someNodes, 40, 8, false, []string{"end", "enter", "pgdown"}},
		{"help", someNodes, 80, 24, false, []string{"?"}},
		{"odd", oddNodes, 120, 8, false, nil},
		{"odd-narrow", oddNodes, 40, 8, false, nil},
		{"odd-details", oddNodes, 60, 24, false, []string{"enter"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := screenOf(tc.board(), tc.width, tc.height, tc.colours)
			require.False(t, press(s, tc.keys...))
			view := s.View()
			fits(t, s, view)
			golden(t, "top-screen-"+tc.name, strings.ReplaceAll(view, "\x1b", "^")+"\n", ` +(\n)`, "$1")
		})
	}
}

// fits checks that a view cannot break the screen.
func fits(t *testing.T, s *topScreen, view string) {
	t.Helper()
	lines := strings.Split(view, "\n")
	require.Len(t, lines, s.height)
	for _, line := range lines { // without require: there are many
		if ansi.StringWidth(line) > s.width {
			t.Fatalf("wider than %d: %q", s.width, line)
		}
		bare := line
		for _, style := range []style{bold, faint, reverse, red, green, yellow, cyan, "0"} {
			bare = strings.ReplaceAll(bare, "\x1b["+string(style)+"m", "")
		}
		if clean(bare) != bare {
			t.Fatalf("not clean: %q", bare)
		}
	}
}

// TestEverySizeFits: no page breaks a screen of any size.
func TestEverySizeFits(t *testing.T) {
	for _, boards := range []func() *board{someNodes, oddNodes, manyNodes, newBoard} {
		for _, keys := range [][]string{nil, {"enter"}, {"down", "enter", "end"}, {"?", "end"}, {"/", "x"}} {
			for width := 1; width < 130; width += 3 + width/20 { // the narrow ones are the hard ones
				for height := 1; height < 30; height += 2 + height/8 {
					s := screenOf(boards(), width, height, width%2 == 0)
					press(s, keys...)
					fits(t, s, s.View())
				}
			}
		}
	}
	require.Empty(t, screenOf(someNodes(), 0, 0, false).View(), "the size is not known yet")
}

// FuzzTopScreen: no text of a server and no size breaks the screen.
func FuzzTopScreen(f *testing.F) {
	f.Add("pbx1", hostile, uint8(80), uint8(24))
	f.Add("漢", "\xff\u200d\ufe0f👩‍👩‍👧", uint8(9), uint8(3))
	f.Fuzz(func(t *testing.T, name, text string, width, height uint8) {
		b := newBoard()
		n := sampled(name, 5)
		n.stats.State, n.stats.Reason, n.version, n.names = ami.Disconnected, errors.New(text), text, map[string]uint64{text: 1}
		b.take([]nodeSample{n}, noon)
		for _, keys := range [][]string{nil, {"enter"}} {
			s := screenOf(b, int(width)+1, int(height)+1, width%2 == 0)
			press(s, keys...)
			fits(t, s, s.View())
		}
	})
}

// TestKeys: where keys lead to.
func TestKeys(t *testing.T) {
	for _, tc := range []struct {
		name  string
		keys  []string
		ends  bool
		check func(t *testing.T, s *topScreen)
	}{
		{"q", []string{"q"}, true, nil},
		{"Esc", []string{"esc"}, true, nil},
		{"Ctrl-C", []string{"ctrl+c"}, true, nil},
		{"q in the details", []string{"enter", "q"}, true, nil},
		{"q is a letter of a filter", []string{"/", "q"}, false, func(t *testing.T, s *topScreen) { require.Equal(t, "q", s.board.filter) }},
		{"Ctrl-C in a filter", []string{"/", "ctrl+c"}, true, nil},
		{"Esc leaves the details", []string{"enter", "esc"}, false, func(t *testing.T, s *topScreen) { require.Equal(t, pageList, s.page) }},
		{"Esc leaves the help", []string{"?", "esc"}, false, nil},
		{"Esc twice", []string{"?", "esc", "esc"}, true, nil},
		{"Esc takes the filter back", []string{"/", "x", "enter", "esc"}, false, func(t *testing.T, s *topScreen) { require.Empty(t, s.board.filter) }},
		{"Esc while typing", []string{"/", "x", "esc"}, false, func(t *testing.T, s *topScreen) { require.Empty(t, s.board.filter); require.False(t, s.typing) }},
		{"backspace", []string{"/", "漢字", "backspace"}, false, func(t *testing.T, s *topScreen) { require.Equal(t, "漢", s.board.filter) }},
		{"backspace of nothing", []string{"/", "backspace"}, false, func(t *testing.T, s *topScreen) { require.Empty(t, s.board.filter) }},
		{"a long filter", []string{"/", strings.Repeat("x", 101), "y"}, false, func(t *testing.T, s *topScreen) { require.Equal(t, "y", s.board.filter) }},
		{"letters at once", []string{"ssr"}, false, func(t *testing.T, s *topScreen) {
			require.Equal(t, "SINCE", columns[s.board.sortBy].title)
			require.True(t, s.board.reverse)
		}},
		{"a filter at once", []string{"/lab"}, false, func(t *testing.T, s *topScreen) { require.Equal(t, "lab", s.board.filter) }},
		{"back and forth", []string{"right", "right", "left"}, false, func(t *testing.T, s *topScreen) { require.Equal(t, "STATE", columns[s.board.sortBy].title) }},
		{"details of the chosen one", []string{"down", "down", "up", "enter"}, false, func(t *testing.T, s *topScreen) { require.Equal(t, "pbx10", s.details) }},
		{"no details of nobody", []string{"/", "z", "enter", "enter"}, false, func(t *testing.T, s *topScreen) { require.Equal(t, pageList, s.page) }},
		{"sorting is for the list", []string{"?", "s", "r"}, false, func(t *testing.T, s *topScreen) {
			require.Zero(t, s.board.sortBy)
			require.False(t, s.board.reverse)
		}},
		{"the end of a page", []string{"?", "end", "home", "pgdown"}, false, func(t *testing.T, s *topScreen) { require.Zero(t, s.scroll, "all is in sight") }},
		{"some other key", []string{"x"}, false, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := screenOf(someNodes(), 80, 24, false)
			require.Equal(t, tc.ends, press(s, tc.keys...))
			if tc.check != nil {
				tc.check(t, s)
			}
		})
	}
	s := screenOf(someNodes(), 80, 24, false)
	_, cmd := s.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("q"), Paste: true})
	require.Nil(t, cmd, "what is pasted is no key")
}

// BenchmarkTopScreen is what a tick costs with 300 nodes of 40 kinds of events.
func BenchmarkTopScreen(b *testing.B) {
	var samples []nodeSample
	for i := range 300 {
		s := sampled(fmt.Sprintf("pbx%03d.example.com", i), 0)
		s.names = make(map[string]uint64)
		for n := range 40 {
			s.names[fmt.Sprint("Event", n)] = uint64(n)
		}
		samples = append(samples, s)
	}
	s := screenOf(newBoard(), 200, 60, true)
	s.sample = func() []nodeSample { return samples }
	for b.Loop() {
		s.Update(tick{})
		_ = s.View()
	}
}
