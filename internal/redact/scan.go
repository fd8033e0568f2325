package redact

import (
	"regexp"
	"strings"
)

// words are what speaks of a secret, as a part of a name of any case.
var words = append(proseWords[:len(proseWords):len(proseWords)], "auth", "md5")

// proseWords are those that, within a sentence, name a thing rather than an act.
var proseWords = []string{"secret", "passw", "token", "key", "credential"}

// cliPhrases begin a command of the CLI that sets something. Behind them, words
// are arguments and no sentence.
var cliPhrases = regexp.MustCompile(`(?i)\b(?:database\s+put|dialplan\s+set\s+(?:global|chanvar))\s`)

// cliWords are in each of them; to look for them is cheap.
var cliWords = []string{"database", "dialplan"}

// maxSlashes is how deep a quote may be escaped; a deeper one is none, so that
// no text has many kinds of them, each with its own way to the end.
const maxSlashes = 7

const (
	breaks  = "\r\n"
	quotes  = `"'`
	closers = "\"'`\\)]}>" // between a name and its = or :
	stops   = "=:&;"       // end a call such as HASH(tokens,api)
	after   = ",;&)]}>"    // what follows a closing quote
	plain   = "-'/_.,"     // in a word of a sentence
)

// find returns where the next of the words is; start is negative if nowhere.
func find(s string, from int, words []string) (start, end int) {
	for i := from; i < len(s); i++ {
		switch s[i] | 0x20 {
		case 's', 'p', 't', 'k', 'c', 'a', 'm', 'd': // a word begins with one of them; most text goes by quickly
		default:
			continue
		}
		for _, w := range words {
			if s[i]|0x20 == w[0] && len(s)-i >= len(w) && strings.EqualFold(s[i:i+len(w)], w) {
				return i, i + len(w)
			}
		}
	}
	return -1, -1
}

func speaks(s string, words []string) bool {
	start, _ := find(s, 0, words)
	return start >= 0
}

// scan hides what the built-in rules say is a secret. Its time is linear in the
// length of s: nothing is looked at again for each word that is found.
func scan(s string, command bool) string {
	sc := scanner{s: s, command: command}
	var b strings.Builder
	done := 0
	for at := 0; ; {
		start, end := find(s, at, words)
		if start < 0 {
			break
		}
		for end < len(s) && isName(s[end]) {
			end++
		}
		from, to := sc.secret(start, end)
		if from < to {
			b.WriteString(s[done:from])
			b.WriteString(Mask)
			done = to
		}
		at = max(end, to)
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

type scanner struct {
	s       string
	command bool // all of it is one

	lineEnd int // of the line that was last looked at
	cliFrom int // where in it the arguments of a command begin
	stop    int // where the last call, or the blankless rest of it, ended
}

// secret returns what is to be hidden behind a name, which begins with a word
// and ends at end; nothing if from is not less than to.
func (sc *scanner) secret(start, end int) (from, to int) {
	value := sc.assigned(end)
	switch {
	case sc.isCommand(start):
		if from = value; from < 0 {
			from = skip(sc.s, skip(sc.s, end, isCloser), isSpace)
		}
		return from, sc.eol(from)
	case value >= 0:
		if from, to, ok := sc.quoted(value); ok {
			return from, to
		}
		return value, sc.eol(value)
	case speaks(sc.s[start:end], proseWords):
		return sc.prose(end)
	default:
		return 0, 0
	}
}

// assigned returns where the value begins if the name that ends at i is assigned
// one, and otherwise a negative number. Quotes may stand before the = or :, and
// so may the rest of a call, as in HASH(tokens,api)=.
func (sc *scanner) assigned(i int) int {
	s := sc.s
	j := skip(s, i, func(c byte) bool { return isBlank(c) || isCloser(c) })
	if !sc.separator(j) {
		if sc.stop < i {
			sc.stop = skip(s, i, func(c byte) bool { return !isBlank(c) && strings.IndexByte(stops, c) < 0 })
		}
		j = sc.stop
		if j == i || !isCloser(s[j-1]) || !sc.separator(j) {
			return -1
		}
	}
	return skip(s, j, func(c byte) bool { return isBlank(c) || c == '=' || c == ':' || c == '>' })
}

func (sc *scanner) separator(i int) bool { return i < len(sc.s) && (sc.s[i] == '=' || sc.s[i] == ':') }

// quoted returns the inside of the quotes that open at i. Escaped ones, as in a
// document within another, close with as many backslashes as they opened with;
// what follows must look as if the value had ended. Otherwise it is not ok.
func (sc *scanner) quoted(i int) (from, to int, ok bool) {
	s := sc.s
	isSlash := func(c byte) bool { return c == '\\' }
	open := skip(s, i, isSlash)
	if open == len(s) || open-i > maxSlashes || strings.IndexByte(quotes, s[open]) < 0 {
		return 0, 0, false
	}
	slashes := 0
	for j := open + 1; j < len(s) && !isBreak(s[j]); j++ {
		switch {
		case s[j] == '\\':
			slashes++
			continue
		case s[j] == s[open] && slashes == open-i:
			next := skip(s, j+1, isSlash)
			if next < len(s) && !isBlank(s[next]) && strings.IndexByte(after, s[next]) < 0 {
				return 0, 0, false
			}
			return open + 1, j - slashes, true
		}
		slashes = 0
	}
	return 0, 0, false
}

// isCommand reports whether what stands at i is an argument of a CLI command.
func (sc *scanner) isCommand(i int) bool {
	if sc.command {
		return true
	}
	if i >= sc.lineEnd {
		begin := strings.LastIndexAny(sc.s[:i], breaks) + 1
		sc.lineEnd = sc.eol(i)
		sc.cliFrom = len(sc.s)
		if line := sc.s[begin:sc.lineEnd]; speaks(line, cliWords) {
			if m := cliPhrases.FindStringIndex(line); m != nil {
				sc.cliFrom = begin + m[1]
			}
		}
	}
	return i >= sc.cliFrom
}

// prose returns the next word of a sentence if it looks like no word, or is
// quoted. One with a name in it is left for its turn.
func (sc *scanner) prose(i int) (from, to int) {
	s := sc.s
	i = skip(s, i, isCloser)
	from = skip(s, i, isSpace)
	if from == i {
		return 0, 0
	}
	if from, to, ok := sc.quoted(from); ok && (s[from:to] == Mask || !strings.Contains(s[from:to], Mask) && !speaks(s[from:to], words)) {
		return from, to
	}
	to = skip(s, from, func(c byte) bool { return !isBlank(c) })
	token := strings.TrimLeft(s[from:to], "([{<\"'`\\")
	from = to - len(token)
	token = strings.TrimRight(token, ")]}>\"'`\\.,:;!?")
	to = from + len(token)
	if len(token) < 4 || isWord(token) || speaks(token, words) {
		return 0, 0
	}
	return from, to
}

func (sc *scanner) eol(i int) int {
	return skip(sc.s, i, func(c byte) bool { return !isBreak(c) })
}

func skip(s string, i int, while func(byte) bool) int {
	for i < len(s) && while(s[i]) {
		i++
	}
	return i
}

func isBreak(c byte) bool  { return c == '\r' || c == '\n' }
func isBlank(c byte) bool  { return c <= ' ' || c == 0x7f }
func isSpace(c byte) bool  { return isBlank(c) && !isBreak(c) }
func isCloser(c byte) bool { return strings.IndexByte(closers, c) >= 0 }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c >= 0x80 }
func isName(c byte) bool {
	return isLetter(c) || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'
}

// isWord reports whether s is made like a word of a sentence.
func isWord(s string) bool {
	return skip(s, 0, func(c byte) bool { return isLetter(c) || strings.IndexByte(plain, c) >= 0 }) == len(s)
}
