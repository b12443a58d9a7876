package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/xds/bootstrap"
)

func TestBootstrapsAreThese(t *testing.T) {
	kubeconfig := having(t, greeter("shop"))
	for file, arguments := range map[string]string{
		"envoy.yaml":         "bootstrap envoy greeter",
		"envoy-options.yaml": "bootstrap envoy greeter --admin-port 0 --node edge-1 --directory /srv/envoy --certificate /c/a.pem --key /c/b.pem --ca /d/ca.pem --xds-server headgate.example.com:443 --xds-server [2001:db8::1]:18000",
		"grpc.json":          "bootstrap grpc greeter",
		"grpc-options.json":  "bootstrap grpc greeter --headgate-namespace ops --node caller --certificate /c/a.pem --key /c/b.pem --ca /d/ca.pem",
		"grpc-fallback.json": "bootstrap grpc greeter --xds-server a.example.com:18000 --xds-server b.example.com:18000",
	} {
		t.Run(file, func(t *testing.T) {
			got := say(t, append(strings.Fields(arguments), "--kubeconfig", kubeconfig)...)
			if got.failure != nil || got.err != "" {
				t.Fatalf("%v, %s", got.failure, got.err)
			}
			isGolden(t, file, got.out)
		})
	}
}

func TestTheNamespaceIsThatOfTheFlagOrTheContext(t *testing.T) {
	kubeconfig := having(t, greeter("bank"))
	if got := say(t, "bootstrap", "grpc", "greeter", "--kubeconfig", kubeconfig); got.failure == nil {
		t.Error("the context's namespace is shop, and there is none in it")
	}
	got := say(t, "bootstrap", "grpc", "greeter", "-n", "bank", "--kubeconfig", kubeconfig)
	if got.failure != nil || !strings.Contains(got.out, `"bank/greeter"`) {
		t.Errorf("%v\n%s", got.failure, got.out)
	}
}

func TestFilesAreWrittenWhereAsked(t *testing.T) {
	kubeconfig := having(t, greeter("shop"))
	directory := filepath.Join(t.TempDir(), "new")
	got := say(t, "bootstrap", "envoy", "greeter", "-o", directory, "--kubeconfig", kubeconfig)
	if got.failure != nil || got.out != "" {
		t.Fatalf("%v, printed %q", got.failure, got.out)
	}
	for _, name := range []string{bootstrap.EnvoyFile, bootstrap.CertificateFile, bootstrap.CAFile} {
		if !strings.Contains(got.err, filepath.Join(directory, name)) {
			t.Errorf("%s is not mentioned in %q", name, got.err)
		}
	}
	text, err := os.ReadFile(filepath.Join(directory, bootstrap.EnvoyFile))
	if err != nil || !strings.Contains(string(text), "path: "+filepath.Join(directory, bootstrap.CAFile)) {
		t.Errorf("%v: it should find the other files where they are:\n%s", err, text)
	}
	file := filepath.Join(t.TempDir(), "bootstrap.json")
	if got := say(t, "bootstrap", "grpc", "greeter", "-o", file, "--kubeconfig", kubeconfig); got.failure != nil {
		t.Fatal(got.failure)
	}
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "xds_servers") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestWhatIsWrongComesWithTheRemedy(t *testing.T) {
	noXDS, noPort := greeter("shop"), greeter("shop")
	noXDS.Spec.XDS = nil
	noPort.Spec.XDS.Port = nil
	refuse := func(reason metav1.StatusReason, code int32, name string) string {
		return cluster(t, func(string) (int, any) { return int(code), failure(reason, code, name) })
	}
	for name, c := range map[string]struct {
		kubeconfig, arguments string
		want                  []string
	}{
		"no such ExposedService":   {having(t, greeter("shop")), "bootstrap envoy gretter", []string{"no ExposedService gretter in namespace shop", "kubectl get exposedservices", "-n"}},
		"no Headgate":              {refuse(metav1.StatusReasonNotFound, http.StatusNotFound, ""), "bootstrap envoy greeter", []string{"install Headgate", "--context"}},
		"no right to read":         {refuse(metav1.StatusReasonForbidden, http.StatusForbidden, "greeter"), "bootstrap envoy greeter", []string{"may not read", "exposedservices.headgate.dev"}},
		"an API server in trouble": {refuse(metav1.StatusReasonInternalError, http.StatusInternalServerError, "greeter"), "bootstrap envoy greeter", []string{"reading ExposedService shop/greeter"}},
		"no xds, for an Envoy":     {having(t, noXDS), "bootstrap envoy greeter", []string{"no spec.xds", `kubectl patch exposedservice greeter -n shop`, `"port":9090`}},
		"no xds, for gRPC":         {having(t, noXDS), "bootstrap grpc greeter", []string{"no spec.xds", `{"spec":{"xds":{}}}`}},
		"no port, for an Envoy":    {having(t, noPort), "bootstrap envoy greeter", []string{"no spec.xds.port", `"port":9090`}},
		"a server without a port":  {having(t, greeter("shop")), "bootstrap grpc greeter --xds-server headgate", []string{`server "headgate"`, "port"}},
		"a relative path":          {having(t, greeter("shop")), "bootstrap grpc greeter --key tls.key", []string{`"tls.key" must be an absolute path`}},
		"no kind":                  {having(t, greeter("shop")), "bootstrap greeter", []string{"envoy|grpc NAME"}},
		"a kind that is none":      {having(t, greeter("shop")), "bootstrap nginx greeter", []string{"envoy|grpc NAME"}},
		"a command that is none":   {having(t, greeter("shop")), "reboot", []string{`no command "reboot"`, "--help"}},
	} {
		t.Run(name, func(t *testing.T) {
			arguments := strings.Fields(c.arguments)
			if arguments[0] == "bootstrap" {
				arguments = append(arguments, "--kubeconfig", c.kubeconfig)
			}
			got := say(t, arguments...)
			if got.failure == nil {
				t.Fatalf("it went well: %s", got.out)
			}
			for _, words := range c.want {
				if !strings.Contains(got.failure.Error(), words) {
					t.Errorf("%q does not say %q", got.failure, words)
				}
			}
			if got.out != "" {
				t.Errorf("printed all the same: %s", got.out)
			}
		})
	}
	if got := say(t, "bootstrap", "grpc", "greeter", "--kubeconfig", having(t, noPort)); got.failure != nil {
		t.Errorf("gRPC clients need no port: %v", got.failure)
	}
}

func TestWhatIsNotAcceptedIsAWarning(t *testing.T) {
	exs := greeter("shop")
	exs.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionFalse, Reason: "RouteConflict", Message: "shop/older has the name",
	}}
	got := say(t, "bootstrap", "grpc", "greeter", "--kubeconfig", having(t, exs))
	if got.failure != nil || got.out == "" {
		t.Fatalf("%v, %q", got.failure, got.out)
	}
	if !strings.Contains(got.err, "RouteConflict") || !strings.Contains(got.err, "shop/older has the name") {
		t.Errorf("the warning is %q", got.err)
	}
}

func TestHelpIsPrintedToWhoAsks(t *testing.T) {
	for _, arguments := range []string{"", "--help", "bootstrap --help", "bootstrap envoy greeter --help"} {
		if got := say(t, strings.Fields(arguments)...); !strings.Contains(got.out, "kubectl headgate bootstrap envoy NAME") {
			t.Errorf("%q: %+v", arguments, got)
		}
	}
}
