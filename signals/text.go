package signals

import (
	"strings"
	"unicode"
)

const (
	// longestMessage is how many bytes of an error are passed on.
	longestMessage = 300
	// longestQuote is how many bytes are where a part of them is from an answer: enough to see what is wrong with it. Who may name a
	// source may not be the one who may read what it says.
	longestQuote = 160
)

// presentable makes a text that came from outside fit for a condition or a log: one line, not too
// long, and without the secrets.
func presentable(text string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	text = strings.ToValidUTF8(text, "?")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) && r != ' ' {
			return ' '
		}
		return r
	}, text)
	return cut(strings.Join(strings.Fields(text), " "), longestMessage)
}

// quoted is presentable for what holds a part of an answer.
func quoted(text string, secrets ...string) string {
	return cut(presentable(text, secrets...), longestQuote)
}

func cut(text string, most int) string {
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + " …"
	}
	return text
}
