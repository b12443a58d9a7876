// Package text has what every message of a condition, an event or the status needs: lengths that the API bounds, in
// bytes, and one way to put several messages into one.
package text

import "strings"

// ellipsis shows that something was cut off.
const ellipsis = "…"

// Cut keeps a text within so many bytes: it ends between two characters, and with an ellipsis where something is missing.
// Bytes that are no UTF-8, which the API server would refuse, are left out. `most` is at least the ellipsis's three bytes.
func Cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(ellipsis)], "") + ellipsis
}

// Join puts messages into one; empty ones are left out.
func Join(messages ...string) string {
	var out []string
	for _, message := range messages {
		if message != "" {
			out = append(out, message)
		}
	}
	return strings.Join(out, "; ")
}
