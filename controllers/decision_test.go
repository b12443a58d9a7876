package controllers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1alpha1 "sigs.k8s.io/mcs-api/pkg/apis/v1alpha1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/test/shop"
)

func (w *world) routeWeights(exs *v1alpha1.ExposedService) ([]string, error) {
	route := &gwapiv1.GRPCRoute{ObjectMeta: metav1.ObjectMeta{Name: exs.Name, Namespace: exs.Namespace}}
	if err := w.read(route); err != nil {
		return nil, err
	}
	var out []string
	for _, ref := range route.Spec.Rules[0].BackendRefs {
		out = append(out, fmt.Sprintf("%s %d", ref.Name, ptr.Deref(ref.Weight, 1)))
	}
	return out, nil
}

// untilRouteHas waits until the route has these among its weights.
func (w *world) untilRouteHas(exs *v1alpha1.ExposedService, want ...string) {
	w.t.Helper()
	w.eventually("the route follows", func() error {
		weights, err := w.routeWeights(exs)
		if err != nil {
			return err
		}
		for _, weight := range want {
			if !slices.Contains(weights, weight) {
				return fmt.Errorf("weights are %v", weights)
			}
		}
		return nil
	})
}

func TestDecisionIsFollowed(t *testing.T) {
	t.Parallel()
	for _, shape := range []struct {
		name       string
		controller gwapiv1.GatewayController
		want       []string
	}{
		{"one cluster", gateway.EnvoyGatewayController, []string{"greeter-primary-gw 0", "greeter-backup-gw 1000000"}},
		{"portable", "example.com/other", []string{"primary-svc 0", "backup-svc 1000000"}},
	} {
		t.Run(shape.name, func(t *testing.T) {
			w := newWorld(t).withBackends()
			class := w.gatewayClass()
			class.Spec.ControllerName = shape.controller
			w.create(class)
			w.dataPlane = startDataPlane(w)
			o := w.startOperator()
			exs := w.exposedService("greeter")
			w.create(exs)
			w.eventually("the route is there", func() error { _, err := w.routeWeights(exs); return err })
			w.untilQuiet(o)
			before := len(o.transport.written())

			w.setReady("primary-svc", false)
			w.untilRouteHas(exs, shape.want...)
			w.untilQuiet(o)
			routeWrites := 0
			for _, write := range o.transport.written()[before:] {
				if strings.Contains(write, "/grpcroutes/") {
					routeWrites++
				}
			}
			t.Logf("%d writes of the route", routeWrites)
			if shape.name == "portable" && routeWrites < 2 {
				t.Errorf("the weights moved in %d writes: a backend with a cluster of its own needs two", routeWrites)
			}

			if err := w.read(exs); err != nil {
				t.Fatal(err)
			}
			status := exs.Status
			if status.Active != "backup" || status.Traffic.Reason != v1alpha1.DecisionSwitchedToBackup || len(status.History) < 2 {
				t.Errorf("the status says: %s serves, %+v, history %+v", status.Active, status.Traffic, status.History)
			}
			if primary := status.Backends[0]; primary.Health != v1alpha1.BackendDown || primary.Ready == nil || *primary.Ready != 0 {
				t.Errorf("the primary's status is %+v", primary)
			}
			if condition := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionFailedOver); condition == nil || condition.Status != metav1.ConditionTrue {
				t.Errorf("the condition FailedOver is %+v", condition)
			}
		})
	}
}

// TestServiceImport: the kind comes while Headgate runs, and its EndpointSlices are mirrored.
func TestServiceImport(t *testing.T) {
	w := newWorld(t).withDataPlane().withBackends()
	w.startOperator()
	exs := w.exposedService("greeter", backends(
		shop.ServiceBackend("primary", "primary-svc"),
		v1alpha1.Backend{Name: "far", ServiceImport: &v1alpha1.ServiceImportBackend{Name: "greeter", Port: 50051}},
	))
	w.create(exs)
	w.untilNotAccepted(exs, v1alpha1.ReasonBackendNotFound, "ServiceImport", w.namespace+"/greeter")

	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/mcs-api").Output()
	if err != nil {
		t.Fatalf("find the module of the Multi-Cluster Services API: %v", err)
	}
	crd := filepath.Join(strings.TrimSpace(string(dir)), "config", "crd", "multicluster.x-k8s.io_serviceimports.yaml")
	options := envtest.CRDInstallOptions{Paths: []string{crd}, ErrorIfPathMissing: true}
	if _, err := envtest.InstallCRDs(w.config, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := envtest.UninstallCRDs(w.config, options); err != nil {
			t.Error(err)
		}
		// The next test's operator must not be told of a kind that is about to go.
		untilNotServed(t, w.config, mcsv1alpha1.GroupVersion.String())
	})
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	kube, err := client.New(w.config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	err = kube.Create(t.Context(), &mcsv1alpha1.ServiceImport{
		ObjectMeta: metav1.ObjectMeta{Name: "greeter", Namespace: w.namespace},
		Spec: mcsv1alpha1.ServiceImportSpec{
			Type: mcsv1alpha1.ClusterSetIP, Ports: []mcsv1alpha1.ServicePort{{Name: "grpc", Port: 50051, Protocol: corev1.ProtocolTCP}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	slice := w.slice("imported-greeter", "10.9.0.1", "10.9.0.2")
	slice.Labels = map[string]string{mcsv1alpha1.LabelServiceName: "greeter"}
	w.create(slice)
	w.untilReady(exs)
	w.eventually("the import stands by", func() error {
		if err := w.read(exs); err != nil {
			return err
		}
		if exs.Status.Failover.Fallback != "far" || exs.Status.Backends[1].Ready == nil || *exs.Status.Backends[1].Ready != 2 {
			return fmt.Errorf("status is %+v %+v", exs.Status.Failover, exs.Status.Backends)
		}
		return nil
	})
}

// untilNotServed waits until the API server no longer announces a group and version.
func untilNotServed(t *testing.T, config *rest.Config, groupVersion string) {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := apiserver.Poll(context.Background(), patience, func() error {
		switch _, err := client.ServerResourcesForGroupVersion(groupVersion); {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		}
		return errors.New("it is still announced")
	}); err != nil {
		t.Errorf("%s goes: %v", groupVersion, err)
	}
}

// TestHealthCheckComesFromTheProbesOfThePods: only what every pod can answer is asked.
func TestHealthCheckComesFromTheProbesOfThePods(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane()
	o := w.startOperator()
	pods := map[string]*corev1.Pod{}
	for _, name := range []string{"primary-svc", "backup-svc"} {
		slice := w.slice(name)
		for i := range 5 {
			pod := w.pod(fmt.Sprintf("%s-%d", name, i), name, ptr.To("greeter"))
			w.create(pod)
			pods[pod.Name] = pod
			slice.Endpoints = append(slice.Endpoints, endpointOf(pod, fmt.Sprintf("10.3.%d.%d", len(name), i)))
		}
		w.create(w.service(name), slice)
	}
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	w.eventually("the health check", func() error { return w.healthCheckIs(exs, ptr.To("greeter")) })
	w.untilQuiet(o)

	// One more pod, without a probe: asking it would call it dead.
	silent := w.pod("silent", "backup-svc", nil)
	w.create(silent)
	edit(w, w.slice("backup-svc"), func(s *discoveryv1.EndpointSlice) { s.Endpoints = append(s.Endpoints, endpointOf(silent, "10.3.9.9")) })
	w.eventually("no health check", func() error { return w.healthCheckIs(exs, nil) })

	// It goes again.
	edit(w, w.slice("backup-svc"), func(s *discoveryv1.EndpointSlice) { s.Endpoints = s.Endpoints[:5] })
	w.eventually("the health check is back", func() error { return w.healthCheckIs(exs, ptr.To("greeter")) })
}

func (w *world) pod(name, app string, probeService *string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace, Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "server", Image: "example.com/server"}}},
	}
	if probeService != nil {
		pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			GRPC: &corev1.GRPCAction{Port: 50051, Service: probeService},
		}}
	} else {
		pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(50051)},
		}}
	}
	return pod
}

func endpointOf(pod *corev1.Pod, address string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{
		Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
	}
}

func (w *world) healthCheckIs(exs *v1alpha1.ExposedService, want *string) error {
	policy := &egv1a1.BackendTrafficPolicy{ObjectMeta: metav1.ObjectMeta{Name: exs.Name, Namespace: exs.Namespace}}
	if err := w.read(policy); err != nil {
		return err
	}
	var have *string
	if check := policy.Spec.HealthCheck.Active; check != nil {
		have = ptr.To(ptr.Deref(check.GRPC.Service, ""))
	}
	if !ptr.Equal(have, want) {
		return fmt.Errorf("the health check asks for %q, want %q", ptr.Deref(have, "nothing"), ptr.Deref(want, "nothing"))
	}
	return nil
}
