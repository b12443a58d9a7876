package gateway_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// input is a golden input: an ExposedService and the cluster that it is expanded in. Services and
// EndpointSlices are given as they stand in the cluster; which backend they belong to is found by
// name, as the controller does it.
type input struct {
	ExposedService v1alpha1.ExposedService `json:"exposedService"`
	GatewayClass   *gwapiv1.GatewayClass   `json:"gatewayClass,omitempty"`
	// ClassProxy is the EnvoyProxy of the class.
	ClassProxy      *egv1a1.EnvoyProxy            `json:"classProxy,omitempty"`
	GatewayPolicies []egv1a1.BackendTrafficPolicy `json:"gatewayPolicies,omitempty"`
	LiveRoute       *gwapiv1.GRPCRoute            `json:"liveRoute,omitempty"`
	Gateway         *gwapiv1.Gateway              `json:"gateway,omitempty"`
	Capabilities    gateway.Capabilities          `json:"capabilities,omitempty"`
	// OverrideKinds are those that the platform allows; nil: the default.
	OverrideKinds   []v1alpha1.OverrideKind     `json:"overrideKinds,omitempty"`
	Services        []corev1.Service            `json:"services,omitempty"`
	EndpointSlices  []discoveryv1.EndpointSlice `json:"endpointSlices,omitempty"`
	ReferenceGrants []gwapiv1.ReferenceGrant    `json:"referenceGrants,omitempty"`
	Probes          map[string]gateway.Probe    `json:"probes,omitempty"`
	Addresses       map[string][]string         `json:"addresses,omitempty"`
	// Refused says by the backends\' names why their hosts must not be called.
	Refused         map[string]string           `json:"refused,omitempty"`
	Imports         map[string]gateway.Import   `json:"imports,omitempty"`
	Canary          *v1alpha1.ServiceBackend    `json:"canary,omitempty"`
	LiveWeights     map[string]int32            `json:"liveWeights,omitempty"`
	RouteAccepted   bool                        `json:"routeAccepted,omitempty"`
	LiveStandby     []string                    `json:"liveStandby,omitempty"`
	LiveHosts       map[string]gateway.LiveHost `json:"liveHosts,omitempty"`
	ProxyFamilies   []corev1.IPFamily           `json:"proxyFamilies,omitempty"`
	LiveHealthCheck *string                     `json:"liveHealthCheck,omitempty"`
	// NewServices are the backends whose own Service was made a moment ago.
	NewServices []string `json:"newServices,omitempty"`
}

func (in *input) facts() gateway.Facts {
	facts := gateway.Facts{
		Class: in.GatewayClass, ClassProxy: in.ClassProxy, GatewayPolicies: in.GatewayPolicies, LiveRoute: in.LiveRoute, Gateway: in.Gateway, Capabilities: in.Capabilities,
		Backends: map[string]gateway.BackendFacts{}, Grants: in.ReferenceGrants,
		LiveWeights: in.LiveWeights, RouteAccepted: in.RouteAccepted, LiveStandby: in.LiveStandby, LiveHealthCheck: in.LiveHealthCheck,
		LiveHosts: in.LiveHosts, ProxyFamilies: in.ProxyFamilies,
	}
	facts.Platform.Overrides = in.OverrideKinds
	if in.OverrideKinds == nil {
		facts.Platform.Overrides = gateway.DefaultOverrides()
	}
	exs := &in.ExposedService
	backends := exs.Spec.Backends
	if in.Canary != nil {
		facts.Canary = in.Canary
		backends = append(slices.Clip(backends), v1alpha1.Backend{Name: v1alpha1.CanaryName, Service: in.Canary})
	}
	for _, backend := range backends {
		have := gateway.BackendFacts{
			Probe: in.Probes[backend.Name], Addresses: in.Addresses[backend.Name], Refused: in.Refused[backend.Name],
			OwnServiceIsNew: slices.Contains(in.NewServices, backend.Name),
		}
		if backend.Service != nil {
			namespace := exs.Namespace
			if backend.Service.Namespace != nil {
				namespace = *backend.Service.Namespace
			}
			have.Service, have.Slices = in.service(namespace, backend.Service.Name)
			have.OwnService, have.OwnSlices = in.service(exs.Namespace, gateway.ServiceName(exs, backend.Name))
		}
		if backend.ServiceImport != nil {
			if found, ok := in.Imports[backend.ServiceImport.Name]; ok {
				have.Import = &found
			}
			have.Slices = in.slices(exs.Namespace, "multicluster.kubernetes.io/service-name", backend.ServiceImport.Name)
			have.OwnService, have.OwnSlices = in.service(exs.Namespace, gateway.ServiceName(exs, backend.Name))
		}
		facts.Backends[backend.Name] = have
	}
	if gateway.Slotted(exs) {
		facts.Slots = map[v1alpha1.Slot]gateway.SlotFacts{}
		for _, slot := range []v1alpha1.Slot{v1alpha1.SlotBlue, v1alpha1.SlotGreen} {
			have := gateway.SlotFacts{Probe: in.Probes[string(slot)]}
			have.Service, have.Slices = in.service(exs.Namespace, gateway.SlotServiceName(exs, slot))
			facts.Slots[slot] = have
		}
	}
	return facts
}

func (in *input) service(namespace, name string) (service *corev1.Service, slices []discoveryv1.EndpointSlice) {
	for i := range in.Services {
		if in.Services[i].Namespace == namespace && in.Services[i].Name == name {
			service = &in.Services[i]
		}
	}
	return service, in.slices(namespace, discoveryv1.LabelServiceName, name)
}

func (in *input) slices(namespace, label, value string) (slices []discoveryv1.EndpointSlice) {
	for _, slice := range in.EndpointSlices {
		if slice.Namespace == namespace && slice.Labels[label] == value {
			slices = append(slices, slice)
		}
	}
	return slices
}

// verdict is the part of an Expansion that is not objects.
type verdict struct {
	Blocked         bool                     `json:"blocked,omitempty"`
	Unfinished      bool                     `json:"unfinished,omitempty"`
	Problems        []gateway.Problem        `json:"problems,omitempty"`
	Ignored         []string                 `json:"ignored,omitempty"`
	Kept            []gateway.Ref            `json:"kept,omitempty"`
	Failover        v1alpha1.FailoverStatus  `json:"failover"`
	FailoverReason  v1alpha1.Reason          `json:"failoverReason"`
	FailoverMessage string                   `json:"failoverMessage"`
	Backends        []v1alpha1.BackendStatus `json:"backends"`
}

func render(t *testing.T, out gateway.Expansion) []byte {
	t.Helper()
	var buffer bytes.Buffer
	write := func(value any) {
		text, err := yaml.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		buffer.Write(text)
	}
	write(verdict{out.Blocked, out.Unfinished, out.Problems, out.Ignored, out.Kept, out.Failover, out.FailoverReason, out.FailoverMessage, out.Backends})
	for _, object := range out.Objects {
		buffer.WriteString("---\n")
		write(object)
	}
	return buffer.Bytes()
}

// TestGolden compares what each testdata/*.in.yaml becomes with its *.out.yaml.
// `go test ./gateway -update` writes them anew.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs in testdata: %v", err)
	}
	for _, path := range inputs {
		name := strings.TrimSuffix(filepath.Base(path), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := readInput(t, path)
			got := render(t, gateway.Resolve(&in.ExposedService, in.facts()).Expand())
			golden := strings.TrimSuffix(path, ".in.yaml") + ".out.yaml"
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s differs (-want +got); if that is right, run: go test ./gateway -update\n%s", golden, diff)
			}
		})
	}
}

func readInput(t *testing.T, path string) *input {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var in input
	if err := yaml.UnmarshalStrict(text, &in); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return &in
}
