package packaging

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/signals"
)

func TestChartPassesLint(t *testing.T) {
	output, err := exec.CommandContext(t.Context(), program(t, "helm"), "lint", "--strict", chart).CombinedOutput()
	if err != nil {
		t.Errorf("helm lint: %v\n%s", err, output)
	}
}

func TestChartRefusesWrongValues(t *testing.T) {
	for name, value := range map[string]string{
		"an unknown value":         "replica=3",
		"an unknown inner value":   "metrics.prot=1",
		"a port out of range":      "metrics.port=70000",
		"an unknown log level":     "logging.level=loud",
		"a digest that is none":    "image.digest=latest",
		"a namespace with a space": "watchNamespaces={a b}",
		"Secrets without names":    "rbac.secrets[0].namespace=shop",
		"configuration of nobody":  "rbac.trackConfig[0].namespace=shop",
		"configuration by *":       "rbac.trackConfig[0].namespace=shop,rbac.trackConfig[0].configMaps={*}",
		"Secrets by a wildcard":    "rbac.secrets[0].namespace=shop,rbac.secrets[0].names={*}",
		"egress without a list":    "networkPolicy.extraEgress=all",
		"a policy that may be":     "rollouts.admissionPolicy=Maybe",
		"a group without a name":   "rollouts.approval.groups[0].name=x",
		"an address without bits":  "networkPolicy.apiServerCIDRs={10.0.0.1}",
		"DNS on no port":           "networkPolicy.dns.port=53",
	} {
		t.Run(name, func(t *testing.T) {
			if output, err := helmTemplate(t, "--set", value); err == nil {
				t.Errorf("--set %s was accepted:\n%s", value, output)
			}
		})
	}
}

// The rules of the operator have one source: the markers in the code.
func TestChartAndKustomizeHaveTheGeneratedRoles(t *testing.T) {
	generated := generatedRoles(t)
	roles := []string{"ClusterRole headgate", "Role headgate"}
	if diff := cmp.Diff(roles, slices.Sorted(maps.Keys(generated))); diff != "" {
		t.Errorf("config/rbac/role.yaml does not hold what the chart takes from it (-want +got):\n%s", diff)
	}
	for name, rendered := range map[string]objects{
		"chart":     render(t),
		"kustomize": kustomize(t, repository("config", "default")),
	} {
		for _, role := range roles {
			if diff := cmp.Diff(rules(t, generated.get(t, role)), rules(t, rendered.get(t, role))); diff != "" {
				t.Errorf("%s: the rules of %s differ from config/rbac/role.yaml (-want +got):\n%s", name, role, diff)
			}
		}
	}
}

func TestTheGeneratedRolesAskForNoMoreThanTheyMay(t *testing.T) {
	for name, role := range generatedRoles(t) {
		for _, rule := range rules(t, role) {
			for _, word := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs) {
				if slices.Contains([]string{"*", "escalate", "bind", "impersonate", "secrets", "configmaps", "deletecollection"}, word) {
					t.Errorf("%s has %q: %v", name, word, rule)
				}
			}
		}
	}
}

// What SECURITY.md says of the rights of the operator is all of them.
func TestTheSecurityPageHasEveryResource(t *testing.T) {
	page, err := os.ReadFile(repository("SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, role := range generatedRoles(t) {
		for _, rule := range rules(t, role) {
			for _, resource := range rule.Resources {
				if !strings.Contains(string(page), "`"+resource+"`") {
					t.Errorf("SECURITY.md does not say why %s has %s", name, resource)
				}
			}
		}
	}
}

func generatedRoles(t *testing.T) objects {
	t.Helper()
	return decodeFile(t, repository("config", "rbac", "role.yaml"))
}

// Without a list of resources that have no namespace, the cluster-wide part of a namespaced
// installation would be empty, or too large.
func TestWithWatchNamespacesOnlyWhatHasNoNamespaceIsBoundClusterWide(t *testing.T) {
	rendered := render(t, "--set", "watchNamespaces={shop,bank,headgate-system}")
	namespaced := []string{
		"pods", "services", "endpointslices", "gateways", "grpcroutes", "httproutes", "referencegrants",
		"backends", "backendtrafficpolicies", "envoypatchpolicies", "envoyproxies",
		"exposedservices", "exposedservices/status", "exposedservices/finalizers", "serviceimports", "events", "leases",
		"deployments", "replicasets", "controllerrevisions", "canaries", "rollouts",
	}
	var all []string
	for _, rule := range rules(t, rendered.get(t, "ClusterRole headgate")) {
		all = append(all, rule.Resources...)
	}
	var clusterWide []string
	for _, rule := range rules(t, rendered.get(t, "ClusterRole headgate-cluster")) {
		if slices.Equal(rule.Resources, []string{"exposedservices"}) && slices.Equal(rule.Verbs, []string{"patch"}) {
			continue // so that a watched namespace can end
		}
		clusterWide = append(clusterWide, rule.Resources...)
	}
	for _, resource := range all {
		if got, want := slices.Contains(clusterWide, resource), !slices.Contains(namespaced, resource); got != want {
			t.Errorf("bound cluster-wide: %s is %t, want %t", resource, got, want)
		}
	}
	if _, ok := rendered["ClusterRoleBinding headgate"]; ok {
		t.Error("the whole role is bound cluster-wide")
	}
	if binding := rendered.get(t, "RoleBinding headgate-watched"); binding.GetNamespace() == "" {
		t.Error("the role is bound in no namespace")
	}
	args := deployment(t, rendered).Spec.Template.Spec.Containers[0].Args
	if !slices.Contains(args, "--watch-namespace=shop,bank,headgate-system") {
		t.Errorf("the operator is not told of the namespaces: %v", args)
	}
}

func TestChartHasTheGeneratedCRD(t *testing.T) {
	const name = "CustomResourceDefinition exposedservices.headgate.dev"
	generated := decodeFile(t, repository("config", "crd", "bases", "headgate.dev_exposedservices.yaml"))
	want := generated.get(t, name).Object["spec"]

	kept := render(t).get(t, name)
	if !cmp.Equal(want, kept.Object["spec"]) {
		t.Error("the CRD of the chart is not that of config/crd/bases: `make generate` copies it")
	}
	if kept.GetAnnotations()["helm.sh/resource-policy"] != "keep" {
		t.Error("uninstalling the chart would delete every ExposedService")
	}
	if render(t, "--set", "crds.keep=false").get(t, name).GetAnnotations()["helm.sh/resource-policy"] != "" {
		t.Error("crds.keep=false keeps them")
	}
	if _, ok := render(t, "--set", "crds.install=false")[name]; ok {
		t.Error("crds.install=false installs them")
	}
}

func TestChartAndKustomizeInstallTheSame(t *testing.T) {
	fromChart, fromKustomize := render(t), kustomize(t, repository("config", "default"))
	delete(fromKustomize, "Namespace headgate-system") // Helm makes it: --create-namespace

	if diff := cmp.Diff(slices.Sorted(maps.Keys(fromChart)), slices.Sorted(maps.Keys(fromKustomize))); diff != "" {
		t.Fatalf("they install different objects (-chart +kustomize):\n%s", diff)
	}
	for name, object := range fromChart {
		if object.GetKind() == "CustomResourceDefinition" {
			continue // TestChartHasTheGeneratedCRD
		}
		if diff := cmp.Diff(stripped(object), stripped(fromKustomize[name])); diff != "" {
			t.Errorf("%s differs (-chart +kustomize):\n%s", name, diff)
		}
	}
}

// What people may do is in one place for all: the status says what Headgate has found, and finalizers what it has to remove, so that nobody else
// writes either. Approving is for whoever has been given the role for it.
func TestTheRolesOfPeopleGiveThemTheSpecAlone(t *testing.T) {
	for name, rendered := range map[string]objects{
		"chart":     render(t),
		"kustomize": kustomize(t, repository("config", "default")),
	} {
		for role, aggregate := range map[string]string{"admin": "admin", "editor": "edit", "viewer": "view", "approver": ""} {
			object := rendered.get(t, "ClusterRole headgate-"+role)
			for label := range object.GetLabels() {
				if strings.HasPrefix(label, "rbac.authorization.k8s.io/aggregate-to-") && label != "rbac.authorization.k8s.io/aggregate-to-"+aggregate {
					t.Errorf("%s: %s is in a role of Kubernetes: %s", name, role, label)
				}
			}
			for _, rule := range rules(t, object) {
				for _, resource := range rule.Resources {
					if resource != "exposedservices" && (resource != "exposedservices/status" || !slices.Equal(rule.Verbs, []string{"get"})) {
						t.Errorf("%s: %s may %v %s", name, role, rule.Verbs, resource)
					}
				}
				if slices.Contains(rule.Verbs, "*") || slices.Contains(rule.Verbs, "approve") != (role == "approver") && rule.Resources[0] == "exposedservices" {
					t.Errorf("%s: %s has the verbs %v", name, role, rule.Verbs)
				}
			}
		}
	}
}

// policyKind is how the chart is told that the API server serves the kind.
const policyKind = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"

func TestChartAndKustomizeHaveTheSameAdmissionPolicy(t *testing.T) {
	want := kustomize(t, repository("config", "admission-policy"))
	fromChart := render(t, "--set", "rollouts.admissionPolicy=true")
	if len(want) != 2 {
		t.Errorf("there are %v", slices.Sorted(maps.Keys(want)))
	}
	for name, object := range want {
		if diff := cmp.Diff(stripped(fromChart.get(t, name)), stripped(object)); diff != "" {
			t.Errorf("%s differs (-chart +kustomize):\n%s", name, diff)
		}
	}
}

// The kind cannot be installed where the API server does not serve it.
func TestTheAdmissionPolicyIsInstalledWhereItCanBe(t *testing.T) {
	const name = "MutatingAdmissionPolicy headgate-rollouts"
	for _, c := range []struct {
		set    string
		served bool
		want   bool
	}{
		{"rollouts.admissionPolicy=Auto", true, true},
		{"rollouts.admissionPolicy=Auto", false, false},
		{"rollouts.admissionPolicy=true", false, true},
		{"rollouts.admissionPolicy=false", true, false},
		{"rollouts.enabled=false", true, false},
	} {
		args := []string{"--set", c.set}
		if c.served {
			args = append(args, "--api-versions", policyKind)
		}
		if _, got := render(t, args...)[name]; got != c.want {
			t.Errorf("%s, served %t: installed %t", c.set, c.served, got)
		}
	}
}

// stripped strips an object of what may differ: labels that Helm alone knows.
func stripped(object *unstructured.Unstructured) map[string]any {
	out := object.DeepCopy().Object
	unstructured.RemoveNestedField(out, "metadata", "annotations")
	for _, path := range [][]string{{"metadata"}, {"spec", "template", "metadata"}} {
		labels, found, _ := unstructured.NestedMap(out, append(path, "labels")...)
		if !found {
			continue
		}
		maps.DeleteFunc(labels, func(label string, _ any) bool {
			return strings.HasPrefix(label, "app.kubernetes.io/") || strings.HasPrefix(label, "helm.sh/")
		})
		if len(labels) == 0 {
			unstructured.RemoveNestedField(out, append(path, "labels")...)
		} else {
			_ = unstructured.SetNestedMap(out, labels, append(path, "labels")...)
		}
	}
	return out
}

// The restricted Pod Security Standard, and a little more.
func TestTheOperatorsPodIsRestricted(t *testing.T) {
	for name, rendered := range map[string]objects{
		"chart":     render(t),
		"kustomize": kustomize(t, repository("config", "default")),
	} {
		pod := deployment(t, rendered).Spec.Template.Spec
		security, container := pod.SecurityContext, pod.Containers[0].SecurityContext
		for what, ok := range map[string]bool{
			"runs as non-root":               security.RunAsNonRoot != nil && *security.RunAsNonRoot,
			"runs as 65532":                  security.RunAsUser != nil && *security.RunAsUser == 65532,
			"has seccomp's RuntimeDefault":   security.SeccompProfile != nil && security.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
			"has a read-only root":           container.ReadOnlyRootFilesystem != nil && *container.ReadOnlyRootFilesystem,
			"cannot escalate privileges":     container.AllowPrivilegeEscalation != nil && !*container.AllowPrivilegeEscalation,
			"drops all capabilities":         cmp.Equal(container.Capabilities, &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}),
			"has no privileged container":    container.Privileged == nil,
			"does not share host namespaces": !pod.HostNetwork && !pod.HostPID && !pod.HostIPC,
			"mounts nothing":                 len(pod.Volumes) == 0,
			"has one container":              len(pod.Containers) == 1 && len(pod.InitContainers) == 0,
		} {
			if !ok {
				t.Errorf("%s: it is not so that the pod %s", name, what)
			}
		}
	}
}

func TestOptions(t *testing.T) {
	for name, test := range map[string]struct {
		set    []string
		has    []string
		hasNot []string
	}{
		"one replica needs no disruption budget": {
			set:    []string{"replicas=1"},
			hasNot: []string{"PodDisruptionBudget headgate"},
		},
		"a ServiceMonitor on request": {
			set: []string{"metrics.serviceMonitor.enabled=true"},
			has: []string{"ServiceMonitor headgate"},
		},
		"alerts on request": {
			set:    []string{"metrics.prometheusRule.enabled=true"},
			has:    []string{"PrometheusRule headgate"},
			hasNot: []string{"ConfigMap headgate-dashboard"},
		},
		"a dashboard on request": {
			set:    []string{"metrics.grafanaDashboard.enabled=true"},
			has:    []string{"ConfigMap headgate-dashboard"},
			hasNot: []string{"PrometheusRule headgate"},
		},
		"neither by default": {
			set:    []string{"replicas=2"},
			hasNot: []string{"PrometheusRule headgate", "ConfigMap headgate-dashboard", "Role headgate-secrets", "RoleBinding headgate-secrets"},
		},
		"without metrics": {
			set:    []string{"metrics.enabled=false"},
			has:    []string{"NetworkPolicy headgate"},
			hasNot: []string{"Service headgate-metrics", "ServiceMonitor headgate", "ClusterRole headgate-metrics-reader"},
		},
		"without roles": {
			set:    []string{"rbac.create=false"},
			hasNot: []string{"ClusterRole headgate", "ClusterRoleBinding headgate", "Role headgate", "ClusterRole headgate-admin"},
		},
		"with a ServiceAccount of one's own": {
			set:    []string{"serviceAccount.create=false", "serviceAccount.name=mine"},
			hasNot: []string{"ServiceAccount headgate", "ServiceAccount mine"},
		},
		"without a network policy": {
			set:    []string{"networkPolicy.enabled=false"},
			hasNot: []string{"NetworkPolicy headgate"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rendered := render(t, "--set", strings.Join(test.set, ","))
			for _, object := range test.has {
				rendered.get(t, object)
			}
			for _, object := range test.hasNot {
				if _, ok := rendered[object]; ok {
					t.Errorf("there is a %s", object)
				}
			}
		})
	}
}

// With honorLabels the label "namespace" of a metric stays that of the ExposedService; the alerts and
// the dashboard stand on it.
func TestTheServiceMonitorKeepsTheLabelsOfTheMetrics(t *testing.T) {
	monitor := render(t, "--set", "metrics.serviceMonitor.enabled=true").get(t, "ServiceMonitor headgate")
	endpoints, _, err := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
	if err != nil || len(endpoints) != 1 {
		t.Fatalf("endpoints: %v, %v", endpoints, err)
	}
	if endpoint, _ := endpoints[0].(map[string]any); endpoint["honorLabels"] != true {
		t.Errorf("honorLabels is %v", endpoint["honorLabels"])
	}
}

// Secrets are read one by one, where somebody has named them.
func TestTheChartLetsTheOperatorReadTheNamedSecretsOnly(t *testing.T) {
	rendered := render(t,
		"--set", "rbac.secrets[0].namespace=shop,rbac.secrets[0].names={prometheus-token,prometheus-ca}",
		"--set", "rbac.secrets[1].namespace=bank,rbac.secrets[1].names={prometheus-token}")
	namespaces := map[string][]string{}
	for _, role := range rendered.all("Role headgate-secrets") {
		granted := rules(t, role)
		if len(granted) != 1 {
			t.Fatalf("%s: %v", role.GetNamespace(), granted)
		}
		namespaces[role.GetNamespace()] = granted[0].ResourceNames
		want := rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}, ResourceNames: granted[0].ResourceNames,
		}
		if diff := cmp.Diff(want, granted[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", role.GetNamespace(), diff)
		}
	}
	want := map[string][]string{"shop": {"prometheus-token", "prometheus-ca"}, "bank": {"prometheus-token"}}
	if diff := cmp.Diff(want, namespaces); diff != "" {
		t.Errorf("Secrets that may be read (-want +got):\n%s", diff)
	}
	bound := map[string]bool{}
	for _, object := range rendered.all("RoleBinding headgate-secrets") {
		binding := convert[rbacv1.RoleBinding](t, object)
		bound[binding.Namespace] = true
		account := []rbacv1.Subject{{Kind: "ServiceAccount", Name: "headgate", Namespace: "headgate-system"}}
		if diff := cmp.Diff(account, binding.Subjects); diff != "" || binding.RoleRef.Kind != "Role" || binding.RoleRef.Name != "headgate-secrets" {
			t.Errorf("%s is bound to %v: %s", binding.Namespace, binding.RoleRef, diff)
		}
	}
	if !cmp.Equal(bound, map[string]bool{"shop": true, "bank": true}) {
		t.Errorf("bound in %v", bound)
	}
	for name, object := range rendered {
		if object.GetName() == "headgate-secrets" || !strings.Contains(object.GetKind(), "Role") || strings.HasSuffix(object.GetKind(), "Binding") {
			continue
		}
		for _, rule := range rules(t, object) {
			if slices.Contains(rule.Resources, "secrets") {
				t.Errorf("%s has secrets as well", name)
			}
		}
	}
}

// Configuration is read by name, where somebody has named it.
func TestTheChartLetsTheOperatorTrackTheNamedConfigurationOnly(t *testing.T) {
	rendered := render(t, "--set", "rbac.trackConfig[0].namespace=shop,rbac.trackConfig[0].configMaps={settings},rbac.trackConfig[0].secrets={keys}",
		"--set", "rbac.trackConfig[1].namespace=bank,rbac.trackConfig[1].configMaps={settings}")
	verbs := []string{"get", "list", "watch"}
	settings := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"settings"}, Verbs: verbs}
	keys := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"keys"}, Verbs: verbs}
	got := map[string][]rbacv1.PolicyRule{}
	for _, role := range rendered.all("Role headgate-config") {
		got[role.GetNamespace()] = rules(t, role)
	}
	want := map[string][]rbacv1.PolicyRule{"shop": {settings, keys}, "bank": {settings}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, object := range rendered.all("RoleBinding headgate-config") {
		binding := convert[rbacv1.RoleBinding](t, object)
		if binding.RoleRef.Name != "headgate-config" || len(binding.Subjects) != 1 || binding.Subjects[0].Name != "headgate" {
			t.Errorf("%s is bound to %v: %v", binding.Namespace, binding.RoleRef, binding.Subjects)
		}
	}
}

// Without rollouts there are no rights that only they need, and the operator is told so.
func TestTheChartTakesTheRightsToDeploymentsAway(t *testing.T) {
	for _, more := range []string{"watchNamespaces=null", "watchNamespaces={shop}"} {
		rendered := render(t, "--set", "rollouts.enabled=false", "--set", more)
		for _, name := range []string{"deployments", "replicasets", "controllerrevisions", "canaries", "rollouts"} {
			for _, rule := range rules(t, rendered.get(t, "ClusterRole headgate")) {
				if slices.Contains(rule.Resources, name) {
					t.Errorf("%s: there are rights to %s: %v", more, name, rule)
				}
			}
		}
		operator := convert[appsv1.Deployment](t, rendered.get(t, "Deployment headgate"))
		if args := operator.Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--rollouts=false") {
			t.Errorf("%s: the operator is started with %v", more, args)
		}
	}
}

// Without these rules the pods that count calls could not be reached.
func TestTheNetworkPolicyLetsTheStatisticsOfTheProxiesOut(t *testing.T) {
	server := networkingv1.NetworkPolicyEgressRule{
		To:    []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "monitoring"}}}},
		Ports: []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(9090))}},
	}
	more, err := json.Marshal([]networkingv1.NetworkPolicyEgressRule{server})
	if err != nil {
		t.Fatal(err)
	}
	proxies := networkingv1.NetworkPolicyEgressRule{
		To: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{},
			PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{
				"app.kubernetes.io/managed-by": "envoy-gateway", "app.kubernetes.io/component": "proxy",
			}},
		}},
		Ports: []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(signals.StatsPort)), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	has := func(rendered objects, want networkingv1.NetworkPolicyEgressRule) bool {
		policy := convert[networkingv1.NetworkPolicy](t, rendered.get(t, "NetworkPolicy headgate"))
		return slices.ContainsFunc(policy.Spec.Egress, func(rule networkingv1.NetworkPolicyEgressRule) bool { return cmp.Equal(rule, want) })
	}
	withMore := render(t, "--set-json", "networkPolicy.extraEgress="+string(more))
	for name, rendered := range map[string]objects{
		"chart": render(t), "chart with more": withMore, "kustomize": kustomize(t, repository("config", "default")),
	} {
		if !has(rendered, proxies) {
			t.Errorf("%s: the proxies cannot be reached", name)
		}
	}
	if !has(withMore, server) {
		t.Error("networkPolicy.extraEgress is not there")
	}
}

// Policies that are installed only where somebody wants them.
func TestChartAndKustomizeHaveTheSameOptionalPolicies(t *testing.T) {
	for folder, c := range map[string]struct {
		values  string
		objects int
	}{
		"approval-policy": {"rollouts.approval.restrict=true", 2}, "hostname-policy": {"hostnames.ownership=true", 4},
	} {
		want, fromChart := kustomize(t, repository("config", folder)), render(t, "--set", c.values)
		if len(want) != c.objects {
			t.Errorf("%s: there are %v", folder, slices.Sorted(maps.Keys(want)))
		}
		for name, object := range want {
			if diff := cmp.Diff(stripped(fromChart.get(t, name)), stripped(object)); diff != "" {
				t.Errorf("%s differs (-chart +kustomize):\n%s", name, diff)
			}
			if _, ok := render(t)[name]; ok {
				t.Errorf("%s is installed by default", name)
			}
		}
	}
}

// The operator knows the flags that the chart gives it.
func TestTheOperatorTakesTheArguments(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "headgate")
	// As `make build` builds it, so that both find the same packages compiled.
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, "./cmd/headgate")
	build.Dir = repository()
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	for name, values := range map[string]string{
		"default values": "replicas=2",
		"other values":   "metrics.enabled=false,metrics.secure=false,leaderElection.enabled=false,logging.level=debug,logging.format=console,watchNamespaces={a,b},workers=16,hostnames.ownership=true,overrides.kinds={EnvoyProxy},fqdn.allow={*.db.svc.cluster.local,10.0.0.0/8}",
		"Prometheus":     prometheusValues,
		"xDS":            "xds.enabled=true,xds.trustDomain=example.org,xds.readAll={spiffe://example.org/ns/edge/sa/envoy,edge.example.org}",
	} {
		t.Run(name, func(t *testing.T) {
			container := deployment(t, render(t, "--set", values)).Spec.Template.Spec.Containers[0]
			// With --version it reads its flags and ends.
			output, err := exec.CommandContext(t.Context(), binary, append(container.Args, "--version")...).CombinedOutput()
			if err != nil {
				t.Errorf("headgate %s: %v\n%s", strings.Join(container.Args, " "), err, output)
			}
		})
	}
}

func TestTheImageIsWhatTheValuesSay(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	for name, test := range map[string]struct{ set, want string }{
		"a tag":                 {"image.tag=1.2.3", "ghcr.io/headgate/headgate:1.2.3"},
		"a digest wins":         {"image.tag=1.2.3,image.digest=" + digest, "ghcr.io/headgate/headgate@" + digest},
		"an image of one's own": {"image.repository=example.com/mine,image.tag=x", "example.com/mine:x"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := deployment(t, render(t, "--set", test.set)).Spec.Template.Spec.Containers[0].Image; got != test.want {
				t.Errorf("the image is %s, want %s", got, test.want)
			}
		})
	}
}

func TestEveryTemplateIsUsed(t *testing.T) {
	templates, err := filepath.Glob(filepath.Join(chart, "templates", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, values := range append(slices.Collect(maps.Values(xdsValues)), "rollouts.admissionPolicy=true", "rollouts.approval.restrict=true", "hostnames.ownership=true") {
		output, err := helmTemplate(t, "--set", values)
		if err != nil {
			t.Fatalf("helm template: %v\n%s", err, output)
		}
		all.Write(output)
	}
	for _, template := range templates {
		if source := "# Source: headgate/templates/" + filepath.Base(template); !strings.Contains(all.String(), source) {
			t.Errorf("%s makes nothing, with the default values or with xDS", template)
		}
	}
}

func deployment(t *testing.T, rendered objects) *appsv1.Deployment {
	t.Helper()
	return convert[appsv1.Deployment](t, rendered.get(t, "Deployment headgate"))
}

func rules(t *testing.T, object *unstructured.Unstructured) []rbacv1.PolicyRule {
	t.Helper()
	return convert[rbacv1.ClusterRole](t, object).Rules
}

// convert turns an object into its type; a field that the type does not have is an error.
func convert[T any](t *testing.T, object *unstructured.Unstructured) *T {
	t.Helper()
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
		t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
	}
	return typed
}
