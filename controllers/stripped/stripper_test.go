package stripped

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/gateway"
)

func TestAStrippedSliceHasWhatIsRead(t *testing.T) {
	got := strip(t, New().StripSlice, fullSlice("shop", "greeter-x1", 2)).(*discoveryv1.EndpointSlice)
	want := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "greeter-x1", UID: "uid-greeter-x1", ResourceVersion: "12", Generation: 3,
			CreationTimestamp: metav1.NewTime(time.Unix(1000, 0)),
			Labels:            map[string]string{discoveryv1.LabelServiceName: "greeter", discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{
			Name: ptr.To("grpc"), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To[int32](50051), AppProtocol: ptr.To("kubernetes.io/h2c"),
		}},
	}
	for i := range 2 {
		want.Endpoints = append(want.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.1.0.%d", i)},
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(true), Terminating: ptr.To(false)},
			TargetRef: &corev1.ObjectReference{
				Kind: "Pod", Namespace: "shop", Name: fmt.Sprintf("greeter-7c5f8d9b6d-x1x%d", i), UID: types.UID(fmt.Sprintf("f81d4fae-7dec-11d0-a765-00a0c91e6b%02d", i)),
			},
			NodeName: ptr.To("node-1"), Zone: ptr.To("zone-a"),
		})
	}
	if !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestAStrippedServiceHasWhatIsRead(t *testing.T) {
	got := strip(t, New().StripService, fullService("shop", "greeter")).(*corev1.Service)
	want := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "greeter", UID: "uid-greeter", ResourceVersion: "12", Generation: 3,
			CreationTimestamp: metav1.NewTime(time.Unix(1000, 0)), Labels: map[string]string{v1alpha1.LabelManagedBy: "Helm"},
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": "greeter"}, PublishNotReadyAddresses: true,
			Ports: []corev1.ServicePort{{
				Name: "grpc", Protocol: corev1.ProtocolTCP, AppProtocol: ptr.To("kubernetes.io/h2c"), Port: 50051, TargetPort: intstr.FromString("grpc"),
			}},
			ClusterIP: "10.0.0.1", ClusterIPs: []string{"10.0.0.1"}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			IPFamilyPolicy: ptr.To(corev1.IPFamilyPolicySingleStack), ExternalName: "elsewhere.example.com",
		},
	}
	if !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestAStrippedDeploymentKeepsItsTemplateAndOwners(t *testing.T) {
	deployment := fullDeployment("shop", "greeter")
	deployment.OwnerReferences = []metav1.OwnerReference{{Kind: "Application", Name: "greeter", Controller: ptr.To(true)}}
	deployment.Status = appsv1.DeploymentStatus{Replicas: 2, ObservedGeneration: 3, Conditions: []appsv1.DeploymentCondition{{Message: "long"}}}
	want := deployment.DeepCopy()
	want.Annotations, want.Finalizers, want.GenerateName, want.Status.Conditions = nil, nil, "", nil
	want.Labels = map[string]string{v1alpha1.LabelManagedBy: "Helm"}
	got := strip(t, New().StripDeployment, deployment).(*appsv1.Deployment)
	if len(got.Spec.Template.Spec.Containers) > 0 {
		t.Error("its template is not packed")
	}
	// A cache may strip again what it has.
	if again := strip(t, New().StripDeployment, got.DeepCopy()); !equality.Semantic.DeepEqual(again, got) {
		t.Errorf("once %+v\nagain %+v", got, again)
	}
	read := got.DeepCopy()
	for range 2 {
		if err := Unpack(read); err != nil {
			t.Fatal(err)
		}
		if !equality.Semantic.DeepEqual(read, want) {
			t.Errorf("got %+v\nwant %+v", read, want)
		}
	}
	if len(got.Spec.Template.Spec.Containers) > 0 || got.Annotations[annotationTemplate] == "" {
		t.Error("what is in the cache was unpacked")
	}
}

// What somebody writes into the annotation is not taken for a template.
func TestOnlyAPackedDeploymentIsUnpacked(t *testing.T) {
	deployment := fullDeployment("shop", "greeter")
	deployment.Annotations = map[string]string{annotationTemplate: "\x00 nonsense"}
	want := deployment.DeepCopy()
	if err := Unpack(deployment); err != nil || !equality.Semantic.DeepEqual(deployment, want) {
		t.Errorf("it is %+v (%v)", deployment, err)
	}
	got := strip(t, New().StripDeployment, deployment).(*appsv1.Deployment)
	if err := Unpack(got); err != nil || !equality.Semantic.DeepEqual(got.Spec.Template, want.Spec.Template) {
		t.Errorf("its template is %+v (%v)", got.Spec.Template, err)
	}
	if err := Unpack(nil); err != nil {
		t.Error(err)
	}
}

// What Headgate has made is compared with what it is to be: of it nothing may be missing but who owns its fields.
func TestOwnObjectsKeepEveryField(t *testing.T) {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter", UID: "1"}}
	labels := map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOwnerName: "greeter", v1alpha1.LabelOwnerNamespace: "shop"}
	s := New()
	for name, mark := range map[string]func(client.Object){
		"owner": func(o client.Object) {
			o.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(exs, v1alpha1.GroupVersion.WithKind(v1alpha1.KindExposedService))})
		},
		"intent": func(o client.Object) {
			o.SetAnnotations(map[string]string{v1alpha1.AnnotationIntent: "x", "note": "y"})
		},
		"labels": func(o client.Object) {
			own := maps.Clone(labels)
			if _, ok := o.(*discoveryv1.EndpointSlice); ok {
				own[discoveryv1.LabelManagedBy] = gateway.SliceManager
			}
			o.SetLabels(own)
		},
	} {
		for _, c := range []struct {
			object client.Object
			strip  cache.TransformFunc
		}{
			{fullSlice("shop", "greeter-primary-gw-x", 3), s.StripSlice},
			{fullService("shop", "greeter-primary-gw"), s.StripService},
			{&gwapiv1.GRPCRoute{ObjectMeta: fullMeta("shop", "greeter"), Spec: gwapiv1.GRPCRouteSpec{Hostnames: []gwapiv1.Hostname{"a"}}}, s.Strip},
		} {
			t.Run(fmt.Sprintf("%s of %T", name, c.object), func(t *testing.T) {
				mark(c.object)
				want := c.object.DeepCopyObject().(client.Object)
				want.SetManagedFields(nil)
				if got := strip(t, c.strip, c.object); !equality.Semantic.DeepEqual(got, want) {
					t.Errorf("got %+v\nwant %+v", got, want)
				}
			})
		}
	}
}

// The cluster copies the labels of our Services to the slices that it makes for them.
func TestSlicesOfOurServicesAreStripped(t *testing.T) {
	slice := fullSlice("shop", "greeter-primary-gw-abc", 1)
	slice.Labels[v1alpha1.LabelManagedBy], slice.Labels[v1alpha1.LabelOwnerName] = v1alpha1.ManagedBy, "greeter"
	got := strip(t, New().StripSlice, slice)
	if got.GetAnnotations() != nil || got.GetLabels()[v1alpha1.LabelOwnerName] != "greeter" {
		t.Errorf("got %+v", got)
	}
}

func TestWhatKubectlAppliedLastIsNotKept(t *testing.T) {
	exs := &v1alpha1.ExposedService{ObjectMeta: fullMeta("shop", "greeter")}
	exs.Annotations[v1alpha1.AnnotationApprove] = "yes"
	strip(t, New().Strip, exs)
	if want := map[string]string{v1alpha1.AnnotationApprove: "yes"}; !maps.Equal(exs.Annotations, want) || exs.ManagedFields != nil {
		t.Errorf("annotations %v, fields %v", exs.Annotations, exs.ManagedFields)
	}
}

func TestWhatIsNoObjectPassesTheStripper(t *testing.T) {
	s, lost := New(), cache.DeletedFinalStateUnknown{Key: "shop/greeter"}
	for _, f := range []cache.TransformFunc{s.Strip, s.StripService, s.StripSlice} {
		if got, err := f(lost); err != nil || got != any(lost) {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

// Whose an object is, and to whom it leads, is the same before and after; and a second time nothing changes.
func TestStrippingChangesNoOwner(t *testing.T) {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter", UID: "1"}}
	s := New()
	rapid.Check(t, func(t *rapid.T) {
		var object client.Object = fullSlice("shop", "greeter-x", rapid.IntRange(0, 3).Draw(t, "endpoints"))
		transform := s.StripSlice
		if rapid.Bool().Draw(t, "service") {
			object, transform = fullService("shop", "greeter-x"), s.StripService
		}
		object.SetLabels(rapid.MapOf(rapid.SampledFrom([]string{
			v1alpha1.LabelManagedBy, v1alpha1.LabelOwnerName, v1alpha1.LabelOwnerNamespace, discoveryv1.LabelManagedBy, "team",
		}), rapid.SampledFrom([]string{v1alpha1.ManagedBy, "greeter", "shop", gateway.SliceManager, "x"})).Draw(t, "labels"))
		if rapid.Bool().Draw(t, "intent") {
			object.SetAnnotations(map[string]string{v1alpha1.AnnotationIntent: "x"})
		}
		reference := *metav1.NewControllerRef(exs, v1alpha1.GroupVersion.WithKind(v1alpha1.KindExposedService))
		reference.UID = rapid.SampledFrom([]types.UID{"1", "2"}).Draw(t, "uid")
		reference.Kind = rapid.SampledFrom([]string{v1alpha1.KindExposedService, "Service"}).Draw(t, "kind")
		if rapid.Bool().Draw(t, "owned") {
			object.SetOwnerReferences([]metav1.OwnerReference{reference})
		}
		before, owners := kube.OwnershipOf(object, exs), kube.OwnersOf(object)
		once := mustStrip(t, transform, object)
		// A slice of the cluster's may lose an owner that is no ExposedService.
		if got := kube.OwnershipOf(once, exs); got != before || !slices.Equal(kube.OwnersOf(once), owners) {
			t.Fatalf("it was %d of %v, and is %d of %v: %+v", before, owners, got, kube.OwnersOf(once), once)
		}
		again := mustStrip(t, transform, once.DeepCopyObject().(client.Object))
		if !equality.Semantic.DeepEqual(once, again) {
			t.Fatalf("once %+v\nagain %+v", once, again)
		}
	})
}

func TestSharedTextsAreBounded(t *testing.T) {
	var texts sharedTexts
	first := texts.pointer("node-1")
	if texts.pointer("node-"+fmt.Sprint(1)) != first {
		t.Error("two copies")
	}
	for i := range mostShared + 10 {
		texts.share(fmt.Sprint(i))
	}
	if n := len(texts.texts); n > mostShared {
		t.Errorf("%d texts are kept", n)
	}
	if *first != "node-1" || texts.sharePointer(nil) != nil {
		t.Error("a text has changed")
	}
}

// BenchmarkBytesPerObject prints how much memory an object takes in the cache, as it comes from the API server without
// the owners of its fields, and stripped.
func BenchmarkBytesPerObject(b *testing.B) {
	const many = 2000
	s := New()
	for _, c := range []struct {
		name    string
		decoded func(i int) client.Object
		strip   cache.TransformFunc
	}{
		{"slice of 2", func(i int) client.Object { return decodedSlice(b, i, 2) }, s.StripSlice},
		{"slice of 5", func(i int) client.Object { return decodedSlice(b, i, 5) }, s.StripSlice},
		{"slice of 100", func(i int) client.Object { return decodedSlice(b, i, 100) }, s.StripSlice},
		{"Service", func(i int) client.Object { return decodedService(b, i) }, s.StripService},
		{"Deployment", func(i int) client.Object { return decodedDeployment(b, i) }, s.StripDeployment},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				measure := func(transform cache.TransformFunc) float64 {
					kept := make([]client.Object, many)
					before := heap()
					for i := range kept {
						kept[i] = mustStrip(b, transform, c.decoded(i))
					}
					after := heap()
					runtime.KeepAlive(kept)
					return float64(after-before) / many
				}
				managed := cache.TransformFunc(func(o any) (any, error) {
					o.(client.Object).SetManagedFields(nil)
					return o, nil
				})
				b.ReportMetric(measure(managed), "B/before")
				b.ReportMetric(measure(c.strip), "B/after")
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc) //nolint:gosec // a heap is smaller than that
}

// decodedSlice is one as the decoder of protobuf leaves it: every text is a copy of its own.
func decodedSlice(t testing.TB, i, endpoints int) *discoveryv1.EndpointSlice {
	t.Helper()
	body, err := fullSlice("shop", fmt.Sprintf("greeter-%05d", i), endpoints).Marshal()
	out := &discoveryv1.EndpointSlice{}
	if err != nil || out.Unmarshal(body) != nil {
		t.Fatal(err)
	}
	return out
}

func decodedService(t testing.TB, i int) *corev1.Service {
	t.Helper()
	body, err := fullService("shop", fmt.Sprintf("greeter-%05d", i)).Marshal()
	out := &corev1.Service{}
	if err != nil || out.Unmarshal(body) != nil {
		t.Fatal(err)
	}
	return out
}

func decodedDeployment(t testing.TB, i int) *appsv1.Deployment {
	t.Helper()
	body, err := fullDeployment("shop", fmt.Sprintf("greeter-%05d", i)).Marshal()
	out := &appsv1.Deployment{}
	if err != nil || out.Unmarshal(body) != nil {
		t.Fatal(err)
	}
	return out
}

type fataler interface{ Fatal(args ...any) }

func mustStrip(t fataler, transform cache.TransformFunc, object client.Object) client.Object {
	out, err := transform(object)
	if err != nil {
		t.Fatal(err)
	}
	return out.(client.Object)
}

func strip(t *testing.T, transform cache.TransformFunc, object client.Object) client.Object {
	t.Helper()
	return mustStrip(t, transform, object)
}

func fullMeta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name, GenerateName: name[:1], UID: types.UID("uid-" + name), ResourceVersion: "12", Generation: 3,
		CreationTimestamp: metav1.NewTime(time.Unix(1000, 0)), Finalizers: []string{"service.kubernetes.io/load-balancer-cleanup"},
		Labels: map[string]string{v1alpha1.LabelManagedBy: "Helm", "app.kubernetes.io/name": "greeter", "team": "edge", "helm.sh/chart": "greeter-1.2.3"},
		Annotations: map[string]string{
			corev1.LastAppliedConfigAnnotation: `{"apiVersion":"v1","kind":"Service","metadata":{"annotations":{},"name":"greeter"},"spec":{"ports":[{"port":50051}]}}`,
		},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "helm", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:ports":{}}}`)}},
	}
}

func fullSlice(namespace, name string, endpoints int) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: fullMeta(namespace, name), AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{
			Name: ptr.To("grpc"), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To[int32](50051), AppProtocol: ptr.To("kubernetes.io/h2c"),
		}},
	}
	slice.Finalizers = nil
	slice.Annotations = map[string]string{corev1.EndpointsLastChangeTriggerTime: "2026-11-28T15:16:26Z"}
	slice.Labels = map[string]string{
		discoveryv1.LabelServiceName: "greeter", discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io",
		"app.kubernetes.io/name": "greeter", "team": "edge",
	}
	slice.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "v1", Kind: "Service", Name: "greeter", UID: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}}
	for i := range endpoints {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.1.0.%d", i)},
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(true), Terminating: ptr.To(false)},
			Hostname:   ptr.To("greeter-0"),
			TargetRef: &corev1.ObjectReference{
				Kind: "Pod", Namespace: namespace, Name: fmt.Sprintf("greeter-7c5f8d9b6d-x1x%d", i), UID: types.UID(fmt.Sprintf("f81d4fae-7dec-11d0-a765-00a0c91e6b%02d", i)),
			},
			NodeName: ptr.To("node-1"), Zone: ptr.To("zone-a"),
			Hints: &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "zone-a"}}},
		})
	}
	return slice
}

func fullService(namespace, name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: fullMeta(namespace, name),
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": "greeter"}, PublishNotReadyAddresses: true,
			Ports: []corev1.ServicePort{{
				Name: "grpc", Protocol: corev1.ProtocolTCP, AppProtocol: ptr.To("kubernetes.io/h2c"), Port: 50051, TargetPort: intstr.FromString("grpc"), NodePort: 30001,
			}},
			ClusterIP: "10.0.0.1", ClusterIPs: []string{"10.0.0.1"}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			IPFamilyPolicy: ptr.To(corev1.IPFamilyPolicySingleStack), ExternalName: "elsewhere.example.com",
			SessionAffinity: corev1.ServiceAffinityClientIP, InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyCluster),
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, LoadBalancerSourceRanges: []string{"10.0.0.0/8"},
		},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.9"}}}},
	}
}

// fullDeployment has an app and a sidecar, with probes, resources, variables and volumes.
func fullDeployment(namespace, name string) *appsv1.Deployment {
	labels := map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "shop"}
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 50051}}, PeriodSeconds: 5, FailureThreshold: 3}
	container := func(name string) corev1.Container {
		out := corev1.Container{
			Name: name, Image: "registry.example.com/shop/" + name + ":1.2.3", ImagePullPolicy: corev1.PullIfNotPresent,
			Args:           []string{"--listen=:50051", "--log-level=info"},
			Ports:          []corev1.ContainerPort{{Name: "grpc", ContainerPort: 50051, Protocol: corev1.ProtocolTCP}},
			ReadinessProbe: probe, LivenessProbe: probe,
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
			},
			VolumeMounts:    []corev1.VolumeMount{{Name: "config", MountPath: "/etc/app", ReadOnly: true}, {Name: "scratch", MountPath: "/tmp"}},
			SecurityContext: &corev1.SecurityContext{RunAsNonRoot: ptr.To(true), ReadOnlyRootFilesystem: ptr.To(true)},
		}
		for i := range 12 {
			out.Env = append(out.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", i), Value: fmt.Sprintf("the value of setting %d", i)})
		}
		out.Env = append(out.Env, corev1.EnvVar{Name: "POD", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}})
		return out
	}
	return &appsv1.Deployment{
		ObjectMeta: fullMeta(namespace, name),
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](3), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{"prometheus.io/scrape": "true"}},
				Spec: corev1.PodSpec{
					Containers: []corev1.Container{container("app"), container("sidecar")}, ServiceAccountName: name,
					Volumes: []corev1.Volume{
						{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}},
						{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
					},
				},
			},
		},
	}
}
