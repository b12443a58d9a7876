// Package page puts what a bench prints into a page of the documentation.
package page

import (
	"fmt"
	"os"
	"strings"
)

// Put replaces what stands in a page between the markers of a bench, such as <!-- bench-peers: begin --> and <!-- bench-peers: end -->.
func Put(file, bench, table string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	replaced, err := Between(string(text), bench, table)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(replaced), 0o644) //nolint:gosec // a page of the documentation
}

// Between is Put for a text.
func Between(text, bench, table string) (string, error) {
	begin, end := "<!-- "+bench+": begin -->", "<!-- "+bench+": end -->"
	before, rest, found := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("it lacks the lines %s and %s between which the table goes", begin, end)
	}
	return before + begin + "\n" + table + end + after, nil
}
