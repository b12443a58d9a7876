package kube

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/metrics"
	"github.com/headgate/headgate/gateway"
)

// rewriter answers applies as an API server does that has an admission webhook: version by version.
type rewriter struct {
	applies int
	// rewrite changes what is stored; nil: nothing is.
	rewrite func(*corev1.Service)
	stored  *corev1.Service
}

func (r *rewriter) objects(t *testing.T) (Objects, *events.FakeRecorder) {
	t.Helper()
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	kube := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).Build(), interceptor.Funcs{
		Patch: func(_ context.Context, _ client.WithWatch, object client.Object, patch client.Patch, _ ...client.PatchOption) error {
			r.applies++
			body, err := patch.Data(object)
			if err != nil {
				return err
			}
			service := object.(*corev1.Service)
			if err := json.Unmarshal(body, service); err != nil {
				return err
			}
			if r.rewrite != nil {
				r.rewrite(service)
			}
			service.UID, service.ResourceVersion = "u", strings.Repeat("1", r.applies)
			r.stored = service.DeepCopy()
			return nil
		},
	})
	recorder := events.NewFakeRecorder(20)
	return Objects{Client: kube, Metrics: metrics.New(), Events: Events{Recorder: recorder}, Settled: NewSettled()}, recorder
}

// run is one run of a reconciler, which reads what is stored and applies.
func (r *rewriter) run(t *testing.T, o Objects, service *corev1.Service) {
	t.Helper()
	i := o.NewInventory(testOwner())
	if r.stored != nil {
		i.live[KindService.Ref(service)] = r.stored.DeepCopy()
	}
	if err := i.Apply(t.Context(), KindService, service); err != nil {
		t.Fatal(err)
	}
}

func testOwner() *v1alpha1.ExposedService {
	return &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter", UID: "1"}}
}

func ownService(port int32) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter-primary-gw"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "greeter"}, Ports: []corev1.ServicePort{{Name: "grpc", Port: port}}},
	}
}

func eventsOf(recorder *events.FakeRecorder) (out []string) {
	for len(recorder.Events) > 0 {
		out = append(out, <-recorder.Events)
	}
	return out
}

func TestWhatTheClusterRewritesIsSaidOnceAndLeft(t *testing.T) {
	server := &rewriter{rewrite: func(s *corev1.Service) { s.Spec.Selector["app"] = "rewritten" }}
	objects, recorder := server.objects(t)
	for range 5 {
		server.run(t, objects, ownService(50051))
		// Whatever else changes in the object is no reason to try again.
		server.stored.ResourceVersion += "0"
		server.stored.Annotations["other.example.com/seen"] = server.stored.ResourceVersion
	}
	if got := eventsOf(recorder); server.applies != 1 || len(got) != 1 || !strings.Contains(got[0], ReasonRewritten) || !strings.Contains(got[0], "spec.selector.app") {
		t.Errorf("%d applies, events %q", server.applies, got)
	}

	// Another intent is tried, and said.
	server.run(t, objects, ownService(50052))
	server.run(t, objects, ownService(50052))
	if got := eventsOf(recorder); server.applies != 2 || len(got) != 1 {
		t.Errorf("%d applies, events %q", server.applies, got)
	}

	// So is another change of the same field, after which the webhook is gone.
	server.rewrite = nil
	server.stored.Spec.Selector["app"] = "by hand"
	server.stored.ResourceVersion = "77"
	server.run(t, objects, ownService(50052))
	if got := eventsOf(recorder); server.applies != 3 || len(got) != 1 || !strings.Contains(got[0], ReasonDriftCorrected) || server.stored.Spec.Selector["app"] != "greeter" {
		t.Errorf("%d applies, events %q", server.applies, got)
	}
}

// first is a server that has a Service, or not, which the cache does not know, and answers applies with a version so.
func first(t *testing.T, there *corev1.Service, refuses func(version string) bool) ([]string, error) {
	t.Helper()
	scheme, schemeErr := NewScheme()
	if schemeErr != nil {
		t.Fatal(schemeErr)
	}
	server := fake.NewClientBuilder().WithScheme(scheme)
	if there != nil {
		server = server.WithObjects(there)
	}
	live := server.Build()
	var applied []string
	kube := interceptor.NewClient(live, interceptor.Funcs{
		Patch: func(_ context.Context, _ client.WithWatch, object client.Object, patch client.Patch, _ ...client.PatchOption) error {
			body, err := patch.Data(object)
			if err != nil {
				return err
			}
			service := object.(*corev1.Service)
			if err := json.Unmarshal(body, service); err != nil {
				return err
			}
			applied = append(applied, service.ResourceVersion)
			if refuses(service.ResourceVersion) {
				return apierrors.NewConflict(schema.GroupResource{Resource: "services"}, service.Name, errors.New("another version"))
			}
			return nil
		},
	})
	o := Objects{Client: kube, Reader: live, Metrics: metrics.New(), Events: Events{Recorder: events.NewFakeRecorder(20)}, Settled: NewSettled()}
	err := o.NewInventory(testOwner()).Apply(t.Context(), KindService, ownService(50051))
	return applied, err
}

func TestAFirstApplyTakesNothingOver(t *testing.T) {
	never := func(version string) bool { return version == neverTheVersion }
	theirs := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter-primary-gw"}}
	for name, c := range map[string]struct {
		there   *corev1.Service
		refuses func(string) bool
		want    []string
		taken   bool
	}{
		"the name is free":                       {refuses: func(string) bool { return false }, want: []string{neverTheVersion}},
		"the name is taken":                      {there: theirs, refuses: never, want: []string{neverTheVersion}, taken: true},
		"a server creates nothing with versions": {refuses: never, want: []string{neverTheVersion, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			applied, err := first(t, c.there, c.refuses)
			if !slices.Equal(applied, c.want) || IsConflict(err) != c.taken || (err != nil) != c.taken {
				t.Errorf("applied with %q: %v", applied, err)
			}
		})
	}
}

func TestWhatIsSettledIsComparedAgainWhenSomethingChanges(t *testing.T) {
	server := &rewriter{}
	objects, _ := server.objects(t)
	server.run(t, objects, ownService(50051))
	is := func() bool {
		i := objects.NewInventory(testOwner())
		asked, err := i.digest(ownService(50051))
		if err != nil {
			t.Fatal(err)
		}
		return objects.Settled.has(i.owner, KindService.Ref(server.stored), asked.with(server.stored))
	}
	if !is() {
		t.Error("what was just applied is not settled")
	}
	server.stored.ResourceVersion = "5"
	if is() {
		t.Error("another version is settled")
	}
	server.run(t, objects, ownService(50051))
	if !is() || server.applies != 1 {
		t.Errorf("the comparison is not remembered, %d applies", server.applies)
	}
	objects.Settled.Forget(client.ObjectKeyFromObject(testOwner()))
	if is() || len(objects.Settled.of) > 0 {
		t.Error("a deleted ExposedService is remembered")
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	s := NewSettled()
	for i := range 3 * mostSettled {
		s.note(testOwner(), gateway.Ref{Kind: "Service", Name: strings.Repeat("x", i)}, digest{1})
	}
	if n := len(s.of[client.ObjectKeyFromObject(testOwner())]); n != mostSettled {
		t.Errorf("%d are remembered", n)
	}
}

// BenchmarkARunThatChangesNothing applies the ten objects of an ExposedService that are as they are to be.
func BenchmarkARunThatChangesNothing(b *testing.B) {
	desired := tenObjects()
	owner := testOwner()
	live := map[gateway.Ref]client.Object{}
	for n, object := range desired {
		k, _ := KindOf(object)
		want, err := intent(owner, object)
		if err != nil {
			b.Fatal(err)
		}
		body, err := json.Marshal(want.Object)
		have := k.NewObject()
		if err != nil || json.Unmarshal(body, have) != nil {
			b.Fatal(err)
		}
		have.SetResourceVersion(strings.Repeat("1", n+1))
		live[k.Ref(object)] = have
	}
	for name, settled := range map[string]*Settled{"compared": nil, "remembered": NewSettled()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				i := &Inventory{Objects: Objects{Settled: settled}, owner: owner, live: live}
				for _, object := range desired {
					k, _ := KindOf(object)
					if err := i.Apply(b.Context(), k, object); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// tenObjects are as many, and about as large, as those of an ExposedService with an own Gateway and two backends.
func tenObjects() []gateway.Object {
	var out []gateway.Object
	for _, backend := range []string{"primary", "backup"} {
		service := ownService(50051)
		service.Name = "greeter-" + backend + "-gw"
		slice := &discoveryv1.EndpointSlice{
			TypeMeta:   metav1.TypeMeta{APIVersion: discoveryv1.SchemeGroupVersion.String(), Kind: "EndpointSlice"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: service.Name + "-placeholder"}, AddressType: discoveryv1.AddressTypeIPv4,
			Ports:     []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To[int32](1)}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false)}}},
		}
		out = append(out, service, slice)
	}
	group := gwapiv1.GroupVersion.String()
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}
	route := &gwapiv1.GRPCRoute{TypeMeta: metav1.TypeMeta{APIVersion: group, Kind: gateway.KindGRPCRoute}, ObjectMeta: meta}
	route.Spec.Hostnames = []gwapiv1.Hostname{"greeter.example.com"}
	for _, name := range []gwapiv1.ObjectName{"greeter-primary-gw", "greeter-backup-gw", "greeter-fallback"} {
		ref := gwapiv1.GRPCBackendRef{}
		ref.Name, ref.Weight = name, ptr.To[int32](1)
		route.Spec.Rules = append(route.Spec.Rules, gwapiv1.GRPCRouteRule{BackendRefs: []gwapiv1.GRPCBackendRef{ref}})
	}
	gw := &gwapiv1.Gateway{TypeMeta: metav1.TypeMeta{APIVersion: group, Kind: gateway.KindGateway}, ObjectMeta: meta}
	gw.Spec.Listeners = []gwapiv1.Listener{{Name: "grpc", Port: 80, Protocol: gwapiv1.HTTPProtocolType}}
	out = append(out, route, gw)
	eg := egv1a1.GroupVersion.String()
	fallback := &egv1a1.Backend{TypeMeta: metav1.TypeMeta{APIVersion: eg, Kind: gateway.KindBackend}, ObjectMeta: meta}
	for range 3 {
		fallback.Spec.Endpoints = append(fallback.Spec.Endpoints, egv1a1.BackendEndpoint{IP: &egv1a1.IPEndpoint{Address: "10.1.0.1", Port: 50051}})
	}
	return append(out, fallback,
		&egv1a1.EnvoyProxy{TypeMeta: metav1.TypeMeta{APIVersion: eg, Kind: gateway.KindEnvoyProxy}, ObjectMeta: meta},
		&egv1a1.EnvoyPatchPolicy{TypeMeta: metav1.TypeMeta{APIVersion: eg, Kind: gateway.KindEnvoyPatchPolicy}, ObjectMeta: meta},
		&egv1a1.BackendTrafficPolicy{TypeMeta: metav1.TypeMeta{APIVersion: eg, Kind: gateway.KindBackendTrafficPolicy}, ObjectMeta: meta})
}
