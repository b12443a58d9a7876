// Headgate is the operator: it makes and keeps the Gateway API and Envoy Gateway objects that
// ExposedServices ask for.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/headgate/headgate/controllers"
)

// noClientLimit: the API server shares itself out (API priority and fairness); a limit of one's own would only hold back a
// failover of many ExposedServices.
const noClientLimit = -1

// shutdownTimeout is how long runs in progress may take to end; the lease is given up after that.
const shutdownTimeout = 20 * time.Second

// A leader that dies without a word is followed when its lease has run out, and nobody takes a bad version back until then:
// the lease is shorter than controller-runtime's 15 s. A replica that stands by looks every retryPeriod, or up to 2.2 times
// as rarely; a leader that cannot renew the lease for renewDeadline ends.
const (
	leaseDuration = 10 * time.Second
	renewDeadline = 7 * time.Second
	retryPeriod   = time.Second
)

// syncTimeout is how long one readiness probe waits for caches.
const syncTimeout = 500 * time.Millisecond

// version is set when a release is built.
var version = ""

// The lease, and the events about it, are in Headgate's own namespace.
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=create,namespace=headgate-system
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,resourceNames=headgate,verbs=get;update,namespace=headgate-system
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch,namespace=headgate-system
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch,namespace=headgate-system

// Who may read metrics is asked of the API server.
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

func main() {
	if len(os.Args) > 1 && os.Args[1] == commandCertificates {
		mainCertificates(os.Args[2:])
		return
	}
	o, err := parseOptions(os.Args[1:], os.Stderr)
	switch {
	case helpWanted(err):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case o.version:
		fmt.Println(versionText())
		return
	}
	logger, err := o.newLogger()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err := run(ctrl.SetupSignalHandler(), o, logger); err != nil {
		logger.Error(err, "headgate ends")
		os.Exit(1)
	}
}

func mainCertificates(args []string) {
	config, err := parseCertificatesOptions(args, os.Stderr)
	if helpWanted(err) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	logger, err := options{logFormat: logFormatJSON}.newLogger()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctrl.SetLogger(logger)
	if err := makeCertificates(ctrl.SetupSignalHandler(), config, logger); err != nil {
		logger.Error(err, "make the certificates of the xDS server")
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, logger logr.Logger) error {
	ctrl.SetLogger(logger)
	klog.SetLogger(logger.WithName("client-go"))
	limitGarbage(os.Getenv)
	limit, err := limitMemory(os.Getenv)
	if err != nil {
		return err
	}
	logger.Info("headgate starts", "version", versionText(), "memoryLimit", limit)

	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	if err := operate(ctx, config, o); err != nil {
		return err
	}
	logger.Info("headgate ends")
	return nil
}

// operate runs the controllers until the context ends.
func operate(ctx context.Context, config *rest.Config, o options) error {
	mgr, err := newManager(config, o)
	if err != nil {
		return err
	}
	xds, err := o.xds.config(o.leaderElect, os.Getenv)
	if err != nil {
		return err
	}
	if err := controllers.Setup(ctx, mgr, controllers.Config{
		Namespaces: o.watchNamespaces, Workers: o.workers, NoRollouts: !o.rollouts, Overrides: o.overrides, HostOwnership: o.hostOwnership,
		Hosts: o.hosts, Prometheus: o.prometheus.ServersConfig, XDS: xds,
	}); err != nil {
		return fmt.Errorf("set up the controllers: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

func newManager(config *rest.Config, o options) (ctrl.Manager, error) {
	config.QPS = noClientLimit
	managerOptions, err := controllers.ManagerOptions(o.watchNamespaces)
	if err != nil {
		return nil, err
	}
	timeout := shutdownTimeout
	managerOptions.Metrics = metricsOptions(o)
	managerOptions.HealthProbeBindAddress = o.probeAddress
	managerOptions.PprofBindAddress = o.pprofAddress
	managerOptions.GracefulShutdownTimeout = &timeout
	managerOptions.LeaderElection = o.leaderElect
	managerOptions.LeaderElectionID = controllers.Name
	managerOptions.LeaderElectionNamespace = o.leaderElectionNamespace
	managerOptions.LeaseDuration, managerOptions.RenewDeadline, managerOptions.RetryPeriod = ptr.To(leaseDuration), ptr.To(renewDeadline), ptr.To(retryPeriod)
	// Safe, because the process ends when the manager does; the next leader need not wait for the
	// lease to run out.
	managerOptions.LeaderElectionReleaseOnCancel = true
	mgr, err := ctrl.NewManager(config, managerOptions)
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	err = errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("caches", cachesSynced(mgr.GetCache())),
	)
	if err != nil {
		return nil, fmt.Errorf("add health checks: %w", err)
	}
	return mgr, nil
}

func metricsOptions(o options) metricsserver.Options {
	out := metricsserver.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure}
	if o.metricsSecure {
		out.FilterProvider = filters.WithAuthenticationAndAuthorization
		// HTTP/2 would open the endpoint to floods of resets, and nobody needs it here.
		out.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }}
	}
	return out
}

// cachesSynced is ready when everything that is watched has been read once.
func cachesSynced(caches cache.Cache) healthz.Checker {
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), syncTimeout)
		defer cancel()
		if !caches.WaitForCacheSync(ctx) {
			return errors.New("caches are not filled yet")
		}
		return nil
	}
}

// versionText is the version of a release, or the commit of any other build.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return info.Main.Version + " " + setting.Value
		}
	}
	return info.Main.Version
}
