package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/apiserver"
)

// certificateCRD is a CRD that has as much of cert-manager's as Helm looks at.
func certificateCRD() *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "certificates.cert-manager.io"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "cert-manager.io", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: "Certificate", ListKind: "CertificateList", Plural: "certificates", Singular: "certificate"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: ptr.To(true),
				}},
			}},
		},
	}
}

// kubeconfig is a file by which programs reach the test's API server.
func kubeconfig(t *testing.T) string {
	t.Helper()
	config := apiserver.Config(t)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"test": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"test": {ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}},
		Contexts:       map[string]*clientcmdapi.Context{"test": {Cluster: "test", AuthInfo: "test"}},
		CurrentContext: "test",
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// A release that is upgraded finds what the one before has made. To switch at once would lock out all clients, which trust one authority.
func TestHelmKeepsTheOneAuthorityThatThereIsUntilItIsToldOtherwise(t *testing.T) {
	kube := apiserver.Client(t)
	helm, file := program(t, "helm"), kubeconfig(t)
	ensureNamespace(t, kube, "headgate-system")
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	extensions, err := client.New(apiserver.Config(t), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.IgnoreAlreadyExists(extensions.Create(t.Context(), certificateCRD())); err != nil {
		t.Fatal(err)
	}
	served := func(issuer string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
			"metadata": map[string]any{"namespace": "headgate-system", "name": "headgate-xds"},
			"spec":     map[string]any{"issuerRef": map[string]any{"name": issuer}},
		}}
	}
	for _, test := range []struct {
		name, found, asked, issuer string
	}{
		{"a new installation", "", "Auto", "headgate-xds-server"},
		{"one authority signs for both", "headgate-xds", "Auto", "headgate-xds"},
		{"clients trust the other one by now", "headgate-xds", "Own", "headgate-xds-server"},
		{"separate for long", "headgate-xds-server", "Auto", "headgate-xds-server"},
		{"an issuer of one's own before", "mine", "Auto", "headgate-xds-server"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.found != "" {
				// The API server serves a new kind some time after it has stored its definition.
				err := apiserver.Poll(t.Context(), time.Minute, func() error { return kube.Create(t.Context(), served(test.found)) })
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := kube.Delete(t.Context(), served(test.found)); err != nil {
						t.Error(err)
					}
				}()
			}
			command := exec.CommandContext(t.Context(), helm, "template", "headgate", chart, "--namespace", "headgate-system", "--kube-version", "1.36.0", "--dry-run=server", "--is-upgrade",
				"--set", xdsValues["cert-manager"]+",xds.certificates.certManager.serverAuthority="+test.asked)
			command.Env = append(os.Environ(), "KUBECONFIG="+file)
			output, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("helm template: %v\n%s", err, output)
			}
			issuer, _, err := unstructured.NestedString(decode(t, output).get(t, "Certificate headgate-xds").Object, "spec", "issuerRef", "name")
			if err != nil || issuer != test.issuer {
				t.Errorf("Issuer %s signs the server's certificate, want %s: %v", issuer, test.issuer, err)
			}
		})
	}
}
