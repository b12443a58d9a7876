package faults

import (
	"context"
	"fmt"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// makeForeign makes objects of somebody else's, of the kinds that Headgate makes; some carry copies of its labels.
func (s *scene) makeForeign() {
	s.Helper()
	s.made++
	meta := metav1.ObjectMeta{Name: fmt.Sprintf("theirs-%d", s.made), Namespace: s.namespace}
	if s.made%2 == 0 {
		meta.Labels = map[string]string{
			v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOwnerName: exposedNames[0], v1alpha1.LabelOwnerNamespace: s.namespace,
		}
	}
	target := gwapiv1.LocalPolicyTargetReference{Group: gwapiv1.GroupName, Kind: "Gateway", Name: "nobodys"}
	service := shop.Service(s.namespace, meta.Name)
	service.ObjectMeta = meta
	slice := s.slice(meta.Name, "10.9.0.1")
	objects := []client.Object{
		service, slice,
		&egv1a1.Backend{ObjectMeta: meta, Spec: egv1a1.BackendSpec{Endpoints: []egv1a1.BackendEndpoint{{IP: &egv1a1.IPEndpoint{Address: "10.9.0.1", Port: 80}}}}},
		&egv1a1.EnvoyPatchPolicy{ObjectMeta: meta, Spec: egv1a1.EnvoyPatchPolicySpec{Type: egv1a1.JSONPatchEnvoyPatchType, TargetRef: target}},
		&gwapiv1.Gateway{ObjectMeta: meta, Spec: gwapiv1.GatewaySpec{
			GatewayClassName: "nobodys", Listeners: []gwapiv1.Listener{{Name: "grpc", Protocol: gwapiv1.HTTPProtocolType, Port: 80}},
		}},
		&gwapiv1.GRPCRoute{ObjectMeta: meta, Spec: gwapiv1.GRPCRouteSpec{
			CommonRouteSpec: gwapiv1.CommonRouteSpec{ParentRefs: []gwapiv1.ParentReference{{Name: "nobodys", Namespace: ptr.To(gwapiv1.Namespace(s.namespace))}}},
			Hostnames:       []gwapiv1.Hostname{gwapiv1.Hostname(exposedNames[0] + "-0.example.com")},
		}},
	}
	s.create(objects...)
	s.foreign = append(s.foreign, objects...)
}

// nothingForeignIsTouched compares all of it with what was made.
func (s *scene) nothingForeignIsTouched() {
	s.Helper()
	for _, object := range s.foreign {
		live := object.DeepCopyObject().(client.Object)
		if err := s.kube.Get(context.Background(), client.ObjectKeyFromObject(object), live); err != nil {
			s.Errorf("%T %s of somebody else's: %v", object, object.GetName(), err)
			continue
		}
		if diff := cmp.Diff(object, live); diff != "" {
			s.Errorf("%T %s of somebody else's was changed (-before +after):\n%s", object, object.GetName(), diff)
		}
	}
}
