package resource_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain runs more tests side by side than there are processors: clients take seconds, most of which they wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
