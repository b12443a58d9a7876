package gateway_test

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// problemOf is what is said of an override, as if the CRD had let it through; empty: nothing.
func problemOf(t *testing.T, allowed []v1alpha1.OverrideKind, kind v1alpha1.OverrideKind, patch string) string {
	t.Helper()
	in := readInput(t, "testdata/override-protected.in.yaml")
	text, err := yaml.YAMLToJSON([]byte(patch))
	if err != nil {
		t.Fatal(err)
	}
	in.ExposedService.Spec.Overrides = []v1alpha1.Override{{Kind: kind, Patch: apiextensionsv1.JSON{Raw: text}}}
	in.OverrideKinds = allowed
	before := gateway.Resolve(&in.ExposedService, in.facts())
	out := before.Expand()
	for _, problem := range out.Problems {
		if problem.Reason == v1alpha1.ReasonInvalidOverride {
			for _, object := range out.Objects {
				if object.GetObjectKind().GroupVersionKind().Kind == string(kind) {
					t.Errorf("%s is made although its override is refused", kind)
				}
			}
			return problem.Message
		}
	}
	return ""
}

func TestAnOverrideChangesOnlyWhatStaysInItsNamespace(t *testing.T) {
	const (
		proxy      = v1alpha1.OverrideEnvoyProxy
		owned      = v1alpha1.OverrideGateway
		route      = v1alpha1.OverrideGRPCRoute
		policy     = v1alpha1.OverrideBackendTrafficPolicy
		patch      = v1alpha1.OverrideEnvoyPatchPolicy
		deployment = "{spec: {provider: {type: Kubernetes, kubernetes: {envoyDeployment: "
	)
	for _, c := range []struct {
		name  string
		kind  v1alpha1.OverrideKind
		patch string
		// refused is the field that the message names; empty: it is allowed.
		refused string
	}{
		{"the pods of the proxies, by a patch", proxy, deployment + "{patch: {value: {spec: {template: {spec: {serviceAccountName: envoy-gateway}}}}}}}}}}", "envoyDeployment.patch"},
		{"the Service of the proxies, by a patch", proxy, "{spec: {provider: {type: Kubernetes, kubernetes: {envoyService: {patch: {value: {spec: {externalIPs: [10.0.0.1]}}}}}}}}", "envoyService.patch"},
		{"the autoscaler of the proxies, by a patch", proxy, "{spec: {provider: {type: Kubernetes, kubernetes: {envoyHpa: {maxReplicas: 3, patch: {value: {}}}}}}}", "envoyHpa.patch"},
		{"the disruption budget of the proxies, by a patch", proxy, "{spec: {provider: {type: Kubernetes, kubernetes: {envoyPDB: {patch: {value: {}}}}}}}", "envoyPDB.patch"},
		{"the image of the proxies", proxy, deployment + "{container: {image: evil.example.com/envoy}}}}}}", "container.image"},
		{"where the image of the proxies comes from", proxy, deployment + "{container: {imageRepository: evil.example.com/envoy}}}}}}", "container.imageRepository"},
		{"the version of the proxies", proxy, "{spec: {provider: {type: Kubernetes, kubernetes: {envoyVersion: 1.2.3}}}}", "envoyVersion"},
		{"a further program in the pods", proxy, deployment + "{initContainers: [{name: a, image: b}]}}}}}", "initContainers"},
		{"a Secret of Envoy Gateway's namespace as a file", proxy, deployment + "{pod: {volumes: [{name: a, secret: {secretName: b}}]}}}}}}", "pod.volumes"},
		{"a mount of it", proxy, deployment + "{container: {volumeMounts: [{name: a, mountPath: /a}]}}}}}}", "container.volumeMounts"},
		{"a Secret as an environment variable", proxy, deployment + "{container: {env: [{name: A, valueFrom: {secretKeyRef: {name: b, key: c}}}]}}}}}}", "container.env"},
		{"the user of the proxies", proxy, deployment + "{container: {securityContext: {privileged: true}}}}}}}", "container.securityContext"},
		{"the user of the pods", proxy, deployment + "{pod: {securityContext: {runAsUser: 0}}}}}}}", "pod.securityContext"},
		{"the labels of the pods", proxy, deployment + "{pod: {labels: {app: victim}}}}}}}", "pod.labels"},
		{"what injects into the pods", proxy, deployment + "{pod: {annotations: {sidecar.istio.io/inject: 'true'}}}}}}}", "pod.annotations"},
		{"the credentials that pull the image", proxy, deployment + "{pod: {imagePullSecrets: [{name: a}]}}}}}}", "pod.imagePullSecrets"},
		{"the priority of the pods", proxy, deployment + "{pod: {priorityClassName: system-node-critical}}}}}}", "pod.priorityClassName"},
		{"the name of the pods", proxy, deployment + "{name: victim}}}}}", "envoyDeployment.name"},
		{"the ServiceAccount of the proxies", proxy, "{spec: {provider: {type: Kubernetes, kubernetes: {envoyServiceAccount: {name: envoy-gateway}}}}}", "envoyServiceAccount"},
		{"the same, as a DaemonSet", proxy, "{spec: {provider: {type: Kubernetes, kubernetes: {envoyDaemonSet: {patch: {value: {}}}}}}}", "envoyDaemonSet.patch"},
		{"an address of the proxies' Service", proxy, "{spec: {provider: {type: Kubernetes, kubernetes: {envoyService: {loadBalancerIP: 10.0.0.1}}}}}", "loadBalancerIP"},
		{"the bootstrap of the proxies", proxy, "{spec: {bootstrap: {type: Merge, value: 'admin: {}'}}}", "spec.bootstrap"},
		{"arguments of the proxies", proxy, "{spec: {extraArgs: [--admin-address-path, /tmp/a]}}", "spec.extraArgs"},
		{"modules of the proxies", proxy, "{spec: {dynamicModules: [{name: a}]}}", "spec.dynamicModules"},
		{"a check of Lua that is turned off", proxy, "{spec: {luaValidation: Disabled}}", "spec.luaValidation"},
		{"Gateways that are merged", proxy, "{spec: {mergeGateways: true}}", "spec.mergeGateways"},
		{"a client certificate of somebody else", proxy, "{spec: {backendTLS: {clientCertificateRef: {name: a, namespace: b}}}}", "spec.backendTLS"},
		{"the platform's EnvoyProxy that is not merged", proxy, "{spec: {mergeType: null}}", "spec.mergeType"},
		{"the platform's EnvoyProxy, replaced", proxy, "{spec: {$patch: replace, concurrency: 2}}", "spec.mergeType"},
		{"resources of the proxies", proxy, deployment + "{container: {resources: {requests: {cpu: 100m}}}}}}}}", ""},
		{"where the proxies run", proxy, deployment + "{replicas: 3, pod: {nodeSelector: {a: b}, tolerations: [{key: edge}]}}}}}}", ""},
		{"a load balancer inside", proxy, "{spec: {provider: {type: Kubernetes, kubernetes: {envoyService: {type: LoadBalancer, annotations: {a: b}, loadBalancerSourceRanges: [10.0.0.0/8]}}}}}", ""},
		{"access logs of the proxies", proxy, "{spec: {telemetry: {accessLog: {disable: true}}, logging: {level: {default: debug}}}}", ""},
		{"an address of a Gateway", owned, "{spec: {addresses: [{value: 10.0.0.1}]}}", "spec.addresses"},
		{"the class of a Gateway", owned, "{spec: {gatewayClassName: other}}", "spec.gatewayClassName"},
		{"the EnvoyProxy of a Gateway", owned, "{spec: {infrastructure: {parametersRef: {group: a, kind: b, name: c}}}}", "spec.infrastructure.parametersRef"},
		{"who else listens", owned, "{spec: {allowedListeners: {namespaces: {from: All}}}}", "spec.allowedListeners"},
		{"a listener with a name", owned, "{spec: {listeners: [{name: grpc, port: 80, protocol: HTTP, hostname: a.example.com}]}}", ""},
		{"annotations of a load balancer", owned, "{spec: {infrastructure: {annotations: {a: b}}}}", ""},
		{"a host name", route, "{spec: {hostnames: [bank.example.com]}}", "spec.hostnames"},
		{"another Gateway", route, "{spec: {parentRefs: [{name: public, namespace: infra}]}}", "spec.parentRefs"},
		{"other rules", route, "{spec: {rules: []}}", "spec.rules"},
		{"the whole route, replaced", route, "{spec: {$patch: delete}}", "spec.parentRefs"},
		{"a finalizer", route, "{metadata: {finalizers: [a.b/c]}}", "metadata.finalizers"},
		{"an owner", route, "{metadata: {ownerReferences: [{apiVersion: v1, kind: Pod, name: a, uid: b}]}}", "metadata.ownerReferences"},
		{"another name", route, "{metadata: {name: other}}", "metadata.name"},
		{"another namespace", route, "{metadata: {namespace: other}}", "metadata.namespace"},
		{"another kind", route, "{kind: HTTPRoute}", "kind"},
		{"a label of Headgate's", route, "{metadata: {labels: {headgate.dev/name: other}}}", "metadata.labels.headgate.dev/name"},
		{"a label of Headgate's, taken away", route, "{metadata: {labels: null}}", "metadata.labels."},
		{"an annotation of Headgate's", route, "{metadata: {annotations: {headgate.dev/intent: other}}}", "metadata.annotations.headgate.dev/intent"},
		{"a name in DNS that is no host name of the spec", route, "{metadata: {annotations: {external-dns.alpha.kubernetes.io/hostname: bank.example.com}}}", "spec.hostnames of the ExposedService"},
		{"a label and an annotation", route, "{metadata: {labels: {team: a}, annotations: {external-dns.alpha.kubernetes.io/ttl: '60'}}}", ""},
		{"another target", policy, "{spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: public}]}}", "spec.targetRefs"},
		{"targets by labels", policy, "{spec: {targetSelectors: [{kind: Gateway}]}}", "spec.targetSelectors"},
		{"a route to Services", policy, "{spec: {routingType: Service}}", "spec.routingType"},
		{"another circuit breaker", policy, "{spec: {circuitBreaker: {maxConnections: 10}}}", ""},
		{"other patches", patch, "{spec: {jsonPatches: []}}", "spec.jsonPatches"},
		{"patches of another Gateway", patch, "{spec: {targetRef: {name: public}}}", "spec.targetRef"},
		{"the order of patches", patch, "{spec: {priority: 5}}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			said := problemOf(t, gateway.OverrideKinds(), c.kind, c.patch)
			switch {
			case c.refused == "" && said != "":
				t.Errorf("it is refused: %s", said)
			case c.refused != "" && !strings.Contains(said, c.refused):
				t.Errorf("it is said %q: want %s refused", said, c.refused)
			}
		})
	}
}

func TestOnlyKindsThatThePlatformAllowsAreOverridden(t *testing.T) {
	label := "{metadata: {labels: {team: a}}}"
	for _, kind := range gateway.OverrideKinds() {
		said := problemOf(t, gateway.DefaultOverrides(), kind, label)
		allowed := kind == v1alpha1.OverrideGRPCRoute || kind == v1alpha1.OverrideBackendTrafficPolicy
		want := "this cluster allows overrides of GRPCRoute, BackendTrafficPolicy only: remove it, or ask the cluster's owners to allow " + string(kind)
		if allowed != (said == "") || !allowed && !strings.Contains(said, want) {
			t.Errorf("%s by default: %q", kind, said)
		}
		if said := problemOf(t, []v1alpha1.OverrideKind{}, kind, label); !strings.Contains(said, "this cluster allows no overrides") {
			t.Errorf("%s where none is allowed: %q", kind, said)
		}
	}
}
