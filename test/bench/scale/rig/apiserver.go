package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/headgate/headgate/test/apiserver"
)

// startTimeout bounds how long etcd and the API server may take to start beside whatever else the machine does.
const startTimeout = 2 * time.Minute

// operatorUser is who the operator is to the API server: the ServiceAccount of the chart, so that it is queued as that is.
const operatorUser = "system:serviceaccount:headgate-system:headgate"

// auditPolicy has each finished request of the operator logged, and each watch when it starts. The log is written before the
// answer is, so that nothing is missing.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: ["` + operatorUser + `"]}
- {level: None}
`

// serverSettings are flags of kube-apiserver: addresses for the Services of ten thousand ExposedServices, and an audit log in one file.
var serverSettings = map[string]string{
	"service-cluster-ip-range": "10.96.0.0/12",
	"audit-log-mode":           "blocking",
	"audit-log-maxsize":        "100000",
}

// etcdQuota is enough for the versions of five minutes, after which the API server has etcd forget them.
const etcdQuota = "8589934592"

// APIServer is an etcd and a kube-apiserver of their own, with the CRDs of one tree and with those of Gateway API and Envoy Gateway.
type APIServer struct {
	// Config is the administrator's.
	Config *rest.Config
	// Requests are those of the operator.
	Requests *RequestLog
	// Kubeconfig is the operator's: a file.
	Kubeconfig string

	environment *envtest.Environment
}

// Available says what is missing for an API server.
func Available() error {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return errors.New("no API server: KUBEBUILDER_ASSETS is not set; it is the folder that `go run ./test/cluster assets` prints")
	}
	return nil
}

// StartAPIServer starts one that keeps its files in a folder.
func StartAPIServer(ctx context.Context, source Source, folder string) (*APIServer, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	crds, err := apiserver.OtherCRDs()
	if err != nil {
		return nil, err
	}
	policy, log := filepath.Join(folder, "audit-policy.yaml"), filepath.Join(folder, "audit.log")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	s := &APIServer{environment: &envtest.Environment{ControlPlaneStartTimeout: startTimeout}, Requests: newRequestLog(log), Kubeconfig: filepath.Join(folder, "kubeconfig")}
	s.environment.CRDInstallOptions.Paths = append([]string{filepath.Join(source.Folder, "config", "crd", "bases")}, crds...)
	s.environment.ErrorIfCRDPathMissing = true
	settings := s.environment.ControlPlane.GetAPIServer().Configure().Set("audit-policy-file", policy).Set("audit-log-path", log)
	for name, value := range serverSettings {
		settings.Set(name, value)
	}
	s.environment.ControlPlane.Etcd = &envtest.Etcd{}
	s.environment.ControlPlane.Etcd.Configure().Set("quota-backend-bytes", etcdQuota)
	if s.Config, err = s.environment.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the API server: %w", err), s.environment.Stop())
	}
	s.Config.QPS, s.Config.Burst = -1, 0
	if err := s.admitOperator(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// admitOperator gives the operator a user and all rights.
func (s *APIServer) admitOperator(ctx context.Context) error {
	user, err := s.environment.AddUser(envtest.User{Name: operatorUser, Groups: []string{"system:serviceaccounts"}}, nil)
	if err != nil {
		return fmt.Errorf("make a user for the operator: %w", err)
	}
	text, err := user.KubeConfig()
	if err != nil {
		return fmt.Errorf("make a kubeconfig for the operator: %w", err)
	}
	if err := os.WriteFile(s.Kubeconfig, text, 0o600); err != nil {
		return err
	}
	kube, err := s.Client()
	if err != nil {
		return err
	}
	return kube.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "headgate"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operatorUser}},
	})
}

// Client is the administrator's, with connections of its own. It caches nothing.
func (s *APIServer) Client() (client.WithWatch, error) {
	kube, err := client.NewWithWatch(rest.CopyConfig(s.Config), client.Options{Scheme: apiserver.Scheme()})
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return kube, nil
}

// CPU is the processor time that the API server has used since its start, by its own metrics; that of etcd is not in it.
func (s *APIServer) CPU(ctx context.Context) (time.Duration, error) {
	const metric = "process_cpu_seconds_total"
	kube, err := rest.HTTPClientFor(s.Config)
	if err != nil {
		return 0, fmt.Errorf("connect to the API server: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.Config.Host, "/")+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	page, err := read(kube, request)
	if err != nil {
		return 0, fmt.Errorf("read the API server's metrics: %w", err)
	}
	values, err := metrics(page, metric)
	if err != nil {
		return 0, fmt.Errorf("read the API server's metrics: %w", err)
	}
	return time.Duration(values[metric] * float64(time.Second)), nil
}

// Stop ends both processes and removes their data.
func (s *APIServer) Stop() error {
	if err := s.environment.Stop(); err != nil {
		return fmt.Errorf("stop the API server: %w", err)
	}
	return nil
}
