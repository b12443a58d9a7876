package faults

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/headgate/headgate/test/apiserver"
)

// rowsAtOnce is how many rows run side by side: mostly they wait.
const rowsAtOnce = "16"

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", rowsAtOnce); err != nil {
			panic(err)
		}
	}
	code := apiserver.Main(m)
	if err := done.write(); err != nil {
		fmt.Fprintln(os.Stderr, "the figures cannot be written:", err)
		code = 1
	}
	os.Exit(code)
}
