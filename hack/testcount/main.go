// Command testcount adds up test runs, given as files that `go test -json` wrote, and ends with the
// line "N passed, N failed, N skipped". Tests that were skipped are listed with their reasons, so
// that a skip is never silent, and those that failed with the first lines that they wrote. It exits with 1 if anything failed or if there was no test at all.
//
//	testcount FILE...
package main

import (
	"fmt"
	"os"
)

func main() {
	runs := make([]run, 0, len(os.Args))
	for _, path := range os.Args[1:] {
		read, err := readFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, "testcount:", err)
			os.Exit(1)
		}
		runs = append(runs, read)
	}
	total := count(runs)
	fmt.Print(total)
	if total.failed > 0 || total.passed+total.skipped == 0 {
		os.Exit(1)
	}
}

func readFile(path string) (run, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open a test run: %w", err)
	}
	defer file.Close()
	read, err := decode(file)
	if err != nil {
		return nil, fmt.Errorf("read the test run %s: %w", path, err)
	}
	return read, nil
}
