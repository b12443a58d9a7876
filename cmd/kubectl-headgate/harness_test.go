package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// cluster answers what an API server answers to the one request that the plugin makes, and has a kubeconfig
// with namespace shop.
func cluster(t *testing.T, answer func(path string) (int, any)) (kubeconfig string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, body := answer(r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	config := api.Config{
		Clusters:       map[string]*api.Cluster{"test": {Server: server.URL}},
		AuthInfos:      map[string]*api.AuthInfo{"me": {}},
		Contexts:       map[string]*api.Context{"test": {Cluster: "test", AuthInfo: "me", Namespace: "shop"}},
		CurrentContext: "test",
	}
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// having is a cluster with one ExposedService.
func having(t *testing.T, exs *v1alpha1.ExposedService) (kubeconfig string) {
	t.Helper()
	exs.APIVersion, exs.Kind = v1alpha1.GroupVersion.String(), v1alpha1.KindExposedService
	return cluster(t, func(path string) (int, any) {
		if path == "/apis/headgate.dev/v1alpha1/namespaces/"+exs.Namespace+"/exposedservices/"+exs.Name {
			return http.StatusOK, exs
		}
		name := path[strings.LastIndex(path, "/")+1:]
		return http.StatusNotFound, failure(metav1.StatusReasonNotFound, http.StatusNotFound, name)
	})
}

func failure(reason metav1.StatusReason, code int32, name string) metav1.Status {
	return metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Message: string(reason), Reason: reason, Code: code,
		Details: &metav1.StatusDetails{Name: name, Group: "headgate.dev", Kind: "exposedservices"},
	}
}

// greeter is exposed on port 9090 of Envoys.
func greeter(namespace string) *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{}
	exs.Namespace, exs.Name = namespace, "greeter"
	exs.Spec.XDS = &v1alpha1.XDS{Port: ptr.To(v1alpha1.PortNumber(9090))}
	return exs
}

// said is what a command said.
type said struct {
	out, err string
	failure  error
}

func say(t *testing.T, arguments ...string) said {
	t.Helper()
	var out, err bytes.Buffer
	failure := run(t.Context(), arguments, console{&out, &err})
	return said{out.String(), err.String(), failure}
}

// isGolden compares with a file in testdata.
func isGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (-update writes it):\n%s", file, got)
	}
}
