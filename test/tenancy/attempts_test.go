package tenancy

import (
	"fmt"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// What stops an attempt at the write.
const (
	byRBAC   = "RBAC"
	byCRD    = "CRD"
	byPolicy = "Policy"
)

// write is an attempt that the API server refuses.
type write struct {
	name, object string
	by, words    string
}

const mine = `
apiVersion: headgate.dev/v1alpha1
kind: ExposedService
metadata: {name: mine}
spec:
  hostnames: [mine.example.com]
  gateway: {className: edge}
  backends:
  - {name: primary, service: {name: primary-svc, port: 50051}}
`

// writes are attempts with default values.
var writes = []write{
	{"an ExposedService in another namespace", strings.Replace(mine, "{name: mine}", "{name: mine, namespace: VICTIM}", 1), byRBAC, "cannot create resource"},
	{"a Gateway", "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: a}, spec: {gatewayClassName: edge, listeners: [{name: a, port: 80, protocol: HTTP}]}}", byRBAC, "cannot create resource"},
	{"an EnvoyProxy", "{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: EnvoyProxy, metadata: {name: a}, spec: {}}", byRBAC, "cannot create resource"},
	{"an EnvoyPatchPolicy", "{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: EnvoyPatchPolicy, metadata: {name: a}, spec: {type: JSONPatch, targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: mine}}}", byRBAC, "cannot create resource"},
	{"a Backend", "{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: Backend, metadata: {name: a}, spec: {endpoints: [{ip: {address: 10.1.7.1, port: 1}}]}}", byRBAC, "cannot create resource"},
	{"a ReferenceGrant of the victim's", "{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: a, namespace: VICTIM}, spec: {from: [], to: []}}", byRBAC, "cannot create resource"},
	{"an EndpointSlice with the victim's Pods", "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, labels: {kubernetes.io/service-name: primary-svc}}, addressType: IPv4, endpoints: [{addresses: [10.1.7.1]}], ports: []}", byRBAC, "cannot create resource"},
	{"an EnvoyProxy in the release's namespace", "{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: EnvoyProxy, metadata: {name: a, namespace: headgate-system}, spec: {}}", byRBAC, "cannot create resource"},
	{"a Namespace with host names", "{apiVersion: v1, kind: Namespace, metadata: {name: a, annotations: {headgate.dev/hostnames: '*'}}}", byRBAC, "cannot create resource"},
	{"an admission policy", "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: a}, spec: {policyName: a}}", byRBAC, "cannot create resource"},
	{"a Secret of the operator's", "{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: headgate-system}}", byRBAC, "cannot create resource"},

	{"an override of the rules", mine + "  overrides: [{kind: GRPCRoute, patch: {spec: {rules: []}}}]", byCRD, "patch.spec.rules must not be set"},
	{"an override of the Gateway of the route", mine + "  overrides: [{kind: GRPCRoute, patch: {spec: {parentRefs: [{name: public, namespace: INFRA}]}}}]", byCRD, "patch.spec.parentRefs must not be set"},
	{"an override of the host names", mine + "  overrides: [{kind: GRPCRoute, patch: {spec: {hostnames: [payments.example.com]}}}]", byCRD, "patch.spec.hostnames must not be set"},
	{"an override of the addresses", mine + "  overrides: [{kind: Gateway, patch: {spec: {addresses: [{value: 10.0.0.1}]}}}]", byCRD, "patch.spec.addresses must not be set"},
	{"an override of the target", mine + "  overrides: [{kind: BackendTrafficPolicy, patch: {spec: {targetRefs: [{kind: Gateway, name: public}]}}}]", byCRD, "targetRefs and targetSelectors must not be set"},
	{"an override of the patches", mine + "  overrides: [{kind: EnvoyPatchPolicy, patch: {spec: {jsonPatches: []}}}]", byCRD, "patch.spec.jsonPatches must not be set"},
	{"an override of the owner", mine + "  overrides: [{kind: GRPCRoute, patch: {metadata: {ownerReferences: []}}}]", byCRD, "unknown field"},
	{"an override of a Service", mine + "  overrides: [{kind: Service, patch: {spec: {externalIPs: [10.0.0.1]}}}]", byCRD, "spec.overrides[0].kind"},
	{"a token for metrics in the clear", mine + "  failover: {errors: {maxPercent: '5', prometheus: {address: 'http://a', calls: a, errors: b, bearerTokenSecretRef: {name: a, key: b}}}}", byCRD, "bearerTokenSecretRef is sent to https:// addresses only"},
	{"an address as a host", strings.Replace(mine, "service: {name: primary-svc, port: 50051}", "fqdn: {hostname: 10.1.7.1, port: 50051}", 1), byCRD, "must be a DNS name, not an IP address"},
	{"a Service as a host, by one label", strings.Replace(mine, "service: {name: primary-svc, port: 50051}", "fqdn: {hostname: payments, port: 50051}", 1), byCRD, "must be the full DNS name"},
}

// TestWritesThatTheAPIServerRefuses are attempts of somebody with the role edit in one namespace.
func TestWritesThatTheAPIServerRefuses(t *testing.T) {
	o := newTenant(t, install(t, false))
	o.refused(writes)
	o.cannotWriteStatus()
}

func (o *tenant) refused(writes []write) {
	for _, attempt := range writes {
		o.t.Run(attempt.name, func(t *testing.T) {
			err := o.client.Create(t.Context(), o.object(attempt.object))
			if err == nil || !strings.Contains(err.Error(), attempt.words) || stoppedBy(err) != attempt.by {
				t.Errorf("%v: want it stopped by %s, with the words %q", err, attempt.by, attempt.words)
			}
			t.Logf("stopped by %s: %v", stoppedBy(err), err)
		})
	}
}

// stoppedBy says what has refused a write.
func stoppedBy(err error) string {
	switch {
	case err == nil:
		return "nobody"
	case strings.Contains(err.Error(), "ValidatingAdmissionPolicy"):
		return byPolicy
	case apierrors.IsForbidden(err):
		return byRBAC
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return byCRD
	}
	return "something else"
}

// cannotWriteStatus: decisions are written to the status, and followed.
func (o *tenant) cannotWriteStatus() {
	exs := o.service(func(*v1alpha1.ExposedServiceSpec) {})
	if err := o.client.Create(o.t.Context(), exs); err != nil {
		o.t.Fatal(err)
	}
	eventually(o.t, "the tenant's service is exposed", func() error {
		return conditionIs(o.t, o.client, exs, v1alpha1.ConditionExposed, metav1.ConditionTrue, "")
	})
	status := []byte(`{"status": {"traffic": {"active": "backup"}}}`)
	err := o.client.Status().Patch(o.t.Context(), exs, client.RawPatch("application/merge-patch+json", status))
	if stoppedBy(err) != byRBAC {
		o.t.Errorf("the status is written: %v", err)
	}
}

// refusal is an ExposedService that the operator does not follow, or not in everything.
type refusal struct {
	name   string
	change func(o *tenant, spec *v1alpha1.ExposedServiceSpec)
	// condition says why, with the reason and the words.
	condition string
	reason    v1alpha1.Reason
	words     string
	// nowhere must not stand in any object that the operator makes.
	nowhere string
}

func overridden(kind v1alpha1.OverrideKind, patch string) func(*tenant, *v1alpha1.ExposedServiceSpec) {
	return func(o *tenant, spec *v1alpha1.ExposedServiceSpec) {
		text, err := yaml.YAMLToJSON([]byte(patch))
		if err != nil {
			o.t.Fatal(err)
		}
		spec.Overrides = []v1alpha1.Override{{Kind: kind, Patch: apiextensionsv1.JSON{Raw: text}}}
	}
}

// toHost has a host for a backup, and calls pinned to it.
func toHost(host string, addresses func(*tenant) []string) func(*tenant, *v1alpha1.ExposedServiceSpec) {
	return func(o *tenant, spec *v1alpha1.ExposedServiceSpec) {
		name := strings.ReplaceAll(host, "VICTIM", o.victim)
		o.hosts.set(name, addresses(o)...)
		spec.Backends[1] = v1alpha1.Backend{Name: "backup", FQDN: &v1alpha1.FQDNBackend{Hostname: v1alpha1.Hostname(name), Port: shop.GRPCPort}}
		spec.Failover = &v1alpha1.Failover{Pin: "backup"}
	}
}

// asking has a Prometheus server asked for calls.
func asking(source v1alpha1.PrometheusSource) func(*tenant, *v1alpha1.ExposedServiceSpec) {
	source.Calls, source.Errors = `{__name__="calls-of-all"}`, "errors"
	return func(_ *tenant, spec *v1alpha1.ExposedServiceSpec) {
		spec.Failover = &v1alpha1.Failover{Errors: &v1alpha1.ErrorBound{MaxPercent: "5", Source: ptr.To(v1alpha1.SourcePrometheus), Prometheus: &source}}
	}
}

func at(address string) func(*tenant) []string {
	return func(*tenant) []string { return []string{address} }
}

func (o *tenant) clusterIP() []string { return []string{o.payments.Spec.ClusterIP} }

const deploymentOf = "{spec: {provider: {type: Kubernetes, kubernetes: {envoyDeployment: "

// refusals are attempts with default values.
var refusals = []refusal{
	{
		"any program in Envoy Gateway's namespace", overridden("EnvoyProxy", deploymentOf+"{initContainers: [{name: evil, image: evil.example.com/a}]}}}}}"),
		v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidOverride, "this cluster allows overrides of GRPCRoute, BackendTrafficPolicy only", "evil",
	},
	{
		"the ServiceAccount of Envoy Gateway", overridden("EnvoyProxy", deploymentOf+"{patch: {value: {spec: {template: {spec: {serviceAccountName: evil}}}}}}}}}}"),
		v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidOverride, "this cluster allows overrides of", "evil",
	},
	{
		"an address of the cluster", overridden("Gateway", "{spec: {infrastructure: {annotations: {evil: evil}}}}"),
		v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidOverride, "this cluster allows overrides of", "evil",
	},
	{
		"the order of Envoy's patches", overridden("EnvoyPatchPolicy", "{spec: {priority: 77}}"),
		v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidOverride, "this cluster allows overrides of", "priority: 77",
	},
	{
		"a name in DNS", overridden("GRPCRoute", "{metadata: {annotations: {external-dns.alpha.kubernetes.io/hostname: payments.example.com}}}"),
		v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidOverride, "set spec.hostnames of the ExposedService", "payments.example.com",
	},
	{
		"the labels by which objects are found", overridden("GRPCRoute", "{metadata: {labels: {headgate.dev/exposedservice-namespace: evil}}}"),
		v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidOverride, "it is Headgate's", "evil",
	},
	{
		"Services instead of endpoints", overridden("BackendTrafficPolicy", "{spec: {routingType: Service}}"),
		v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidOverride, "spec.routingType must not be overridden", "routingType: Service",
	},

	{"a Service of another namespace, without a grant", func(o *tenant, spec *v1alpha1.ExposedServiceSpec) {
		spec.Backends[0].Service.Name, spec.Backends[0].Service.Namespace = "payments", &o.victim
	}, v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonRefNotPermitted, "no ReferenceGrant there allows it", "10.1.7.1"},
	{"a Service of another namespace, by ExternalName", func(o *tenant, spec *v1alpha1.ExposedServiceSpec) {
		service := o.object("{apiVersion: v1, kind: Service, metadata: {name: evil}, spec: {type: ExternalName, externalName: payments.VICTIM.svc.cluster.local, ports: [{port: 50051}]}}")
		if err := o.client.Create(o.t.Context(), service); err != nil {
			o.t.Fatal(err)
		}
		spec.Backends[0].Service.Name = "evil"
	}, v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonServiceNotSupported, "of type ExternalName", "payments."},
	{
		"a Service of another namespace, by its name as a host", toHost("payments.VICTIM.svc.cluster.local", (*tenant).clusterIP),
		v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonRefNotPermitted, "is a name of the cluster itself", "payments.",
	},
	{
		"a Service of another namespace, by a host of one's own", toHost("evil.example.net", (*tenant).clusterIP),
		v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonRefNotPermitted, "the address of a Service of the cluster", "evil.example.net",
	},
	{
		"the proxy's own administration", toHost("admin.example.net", at("127.0.0.1")),
		v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonRefNotPermitted, "a loopback, link-local or multicast address", "127.0.0.1",
	},
	{
		"the metadata service of a cloud", toHost("metadata.example.net", at("169.254.169.254")),
		v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonRefNotPermitted, "a loopback, link-local or multicast address", "169.254.169.254",
	},
	{
		"the metadata service of a cloud, at another address", toHost("metadata6.example.net", at("fd00:ec2::254")),
		v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonRefNotPermitted, "a cloud's metadata service", "fd00:ec2::254",
	},

	{
		"the series of all, at the address of their server", asking(v1alpha1.PrometheusSource{Address: "https://prometheus.monitoring:9090"}),
		v1alpha1.ConditionSignalsAvailable, v1alpha1.ReasonSourceInvalid, "this cluster lets ExposedServices ask only", "prometheus.monitoring",
	},
	{
		"a server that the platform does not name", asking(v1alpha1.PrometheusSource{Server: "prometheus"}),
		v1alpha1.ConditionSignalsAvailable, v1alpha1.ReasonSourceInvalid, "the platform names no Prometheus server prometheus", "calls-of-all",
	},

	{"the host of another namespace", func(o *tenant, spec *v1alpha1.ExposedServiceSpec) {
		spec.Gateway, spec.Hostnames = onPublic(o.cluster), []v1alpha1.Hostname{"payments.example.com"}
	}, v1alpha1.ConditionAccepted, v1alpha1.ReasonRouteConflict, "has the same host payments.example.com", "payments.example.com"},
	{"the host of another namespace, with a more specific match", func(o *tenant, spec *v1alpha1.ExposedServiceSpec) {
		spec.Gateway, spec.Hostnames = onPublic(o.cluster), []v1alpha1.Hostname{"payments.example.com"}
		spec.Rules = []v1alpha1.Rule{{Matches: []v1alpha1.Match{{Service: ptr.To("pay.Payments"), Headers: []v1alpha1.HeaderMatch{{Name: "x-evil", Value: "1"}}}}}}
	}, v1alpha1.ConditionAccepted, v1alpha1.ReasonRouteConflict, "is of another namespace, and its host payments.example.com with its claim to every call overlaps", "pay.Payments"},
	{"a host under another's wildcard", func(o *tenant, spec *v1alpha1.ExposedServiceSpec) {
		spec.Gateway, spec.Hostnames = onPublic(o.cluster), []v1alpha1.Hostname{"api.bank.example.com"}
	}, v1alpha1.ConditionAccepted, v1alpha1.ReasonRouteConflict, "its host *.bank.example.com", "api.bank.example.com"},
	{"a wildcard under another's wildcard", func(o *tenant, spec *v1alpha1.ExposedServiceSpec) {
		spec.Gateway, spec.Hostnames = onPublic(o.cluster), []v1alpha1.Hostname{"*.eu.bank.example.com"}
	}, v1alpha1.ConditionAccepted, v1alpha1.ReasonRouteConflict, "its host *.bank.example.com", "eu.bank.example.com"},
	{"a wildcard over another's host", func(o *tenant, spec *v1alpha1.ExposedServiceSpec) {
		spec.Gateway, spec.Hostnames = onPublic(o.cluster), []v1alpha1.Hostname{"*.example.com"}
	}, v1alpha1.ConditionAccepted, v1alpha1.ReasonRouteConflict, "overlaps with the host *.example.com", "*.example.com"},
	{"the host of a page of another namespace", func(o *tenant, spec *v1alpha1.ExposedServiceSpec) {
		page := o.object(route("HTTPRoute", "[page.example.com]"))
		page.SetNamespace(o.victim)
		page.SetName("page-" + o.namespace)
		if err := o.admin.Create(o.t.Context(), page); err != nil {
			o.t.Fatal(err)
		}
		spec.Gateway, spec.Hostnames = onPublic(o.cluster), []v1alpha1.Hostname{"page.example.com"}
	}, v1alpha1.ConditionAccepted, v1alpha1.ReasonRouteConflict, "HTTPRoute", "page.example.com"},
	{"every host", func(o *tenant, spec *v1alpha1.ExposedServiceSpec) {
		spec.Gateway, spec.Hostnames = onPublic(o.cluster), nil
	}, v1alpha1.ConditionAccepted, v1alpha1.ReasonRouteConflict, "overlaps with the claim to every host", "kind: GRPCRoute"},
}

// TestExposedServicesThatTheOperatorRefuses are attempts of somebody with the role edit in one namespace.
func TestExposedServicesThatTheOperatorRefuses(t *testing.T) {
	c := install(t, false)
	for _, attempt := range refusals {
		t.Run(attempt.name, func(t *testing.T) { attempt.run(t, c) })
	}
}

func (a refusal) run(t *testing.T, c *cluster) {
	o := newTenant(t, c)
	exs := o.service(func(spec *v1alpha1.ExposedServiceSpec) { a.change(o, spec) })
	if err := o.client.Create(t.Context(), exs); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the operator refuses it", func() error {
		return conditionIs(t, o.client, exs, a.condition, metav1.ConditionFalse, a.reason, a.words)
	})
	if made := o.everything(); strings.Contains(made, a.nowhere) {
		t.Errorf("%q stands in what the operator has made:\n%s", a.nowhere, made)
	}
	if err := o.client.Delete(t.Context(), exs); err != nil {
		t.Error(err)
	}
	eventually(t, "it is gone", func() error {
		err := o.client.Get(t.Context(), client.ObjectKeyFromObject(exs), exs)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
}

// TestAHostThatThePlatformGivesIsNoTheft: the platform gives a host under the victim's wildcard to a namespace, and takes it away.
func TestAHostThatThePlatformGivesIsNoTheft(t *testing.T) {
	c := install(t, false)
	o := newTenant(t, c)
	exs := o.service(func(spec *v1alpha1.ExposedServiceSpec) {
		spec.Gateway, spec.Hostnames = onPublic(c), []v1alpha1.Hostname{"api.bank.example.com"}
	})
	if err := o.client.Create(t.Context(), exs); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it overlaps", func() error {
		return conditionIs(t, o.client, exs, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonRouteConflict, "its annotation headgate.dev/hostnames")
	})
	annotate(t, c, o.namespace, "api.bank.example.com")
	eventually(t, "it is exposed", func() error {
		return conditionIs(t, o.client, exs, v1alpha1.ConditionExposed, metav1.ConditionTrue, "")
	})
	if err := o.client.Delete(t.Context(), exs); err != nil {
		t.Error(err)
	}
}

// withHosts is an ExposedService of the tenant's on the platform's Gateway.
func withHosts(hosts string) string {
	return strings.NewReplacer("[mine.example.com]", hosts, "{className: edge}", "{parentRef: {name: public, namespace: INFRA}}").Replace(mine)
}

// route is one that the tenant writes by hand, where a platform lets people do so.
func route(kind, hosts string) string {
	return "{apiVersion: gateway.networking.k8s.io/v1, kind: " + kind + ", metadata: {name: by-hand}, spec: {parentRefs: [{name: public, namespace: INFRA}], hostnames: " + hosts + "}}"
}

// ownedWrites are attempts where namespaces own their host names.
var ownedWrites = []write{
	{"the host of another namespace", withHosts("[payments.example.com]"), byPolicy, "spec.hostnames: host payments.example.com does not belong to namespace"},
	{"the host of another namespace, with a more specific match", withHosts("[payments.example.com]") + "  rules: [{matches: [{service: pay.Payments}]}]", byPolicy, "host payments.example.com does not belong"},
	{"a host under another's wildcard", withHosts("[api.bank.example.com]"), byPolicy, "host api.bank.example.com does not belong"},
	{"a wildcard over others", withHosts("['*.example.com']"), byPolicy, "host *.example.com does not belong"},
	{"every host", withHosts("[]"), byPolicy, "without host names it would have all"},
	{"a host of nobody", withHosts("[nobody.example.org]"), byPolicy, "which has mine.example.com, *.mine.example.com: choose names of these"},
	{"a host of one's own and another", withHosts("[mine.example.com, payments.example.com]"), byPolicy, "host payments.example.com does not belong"},
	{"the host of another namespace by a GRPCRoute", route("GRPCRoute", "[payments.example.com]"), byPolicy, "host payments.example.com does not belong"},
	{"the host of another namespace by an HTTPRoute", route("HTTPRoute", "[payments.example.com]"), byPolicy, "host payments.example.com does not belong"},
}

// TestHostNamesThatBelongToOthers are attempts where the chart is told that namespaces own their host names, at the write and behind it.
func TestHostNamesThatBelongToOthers(t *testing.T) {
	c := install(t, true, "--set", "hostnames.ownership=true")
	o := newTenant(t, c)
	annotate(t, c, o.namespace, "mine.example.com, *.mine.example.com")
	o.mayWriteRoutes()
	var own error
	eventually(t, "the policy is in force", func() error {
		// A policy comes into force a moment after it was made.
		own = o.client.Create(t.Context(), o.object(withHosts("[payments.example.com]")), client.DryRunAll)
		if stoppedBy(own) != byPolicy {
			return fmt.Errorf("it is stopped by %s: %w", stoppedBy(own), own)
		}
		return nil
	})
	o.refused(ownedWrites)

	exs := o.service(func(spec *v1alpha1.ExposedServiceSpec) {
		spec.Gateway, spec.Hostnames = onPublic(c), []v1alpha1.Hostname{"mine.example.com", "a.mine.example.com", "*.mine.example.com"}
	})
	if err := o.client.Create(t.Context(), exs); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the tenant's own hosts are exposed", func() error {
		return conditionIs(t, o.client, exs, v1alpha1.ConditionExposed, metav1.ConditionTrue, "")
	})
	o.ownsNoMore(exs)
	o.assignsNothing()
}

// mayWriteRoutes gives the tenant the right to write routes, as some platforms do.
func (o *tenant) mayWriteRoutes() {
	role := o.object("{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: routes}, rules: [{apiGroups: [gateway.networking.k8s.io], resources: [grpcroutes, httproutes], verbs: [create]}]}")
	binding := o.object("{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: routes}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: routes}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: 'system:serviceaccount:MINE:deployer'}]}")
	for _, object := range []client.Object{role, binding} {
		if err := o.admin.Create(o.t.Context(), object); err != nil {
			o.t.Fatal(err)
		}
	}
	o.untilMay("create", "gateway.networking.k8s.io", "grpcroutes")
	o.untilMay("create", "gateway.networking.k8s.io", "httproutes")
}

// untilMay waits until the API server knows of a right that was given.
func (o *tenant) untilMay(verb, group, resource string) {
	o.t.Helper()
	eventually(o.t, "the right to "+verb+" "+resource, func() error {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: o.namespace, Verb: verb, Group: group, Resource: resource},
		}}
		if err := o.client.Create(o.t.Context(), review); err != nil {
			return err
		}
		if !review.Status.Allowed {
			return fmt.Errorf("not yet: %s", review.Status.Reason)
		}
		return nil
	})
}

// ownsNoMore takes the host names away, as the platform may: other writes go on, and the operator says it.
func (o *tenant) ownsNoMore(exs *v1alpha1.ExposedService) {
	annotate(o.t, o.cluster, o.namespace, "other.example.com")
	eventually(o.t, "the operator says that the hosts are not the tenant's", func() error {
		return conditionIs(o.t, o.client, exs, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonHostnameNotPermitted, "which has other.example.com")
	})
	label := client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"labels": {"team": "a"}}, "spec": {"traffic": {"connectTimeout": "1s"}}}`))
	if err := o.client.Patch(o.t.Context(), exs, label); err != nil {
		o.t.Errorf("another change of an ExposedService with hosts of others: %v", err)
	}
	more := client.RawPatch("application/merge-patch+json", []byte(`{"spec": {"hostnames": ["mine.example.com", "payments.example.com"]}}`))
	if err := o.client.Patch(o.t.Context(), exs, more); stoppedBy(err) != byPolicy {
		o.t.Errorf("a change of the hosts to those of others: %v", err)
	}
	annotate(o.t, o.cluster, o.victim, "payments.example.com, *.bank.example.com, *.mine.example.com")
	eventually(o.t, "the hosts are the victim's", func() error {
		if made := o.everything(); strings.Contains(made, "a.mine.example.com") {
			return fmt.Errorf("%s", made)
		}
		return nil
	})
	if made := o.everything(); !strings.Contains(made, "- mine.example.com") {
		o.t.Errorf("a host that belongs to nobody has gone:\n%s", made)
	}
}

// assignsNothing: who may write Namespaces does not by that alone assign host names.
func (o *tenant) assignsNothing() {
	role := o.object("{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: namespaces-of-MINE}, rules: [{apiGroups: [''], resources: [namespaces], verbs: [get, patch]}]}")
	binding := o.object("{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: namespaces-of-MINE}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: namespaces-of-MINE}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: 'system:serviceaccount:MINE:deployer'}]}")
	for _, object := range []client.Object{role, binding} {
		object.SetNamespace("")
		if err := o.admin.Create(o.t.Context(), object); err != nil {
			o.t.Fatal(err)
		}
	}
	o.untilMay("patch", "", "namespaces")
	namespace := o.object("{apiVersion: v1, kind: Namespace, metadata: {name: MINE}}")
	namespace.SetNamespace("")
	for patch, want := range map[string]string{
		`{"metadata": {"annotations": {"headgate.dev/hostnames": "*"}}}`:  byPolicy,
		`{"metadata": {"annotations": {"headgate.dev/hostnames": null}}}`: byPolicy,
		`{"metadata": {"annotations": {"example.com/owner": "a"}}}`:       "nobody",
	} {
		err := o.client.Patch(o.t.Context(), namespace, client.RawPatch("application/merge-patch+json", []byte(patch)))
		if stoppedBy(err) != want {
			o.t.Errorf("%s is stopped by %s, want %s: %v", patch, stoppedBy(err), want, err)
		}
	}
}
