package controllers

import (
	"os"
	"testing"

	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/headgate/headgate/test/apiserver"
)

// HEADGATE_TEST_LOG=1 shows what the controllers log.
func TestMain(m *testing.M) {
	logger := logr.Discard()
	if os.Getenv("HEADGATE_TEST_LOG") != "" {
		logger = zap.New(zap.UseDevMode(true), zap.Level(zapcore.DebugLevel))
	}
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	os.Exit(apiserver.Main(m))
}
