// Package quietterm keeps bubbletea from talking to the terminal of every
// command. The init function of that package asks the terminal for its
// background, by an escape sequence, and waits up to 5 s for the answer, whether
// anything is ever drawn or not: "ami ping" would do it too, and swallow what is
// typed ahead. It does not ask if the answer is known.
//
// Go initializes the first package, by import path, whose imports are initialized
// (the language's specification, "Program initialization"), so this one comes
// before github.com/charmbracelet/bubbletea.
package quietterm

import "github.com/charmbracelet/lipgloss"

func init() { lipgloss.SetHasDarkBackground(true) } // nothing is painted by it
