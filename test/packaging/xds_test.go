package packaging

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/headgate/headgate/controllers/certificates"
	"github.com/headgate/headgate/xds/server"
)

// xdsValues are the ways to get the certificates of the xDS server, as arguments of Helm.
var xdsValues = map[string]string{
	"a Job":                  "xds.enabled=true",
	"cert-manager":           "xds.enabled=true,xds.certificates.certManager.enabled=true",
	"an issuer of one's own": "xds.enabled=true,xds.certificates.certManager.enabled=true,xds.certificates.certManager.issuerRef.name=mine,xds.certificates.certManager.issuerRef.kind=ClusterIssuer",
	"a Secret of one's own":  "xds.enabled=true,xds.certificates.secretName=mine",
}

func TestEachWayToCertificatesMakesWhatItNeeds(t *testing.T) {
	const (
		hook    = "Job headgate-xds-certificates-hook"
		cron    = "CronJob headgate-xds-certificates"
		issuer  = "Issuer headgate-xds"
		ca      = "Certificate headgate-xds-ca"
		sIssuer = "Issuer headgate-xds-server"
		sCA     = "Certificate headgate-xds-server-ca"
		issued  = "Certificate headgate-xds"
		service = "Service headgate-xds"
	)
	for name, want := range map[string][]string{
		"a Job":                  {service, hook, cron},
		"cert-manager":           {service, issuer, ca, sIssuer, sCA, issued},
		"an issuer of one's own": {service, issued},
		"a Secret of one's own":  {service},
	} {
		t.Run(name, func(t *testing.T) {
			rendered := render(t, "--set", xdsValues[name])
			for _, object := range []string{hook, cron, issuer, ca, sIssuer, sCA, issued, service} {
				if _, has := rendered[object]; has != slices.Contains(want, object) {
					t.Errorf("there is a %s: %t", object, has)
				}
			}
			volume := deployment(t, rendered).Spec.Template.Spec.Volumes[0].Secret.SecretName
			if secret := map[bool]string{true: "mine", false: "headgate-xds-tls"}[strings.HasSuffix(name, "Secret of one's own")]; volume != secret {
				t.Errorf("the operator mounts Secret %s, want %s", volume, secret)
			}
		})
	}
}

// Who signs for clients can sign the server's names as well: clients must not trust it, and the server must.
func TestTheServersAuthorityIsNotTheClients(t *testing.T) {
	const certManager = "xds.enabled=true,xds.certificates.certManager.enabled=true"
	issuers := map[string]string{"headgate-xds-server": "headgate-xds-server-ca", "headgate-xds": "headgate-xds-ca"} // and their Secrets
	for name, test := range map[string]struct{ values, issuer string }{
		"by default":   {certManager, "headgate-xds-server"},
		"when asked":   {certManager + ",xds.certificates.certManager.serverAuthority=Own", "headgate-xds-server"},
		"not for long": {certManager + ",xds.certificates.certManager.serverAuthority=Shared", "headgate-xds"},
	} {
		t.Run(name, func(t *testing.T) {
			rendered := render(t, "--set", test.values)
			field := func(object string, path ...string) string {
				value, _, err := unstructured.NestedString(rendered.get(t, object).Object, append([]string{"spec"}, path...)...)
				if err != nil {
					t.Fatal(err)
				}
				return value
			}
			if got := field("Certificate headgate-xds", "issuerRef", "name"); got != test.issuer {
				t.Errorf("Issuer %s signs the server's certificate, want %s", got, test.issuer)
			}
			for issuer, secret := range issuers {
				if got := field("Issuer "+issuer, "ca", "secretName"); got != secret {
					t.Errorf("Issuer %s has the authority in Secret %s, want %s", issuer, got, secret)
				}
				if got := field("Certificate "+secret, "secretName"); got != secret {
					t.Errorf("Certificate %s is in Secret %s", secret, got)
				}
			}
			announced := field("Certificate headgate-xds-server-ca", "secretTemplate", "annotations", certificates.AnnotationAnnounced)
			if (announced != "") != (test.issuer == "headgate-xds") {
				t.Errorf("the server's authority is announced: %q", announced)
			}
		})
	}
}

// The operator is given the certificates of the clients' authorities, and no key of theirs.
func TestTheServerTrustsTheClientsAuthorities(t *testing.T) {
	for name, test := range map[string]struct{ values, secret, key string }{
		"of the Job":                     {xdsValues["a Job"], "headgate-xds-tls", "ca.crt"},
		"of cert-manager":                {xdsValues["cert-manager"], "headgate-xds-ca", "ca.crt"},
		"of an issuer of one's own":      {xdsValues["an issuer of one's own"], "headgate-xds-tls", "ca.crt"},
		"in a Secret of one's own":       {xdsValues["a Secret of one's own"] + ",xds.certificates.clientCAKey=clients.pem", "mine", "clients.pem"},
		"in another Secret than a Job's": {xdsValues["a Job"] + ",xds.certificates.clientCASecretName=spiffe,xds.certificates.clientCAKey=tls.crt", "spiffe", "tls.crt"},
		"in two Secrets of one's own":    {xdsValues["a Secret of one's own"] + ",xds.certificates.clientCASecretName=spiffe", "spiffe", "ca.crt"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := deployment(t, render(t, "--set", test.values)).Spec.Template.Spec
			at := slices.IndexFunc(pod.Containers[0].Args, func(arg string) bool { return strings.HasPrefix(arg, "--xds-client-ca=") })
			if at < 0 {
				t.Fatal("it is told of none")
			}
			file := strings.TrimPrefix(pod.Containers[0].Args[at], "--xds-client-ca=")
			secret, key := "", ""
			for i, mount := range pod.Containers[0].VolumeMounts {
				name, inside := strings.CutPrefix(file, mount.MountPath+"/")
				source := pod.Volumes[i].Secret
				if !inside || pod.Volumes[i].Name != mount.Name {
					continue
				}
				secret, key = source.SecretName, name
				for _, item := range source.Items {
					if item.Path == name {
						key = item.Key
					}
				}
				if strings.HasSuffix(secret, "-ca") && len(source.Items) != 1 {
					t.Errorf("the operator is given more of Secret %s than certificates: %v", secret, source.Items)
				}
			}
			if secret != test.secret || key != test.key {
				t.Errorf("it reads key %s of Secret %s, want %s of %s", key, secret, test.key, test.secret)
			}
		})
	}
}

func TestXDSIsOffUnlessAskedFor(t *testing.T) {
	rendered := render(t)
	for name := range rendered {
		if strings.Contains(name, "xds") {
			t.Errorf("there is a %s", name)
		}
	}
	for _, arg := range deployment(t, rendered).Spec.Template.Spec.Containers[0].Args {
		if strings.Contains(arg, "xds") {
			t.Errorf("the operator is given %s", arg)
		}
	}
}

// The Service leads to the pods' port, which the network policy lets clients reach.
func TestTheXDSServerCanBeReached(t *testing.T) {
	rendered := render(t, "--set", "xds.enabled=true,xds.port=18001,metrics.enabled=false",
		"--set-json", `networkPolicy.xdsFrom=[{"namespaceSelector":{"matchLabels":{"xds":"yes"}}}]`)
	service := convert[corev1.Service](t, rendered.get(t, "Service headgate-xds"))
	pod := deployment(t, rendered).Spec.Template
	if !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(pod.Labels)) {
		t.Errorf("the Service selects %v, the pods have %v", service.Spec.Selector, pod.Labels)
	}
	port := service.Spec.Ports[0]
	at := slices.IndexFunc(pod.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == port.TargetPort.StrVal })
	if port.Port != 18001 || at < 0 || pod.Spec.Containers[0].Ports[at].ContainerPort != 18001 ||
		!slices.Contains(pod.Spec.Containers[0].Args, "--xds-bind-address=:18001") {
		t.Errorf("the Service's port is %v, the pod's are %v, its arguments %v", port, pod.Spec.Containers[0].Ports, pod.Spec.Containers[0].Args)
	}
	policy := convert[networkingv1.NetworkPolicy](t, rendered.get(t, "NetworkPolicy headgate"))
	tcp, number := corev1.ProtocolTCP, intstr.FromInt32(18001)
	ports := []networkingv1.NetworkPolicyPort{{Port: &number, Protocol: &tcp}}
	replicas := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: service.Spec.Selector}}
	want := []networkingv1.NetworkPolicyIngressRule{{
		Ports: ports,
		From: []networkingv1.NetworkPolicyPeer{
			replicas, {NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"xds": "yes"}}},
		},
	}}
	if diff := cmp.Diff(want, policy.Spec.Ingress); diff != "" {
		t.Errorf("ingress (-want +got):\n%s", diff)
	}
	// The replicas ask each other, too.
	out := networkingv1.NetworkPolicyEgressRule{Ports: ports, To: []networkingv1.NetworkPolicyPeer{replicas}}
	if !slices.ContainsFunc(policy.Spec.Egress, func(rule networkingv1.NetworkPolicyEgressRule) bool { return cmp.Equal(rule, out) }) {
		t.Errorf("the other replicas cannot be reached: %v", policy.Spec.Egress)
	}
}

// Whoever makes the certificates may make Secrets, and touch three of them; the operator none.
func TestOnlyTheJobsMayTouchTheSecretsOfTheCertificates(t *testing.T) {
	rendered := render(t, "--set", xdsValues["a Job"])
	want := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}},
		{
			APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "update"},
			ResourceNames: []string{"headgate-xds-ca", "headgate-xds-server-ca", "headgate-xds-tls"},
		},
	}
	for name, object := range rendered {
		if object.GetKind() != "Role" && object.GetKind() != "ClusterRole" {
			continue
		}
		granted := rules(t, object)
		if strings.HasPrefix(object.GetName(), "headgate-xds-certificates") {
			if diff := cmp.Diff(want, granted); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			continue
		}
		for _, rule := range granted {
			if slices.Contains(rule.Resources, "secrets") {
				t.Errorf("%s has secrets as well", name)
			}
		}
	}
}

// The hook comes before the release: what its Job needs must be hooks before it.
func TestTheHookHasWhatItNeedsBeforeTheRelease(t *testing.T) {
	rendered := render(t, "--set", xdsValues["a Job"])
	for _, name := range []string{
		"ServiceAccount headgate-xds-certificates-hook", "Role headgate-xds-certificates-hook",
		"RoleBinding headgate-xds-certificates-hook", "Job headgate-xds-certificates-hook",
	} {
		annotations := rendered.get(t, name).GetAnnotations()
		if annotations["helm.sh/hook"] != "pre-install,pre-upgrade" {
			t.Errorf("%s is no hook: %v", name, annotations)
		}
		if before := annotations["helm.sh/hook-weight"] == "-5"; before == strings.HasPrefix(name, "Job") {
			t.Errorf("%s has weight %s", name, annotations["helm.sh/hook-weight"])
		}
	}
	for _, name := range []string{"ServiceAccount headgate-xds-certificates", "CronJob headgate-xds-certificates"} {
		if hook := rendered.get(t, name).GetAnnotations()["helm.sh/hook"]; hook != "" {
			t.Errorf("%s is a hook, and would stay after an uninstall: %s", name, hook)
		}
	}
}

func TestThePodsOfTheCertificatesAreRestrictedAndNotTheOperators(t *testing.T) {
	rendered := render(t, "--set", xdsValues["a Job"])
	operator := deployment(t, rendered).Spec.Selector.MatchLabels
	pods := map[string]corev1.PodTemplateSpec{
		"hook": convert[batchv1.Job](t, rendered.get(t, "Job headgate-xds-certificates-hook")).Spec.Template,
		"cron": convert[batchv1.CronJob](t, rendered.get(t, "CronJob headgate-xds-certificates")).Spec.JobTemplate.Spec.Template,
	}
	for name, pod := range pods {
		if labels.SelectorFromSet(operator).Matches(labels.Set(pod.Labels)) {
			t.Errorf("%s: the operator's Services would take its pods for the operator's: %v", name, pod.Labels)
		}
		security, container := pod.Spec.SecurityContext, pod.Spec.Containers[0].SecurityContext
		for what, ok := range map[string]bool{
			"runs as non-root":             security.RunAsNonRoot != nil && *security.RunAsNonRoot,
			"has seccomp's RuntimeDefault": security.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
			"has a read-only root":         container.ReadOnlyRootFilesystem != nil && *container.ReadOnlyRootFilesystem,
			"cannot escalate privileges":   container.AllowPrivilegeEscalation != nil && !*container.AllowPrivilegeEscalation,
			"drops all capabilities":       cmp.Equal(container.Capabilities, &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}),
		} {
			if !ok {
				t.Errorf("%s: it is not so that the pod %s", name, what)
			}
		}
	}
	if diff := cmp.Diff(pods["hook"].Spec.Containers, pods["cron"].Spec.Containers); diff != "" {
		t.Errorf("the two differ (-hook +cron):\n%s", diff)
	}
}

// Both makers of certificates, and the clients, know the server by the same names.
func TestTheCertificateHasTheNamesOfTheService(t *testing.T) {
	const want = "headgate-xds.headgate-system,headgate-xds.headgate-system.svc,headgate-xds.headgate-system.svc.example.org,xds.example.com"
	more := ",clusterDomain=example.org,xds.certificates.dnsNames={xds.example.com}"
	job := convert[batchv1.Job](t, render(t, "--set", xdsValues["a Job"]+more).get(t, "Job headgate-xds-certificates-hook"))
	if args := job.Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--dns-names="+want) {
		t.Errorf("arguments are %v", args)
	}
	issued := render(t, "--set", xdsValues["cert-manager"]+more).get(t, "Certificate headgate-xds")
	spec, _ := issued.Object["spec"].(map[string]any)
	var names []string
	for _, name := range spec["dnsNames"].([]any) {
		names = append(names, name.(string))
	}
	if got := strings.Join(names, ","); got != want {
		t.Errorf("cert-manager is asked for %s", got)
	}
}

func TestWrongValuesOfXDSAreRefused(t *testing.T) {
	for name, value := range map[string]string{
		"an unknown value":            "xds.enable=true",
		"a port out of range":         "xds.port=0",
		"a trust domain with a slash": "xds.trustDomain=spiffe://x",
		"a name with a comma":         `xds.readAll={a\,b}`,
		"an authority that is none":   "xds.certificates.certManager.serverAuthority=Both",
		"a duration that is none":     "xds.certificates.separateAfter=soon",
		"a schedule that is none":     "xds.certificates.renewalSchedule=weekly",
	} {
		t.Run(name, func(t *testing.T) {
			if output, err := helmTemplate(t, "--set", value); err == nil {
				t.Errorf("--set %s was accepted:\n%s", value, slices.Collect(maps.Keys(decode(t, output))))
			}
		})
	}
}

// TestXDSClientsCannotUseUpTheMemory adds what clients can make a replica use, whatever they do, to what it uses with a thousand
// ExposedServices (make bench-scale), and compares it with the limit of the chart.
func TestXDSClientsCannotUseUpTheMemory(t *testing.T) {
	const atRest, heapTenths = 173 << 20, 9 // cmd/headgate/memory.go has the latter
	deployment := convert[appsv1.Deployment](t, render(t, "--set", "xds.enabled=true")["Deployment headgate"])
	limit := deployment.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value()
	heap := limit / 10 * heapTenths
	worst := server.Limits{Memory: server.MemoryFor(heap)}.WorstCase()
	t.Logf("of %d MiB the heap may have %d: clients %d, the rest of a replica %d", limit>>20, heap>>20, worst>>20, atRest>>20)
	if worst+atRest > heap {
		t.Errorf("clients can make a replica use %d MiB, and it uses %d: more than %d", worst>>20, atRest>>20, heap>>20)
	}
}
