package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("out", "", "the SVG file to write")
	flag.Parse()
	if err := write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func write(file string) error {
	moments, err := play()
	if err != nil {
		return fmt.Errorf("ship a version: %w", err)
	}
	if err := os.WriteFile(file, []byte(draw(moments)), 0o644); err != nil { //nolint:gosec // a picture of the documentation
		return fmt.Errorf("write the picture: %w", err)
	}
	return nil
}
