package main

import (
	"fmt"
	"os"
	"strings"
)

// The markers in a page between which the table stands.
const (
	pageBegin = "<!-- bench-peers: begin -->"
	pageEnd   = "<!-- bench-peers: end -->"
)

// putIntoPage replaces what stands between the markers of a page.
func putIntoPage(file, table string) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	replaced, err := between(string(page), table)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(replaced), 0o644) //nolint:gosec // a page of the documentation
}

func between(page, table string) (string, error) {
	before, rest, found := strings.Cut(page, pageBegin)
	_, after, closed := strings.Cut(rest, pageEnd)
	if !found || !closed {
		return "", fmt.Errorf("it lacks the lines %s and %s between which the table goes", pageBegin, pageEnd)
	}
	return before + pageBegin + "\n" + table + pageEnd + after, nil
}
