package faults

import (
	"fmt"
	"os"
	"testing"

	"github.com/headgate/headgate/test/apiserver"
)

// rowsAtOnce is how many rows run side by side: mostly they wait.
const rowsAtOnce = 16

func TestMain(m *testing.M) {
	code := apiserver.MainAtOnce(m, rowsAtOnce)
	if err := done.write(); err != nil {
		fmt.Fprintln(os.Stderr, "the figures cannot be written:", err)
		code = 1
	}
	os.Exit(code)
}
