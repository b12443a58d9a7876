package resource_test

import (
	"os"
	"testing"

	"github.com/headgate/headgate/test/apiserver"
)

// clientsAtOnce is how many tests run side by side: gRPC clients take seconds, most of which they wait.
const clientsAtOnce = 16

func TestMain(m *testing.M) { os.Exit(apiserver.MainAtOnce(m, clientsAtOnce)) }
