package tenancy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/test/shop"
)

// tenant is a ServiceAccount with the role edit in a namespace of its own, and nothing else.
type tenant struct {
	*cluster
	t         *testing.T
	client    client.Client
	namespace string
}

// editing are the parts of the ClusterRole edit, which a controller of Kubernetes puts together in a real cluster.
func editing(t *testing.T, c *cluster) []string {
	t.Helper()
	var roles rbacv1.ClusterRoleList
	if err := c.admin.List(t.Context(), &roles); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, role := range roles.Items {
		for _, label := range []string{"rbac.authorization.k8s.io/aggregate-to-edit", "rbac.authorization.k8s.io/aggregate-to-view"} {
			if role.Labels[label] == "true" {
				out = append(out, role.Name)
			}
		}
	}
	if !slices.Contains(out, "headgate-editor") || !slices.Contains(out, "system:aggregate-to-edit") {
		t.Fatalf("edit is made of %v", out)
	}
	return out
}

func newTenant(t *testing.T, c *cluster) *tenant {
	t.Helper()
	namespace := apiserver.Namespace(t, c.admin)
	user := "system:serviceaccount:" + namespace + ":deployer"
	for _, role := range editing(t, c) {
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "edit-", Namespace: namespace},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		}
		if err := c.admin.Create(t.Context(), binding); err != nil {
			t.Fatal(err)
		}
	}
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	kube, err := client.New(config, client.Options{Scheme: apiserver.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	out := &tenant{cluster: c, t: t, client: client.WithFieldValidation(kube, metav1.FieldValidationStrict), namespace: namespace}
	// The bindings are all there, in the API server, and a moment later in what it authorizes by.
	out.untilMay("create", "headgate.dev", "exposedservices")
	out.untilMay("create", "", "services")
	for i, name := range []string{shop.Primary, shop.Backup} {
		for _, object := range []client.Object{shop.Service(namespace, name), shop.Slice(namespace, name, shop.Address(i, 1))} {
			if err := c.admin.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

// service is an ExposedService of the tenant's, on a Gateway of its own.
func (o *tenant) service(change func(*v1alpha1.ExposedServiceSpec)) *v1alpha1.ExposedService {
	exs := shop.ExposedService(o.namespace, "mine", class)
	exs.Spec.Hostnames = []v1alpha1.Hostname{"mine.example.com"}
	change(&exs.Spec)
	return exs
}

// object is one that is written down, with the tenant's namespace unless it has one.
func (o *tenant) object(text string) *unstructured.Unstructured {
	o.t.Helper()
	out := &unstructured.Unstructured{}
	replaced := strings.NewReplacer("VICTIM", o.victim, "INFRA", o.infra, "MINE", o.namespace).Replace(text)
	if err := yaml.Unmarshal([]byte(replaced), &out.Object); err != nil {
		o.t.Fatal(err)
	}
	if out.GetNamespace() == "" {
		out.SetNamespace(o.namespace)
	}
	return out
}

// conditionIs is nil when an ExposedService has a condition, made from its current generation. An empty reason is any.
func conditionIs(t *testing.T, kube client.Client, exs *v1alpha1.ExposedService, conditionType string, status metav1.ConditionStatus, reason v1alpha1.Reason, words ...string) error {
	t.Helper()
	if err := kube.Get(context.Background(), client.ObjectKeyFromObject(exs), exs); err != nil {
		return err
	}
	said := meta.FindStatusCondition(exs.Status.Conditions, conditionType)
	if said == nil || said.Status != status || reason != "" && said.Reason != string(reason) || said.ObservedGeneration != exs.Generation {
		return fmt.Errorf("%s is %+v", conditionType, said)
	}
	for _, word := range words {
		if !strings.Contains(said.Message, word) {
			return fmt.Errorf("%s does not say %q: %s", conditionType, word, said.Message)
		}
	}
	return nil
}

// everything are the objects that the operator has made for the tenant, as text, wherever they are.
func (o *tenant) everything() string {
	o.t.Helper()
	var out strings.Builder
	for _, kind := range []string{
		"gateway.networking.k8s.io/v1/Gateway", "gateway.networking.k8s.io/v1/GRPCRoute",
		"gateway.envoyproxy.io/v1alpha1/EnvoyProxy", "gateway.envoyproxy.io/v1alpha1/Backend", "gateway.envoyproxy.io/v1alpha1/BackendTrafficPolicy",
		"gateway.envoyproxy.io/v1alpha1/EnvoyPatchPolicy", "/v1/Service", "discovery.k8s.io/v1/EndpointSlice",
	} {
		list := &unstructured.UnstructuredList{}
		i := strings.LastIndex(kind, "/")
		list.SetAPIVersion(strings.TrimPrefix(kind[:i], "/"))
		list.SetKind(kind[i+1:] + "List")
		if err := o.admin.List(context.Background(), list, client.MatchingLabels{v1alpha1.LabelOwnerNamespace: o.namespace}); err != nil {
			o.t.Fatal(err)
		}
		for _, item := range list.Items {
			item.SetManagedFields(nil)
			text, err := yaml.Marshal(item.Object)
			if err != nil {
				o.t.Fatal(err)
			}
			out.Write(text)
		}
	}
	return out.String()
}
