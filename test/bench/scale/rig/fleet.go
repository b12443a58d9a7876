package rig

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

const (
	// namespaces is over how many the fleet is spread.
	namespaces = 10
	// othersNamespace is of the EndpointSlices that nobody exposes.
	othersNamespace = "others"
	className       = "envoy-gateway"
	port            = 50051
	// writers is how many objects are written at once.
	writers = 16
	// Primary and Backup are the backends of each ExposedService.
	Primary, Backup = "primary", "backup"
)

// Fleet are ExposedServices, numbered from 0, each with a Gateway of its own and two backends with a pod each. It writes what
// users and the cluster's controllers would.
type Fleet struct {
	// Headless: the backends' Services have no ClusterIP.
	Headless bool

	kube client.Client
	// own: Headgate's Services have EndpointSlices as well.
	own bool
}

// NewFleet makes the namespaces and the GatewayClass.
func (s *APIServer) NewFleet(ctx context.Context) (*Fleet, error) {
	kube, err := s.Client()
	if err != nil {
		return nil, err
	}
	f := &Fleet{kube: kube}
	names := []string{othersNamespace}
	for i := range namespaces {
		names = append(names, namespaceOf(i))
	}
	for _, name := range names {
		if err := kube.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return nil, fmt.Errorf("make namespace %s: %w", name, err)
		}
	}
	class := &gwapiv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: className}, Spec: gwapiv1.GatewayClassSpec{ControllerName: gateway.EnvoyGatewayController},
	}
	if err := kube.Create(ctx, class); err != nil {
		return nil, fmt.Errorf("make the GatewayClass: %w", err)
	}
	return f, nil
}

func namespaceOf(number int) string { return fmt.Sprintf("shop-%d", number%namespaces) }

func nameOf(number int) string { return fmt.Sprintf("greeter-%05d", number) }

// numberOf is the number in a name of nameOf.
func numberOf(name string) (number int, ok bool) {
	_, err := fmt.Sscanf(name, "greeter-%05d", &number)
	return number, err == nil
}

func serviceOf(number int, backend string) string { return nameOf(number) + "-" + backend }

// AddBackends makes the Services, pods and EndpointSlices of those from one number to before another.
func (f *Fleet) AddBackends(ctx context.Context, from, to int) error {
	return each(ctx, from, to, func(ctx context.Context, i int) error {
		for b, backend := range []string{Primary, Backup} {
			pod := podOf(i, backend)
			service := serviceFor(i, backend)
			if f.Headless {
				service.Spec.ClusterIP = corev1.ClusterIPNone
			}
			if err := f.create(ctx, service, pod); err != nil {
				return err
			}
			if err := f.create(ctx, sliceFor(i, b, backend, pod.UID, true)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Expose makes the ExposedServices.
func (f *Fleet) Expose(ctx context.Context, from, to int) error {
	return each(ctx, from, to, func(ctx context.Context, i int) error { return f.create(ctx, exposedService(i)) })
}

// AddOwnSlices makes for the Services that Headgate has made what the cluster's controller makes of them. From then on SetPrimary
// writes both EndpointSlices of a pod.
func (f *Fleet) AddOwnSlices(ctx context.Context, from, to int) error {
	f.own = true
	return each(ctx, from, to, func(ctx context.Context, i int) error {
		for b, backend := range []string{Primary, Backup} {
			theirs := &discoveryv1.EndpointSlice{}
			if err := f.kube.Get(ctx, types.NamespacedName{Namespace: namespaceOf(i), Name: sliceName(i, backend)}, theirs); err != nil {
				return err
			}
			ours := newSlice(namespaceOf(i), ownSliceName(i, backend), ownService(nameOf(i), backend))
			ours.Endpoints = []discoveryv1.Endpoint{endpoint(2*i+b, namespaceOf(i), serviceOf(i, backend)+"-0", theirs.Endpoints[0].TargetRef.UID, true)}
			if err := f.create(ctx, ours); err != nil {
				return err
			}
		}
		return nil
	})
}

// SetPrimary has the pod of the primary of one become ready or unready.
func (f *Fleet) SetPrimary(ctx context.Context, number int, ready bool) error {
	names := []string{sliceName(number, Primary)}
	if f.own {
		names = append(names, ownSliceName(number, Primary))
	}
	patch := fmt.Appendf(nil, `[{"op":"replace","path":"/endpoints/0/conditions","value":{"ready":%t,"serving":%t,"terminating":false}}]`, ready, ready)
	return each(ctx, 0, len(names), func(ctx context.Context, i int) error {
		slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: namespaceOf(number), Name: names[i]}}
		if err := f.kube.Patch(ctx, slice, client.RawPatch(types.JSONPatchType, patch)); err != nil {
			return fmt.Errorf("make the primary of %s ready=%t: %w", nameOf(number), ready, err)
		}
		return nil
	})
}

// SetPrimaries does that for several at once.
func (f *Fleet) SetPrimaries(ctx context.Context, numbers []int, ready bool) error {
	return each(ctx, 0, len(numbers), func(ctx context.Context, i int) error { return f.SetPrimary(ctx, numbers[i], ready) })
}

// AddOthers makes EndpointSlices of Services that nobody exposes, with five endpoints each.
func (f *Fleet) AddOthers(ctx context.Context, count int) error {
	const endpoints = 5
	return each(ctx, 0, count, func(ctx context.Context, i int) error {
		name := fmt.Sprintf("other-%05d", i)
		slice := newSlice(othersNamespace, name+"-abc12", name)
		for e := range endpoints {
			pod := fmt.Sprintf("%s-%d", name, e)
			slice.Endpoints = append(slice.Endpoints, endpoint(i*endpoints+e, othersNamespace, pod, types.UID("uid-of-"+pod), true))
		}
		return f.create(ctx, slice)
	})
}

func (f *Fleet) create(ctx context.Context, objects ...client.Object) error {
	for _, object := range objects {
		if err := f.kube.Create(ctx, object); err != nil {
			return fmt.Errorf("make %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}

// each calls a function with each number, several at once.
func each(ctx context.Context, from, to int, f func(context.Context, int) error) error {
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := from; i < to && working.Err() == nil; i++ {
		group.Go(func() error { return f(working, i) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// exposedService comes back to its primary quickly, and as often as a measurement takes it away.
func exposedService(number int) *v1alpha1.ExposedService {
	second := v1alpha1.LongDuration("1s")
	exs := &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespaceOf(number), Name: nameOf(number)},
		Spec: v1alpha1.ExposedServiceSpec{
			Hostnames: []v1alpha1.Hostname{v1alpha1.Hostname(nameOf(number) + ".example.com")},
			Gateway:   &v1alpha1.Gateway{ClassName: ptr.To(className)},
			Failover: &v1alpha1.Failover{
				Recovery:           &v1alpha1.Recovery{HealthyFor: &second, Ramp: []int32{100}, RampInterval: &second},
				MaxSwitchesPerHour: ptr.To(int32(60)),
			},
		},
	}
	for _, backend := range []string{Primary, Backup} {
		exs.Spec.Backends = append(exs.Spec.Backends, v1alpha1.Backend{
			Name: backend, Service: &v1alpha1.ServiceBackend{Name: serviceOf(number, backend), Port: port},
		})
	}
	return exs
}

func serviceFor(number int, backend string) *corev1.Service {
	name := serviceOf(number, backend)
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespaceOf(number), Name: name},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Name: "grpc", Port: port, TargetPort: intstr.FromInt32(port)}},
		},
	}
}

// podOf declares a gRPC probe, as pods of gRPC servers do.
func podOf(number int, backend string) *corev1.Pod {
	name := serviceOf(number, backend)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespaceOf(number), Name: name + "-0", Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "greeter", Image: "greeter",
			ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: port}}},
		}}},
	}
}

func sliceName(number int, backend string) string { return serviceOf(number, backend) + "-abc12" }

// ownService is Headgate's own Service for a backend.
func ownService(name, backend string) string { return name + "-" + backend + "-gw" }

func ownSliceName(number int, backend string) string {
	return ownService(nameOf(number), backend) + "-abc12"
}

// sliceFor is what the cluster's controller makes of a Service with one pod.
func sliceFor(number, index int, backend string, pod types.UID, ready bool) *discoveryv1.EndpointSlice {
	out := newSlice(namespaceOf(number), sliceName(number, backend), serviceOf(number, backend))
	out.Endpoints = []discoveryv1.Endpoint{endpoint(2*number+index, namespaceOf(number), serviceOf(number, backend)+"-0", pod, ready)}
	return out
}

func newSlice(namespace, name, service string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, GenerateName: service + "-",
			Labels: map[string]string{
				discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io",
			},
			Annotations: map[string]string{corev1.EndpointsLastChangeTriggerTime: "2026-01-01T00:00:00Z"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To(int32(port)), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
}

// endpoint has an address of its own for each number, in 10.128.0.0/9.
func endpoint(number int, namespace, pod string, uid types.UID, ready bool) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{
		Addresses:  []string{fmt.Sprintf("10.%d.%d.%d", 128+number>>16, number>>8&255, number&255)},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready, Terminating: ptr.To(false)},
		NodeName:   ptr.To(fmt.Sprintf("node-%d", number%100)),
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: pod, UID: uid},
	}
}
