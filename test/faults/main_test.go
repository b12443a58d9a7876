package faults

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/headgate/headgate/test/apiserver"
)

// rowsAtOnce is how many rows run side by side: mostly they wait.
const rowsAtOnce = "16"

// HEADGATE_TEST_LOG=1 shows what the controllers log.
func TestMain(m *testing.M) {
	logger := logr.Discard()
	if os.Getenv("HEADGATE_TEST_LOG") != "" {
		logger = zap.New(zap.UseDevMode(true), zap.Level(zapcore.DebugLevel))
	}
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
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
