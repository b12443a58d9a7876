package text_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/headgate/headgate/internal/text"
)

func TestCut(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		most int
		want string
	}{
		"short":                       {"all", 10, "all"},
		"as long as may be":           {"0123456789", 10, "0123456789"},
		"too long":                    {"0123456789a", 10, "0123456…"},
		"not within a character":      {"ääääää", 10, "äää…"},
		"what is no text is left out": {"a\xffb", 10, "ab"},
		"nothing":                     {"", 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := text.Cut(c.text, c.most); got != c.want || len(got) > c.most || !utf8.ValidString(got) {
				t.Errorf("it is %q, want %q", got, c.want)
			}
		})
	}
	if got := text.Cut(strings.Repeat("ü", 40000), 4096); len(got) > 4096 || len(got) < 4090 {
		t.Errorf("%d bytes are left", len(got))
	}
}

func TestJoin(t *testing.T) {
	if got := text.Join("one", "", "two"); got != "one; two" {
		t.Errorf("it is %q", got)
	}
	if got := text.Join(); got != "" {
		t.Errorf("nothing becomes %q", got)
	}
}
