// Command chartdocs writes the table of values into the README of a Helm chart, between the lines
// <!-- values --> and <!-- /values -->. The text of each value is the comment above it in
// values.yaml; a value without one is an error.
//
//	chartdocs -chart FOLDER
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	chart := flag.String("chart", "", "the folder of the chart")
	flag.Parse()

	if err := run(*chart); err != nil {
		fmt.Fprintln(os.Stderr, "chartdocs:", err)
		os.Exit(1)
	}
}

func run(chart string) error {
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return fmt.Errorf("read the values: %w", err)
	}
	path := filepath.Join(chart, "README.md")
	readme, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the README: %w", err)
	}
	table, err := valuesTable(values)
	if err != nil {
		return fmt.Errorf("describe the values of %s: %w", chart, err)
	}
	out, err := insert(string(readme), table)
	if err != nil {
		return fmt.Errorf("write the table into %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(out), 0o644); err != nil {
		return fmt.Errorf("write the README: %w", err)
	}
	return nil
}
