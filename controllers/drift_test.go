package controllers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
)

func TestDriftIsPutBackAndReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator(withOldServices)
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	w.untilQuiet(o)

	// Each change is one that somebody could make by hand, of something that Headgate has set.
	for _, drift := range []struct {
		object client.Object
		change func(client.Object)
		field  string
	}{
		{&gwapiv1.Gateway{}, func(o client.Object) { o.(*gwapiv1.Gateway).Spec.Listeners[0].Port = 8080 }, "spec.listeners[grpc].port"},
		{&gwapiv1.GRPCRoute{}, func(o client.Object) {
			o.(*gwapiv1.GRPCRoute).Spec.Rules[0].BackendRefs[0].Weight = ptr.To(int32(5))
		}, "spec.rules[0].backendRefs[0].weight"},
		{&gwapiv1.GRPCRoute{}, func(o client.Object) {
			o.(*gwapiv1.GRPCRoute).Spec.Hostnames = append(o.(*gwapiv1.GRPCRoute).Spec.Hostnames, "more.example.com")
		}, "spec.hostnames"},
		{&egv1a1.BackendTrafficPolicy{}, func(o client.Object) {
			o.(*egv1a1.BackendTrafficPolicy).Spec.Retry.NumRetries = ptr.To(int32(1))
		}, "spec.retry.numRetries"},
		{&egv1a1.EnvoyPatchPolicy{}, func(o client.Object) {
			o.(*egv1a1.EnvoyPatchPolicy).Spec.JSONPatches[0].Operation.Value = &apiextensionsv1.JSON{Raw: []byte(`{"overprovisioning_factor":140}`)}
		}, "spec.jsonPatches[0].operation.value.overprovisioning_factor"},
		{&egv1a1.EnvoyProxy{}, func(o client.Object) { o.(*egv1a1.EnvoyProxy).Spec.Telemetry = nil }, "spec.telemetry"},
		{&egv1a1.Backend{ObjectMeta: metav1.ObjectMeta{Name: "greeter-fallback"}}, func(o client.Object) {
			o.(*egv1a1.Backend).Spec.Fallback = ptr.To(false)
		}, "spec.fallback"},
		{&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "greeter-primary-gw"}}, func(o client.Object) {
			o.(*corev1.Service).Spec.Selector["extra"] = "nobody"
		}, "spec.selector.extra"},
		{&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "greeter-primary-gw-placeholder"}}, func(o client.Object) {
			o.(*discoveryv1.EndpointSlice).Endpoints[0].Conditions.Ready = ptr.To(true)
		}, "endpoints[0].conditions.ready"},
		{&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "greeter-backup-gw"}}, func(o client.Object) {
			delete(o.GetLabels(), v1alpha1.LabelOwnerName)
		}, "metadata.labels[headgate.dev/exposedservice]"},
		{&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "greeter-backup-gw"}}, func(o client.Object) {
			o.SetOwnerReferences(nil)
		}, "metadata.ownerReferences"},
		{&egv1a1.EnvoyProxy{}, func(o client.Object) { o.SetAnnotations(nil) }, "metadata.annotations"},
	} {
		object := drift.object
		kindName := strings.TrimPrefix(fmt.Sprintf("%T", object), "*")
		kindName = kindName[strings.LastIndex(kindName, ".")+1:]
		object.SetNamespace(w.namespace)
		if object.GetName() == "" {
			object.SetName("greeter")
		}
		t.Run(kindName+" "+drift.field, func(t *testing.T) {
			counter := o.Metrics.Drift.WithLabelValues(kindName)
			before := counterValue(t, counter)
			if err := w.read(object); err != nil {
				t.Fatal(err)
			}
			intended, err := intentOf(object)
			if err != nil {
				t.Fatal(err)
			}
			edit(w, object, drift.change)
			start := time.Now()
			w.eventually("it is put back", func() error {
				if err := w.read(object); err != nil {
					return err
				}
				now, err := intentOf(object)
				if err != nil {
					return err
				}
				if paths := kube.Differences(kindName, intended, now); len(paths) > 0 {
					return fmt.Errorf("still different: %v", paths)
				}
				return nil
			})
			took := time.Since(start)
			t.Logf("put back after %s", took.Round(time.Millisecond))
			if took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			w.eventually("the event and the count", func() error {
				if now := counterValue(t, counter); now <= before {
					return fmt.Errorf("headgate_drift_corrections_total stayed at %v", now)
				}
				for _, note := range w.eventNotes(exs, kube.ReasonDriftCorrected) {
					if strings.Contains(note, kindName+" "+w.namespace+"/"+object.GetName()) && strings.Contains(note, drift.field) {
						return nil
					}
				}
				return fmt.Errorf("no event names %s %s: %v", kindName, drift.field, w.eventNotes(exs, kube.ReasonDriftCorrected))
			})
		})
	}
}

// intentOf is an object without what the API server keeps in it.
func intentOf(object client.Object) (map[string]any, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, err
	}
	delete(fields, "status")
	if metadata, ok := fields["metadata"].(map[string]any); ok {
		for _, field := range []string{"resourceVersion", "generation", "managedFields", "uid", "creationTimestamp"} {
			delete(metadata, field)
		}
	}
	return fields, nil
}

func TestDeletedObjectsComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator()
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	w.untilQuiet(o)
	before := w.made(exs)
	for _, object := range before {
		w.delete(object)
	}
	w.eventually("they are all back", func() error {
		now := w.made(exs)
		for name, object := range before {
			if now[name] == nil || now[name].GetUID() == object.GetUID() {
				return fmt.Errorf("%s is not back", name)
			}
		}
		return nil
	})
	w.untilReady(exs)
}

func TestForeignFieldsAndLabelsSurvive(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator(withOldServices)
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	w.untilQuiet(o)
	before := o.transport.written()

	service := w.service("greeter-primary-gw")
	edit(w, service, func(s *corev1.Service) {
		s.Labels["team"] = "edge"
		s.Annotations["example.com/note"] = "kept"
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "admin", Port: 9000})
	})
	gw := &gwapiv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "greeter"}}
	edit(w, gw, func(g *gwapiv1.Gateway) {
		g.Spec.Listeners = append(g.Spec.Listeners, gwapiv1.Listener{Name: "other", Protocol: gwapiv1.HTTPProtocolType, Port: 8081})
	})
	w.untilQuiet(o)
	for _, write := range o.transport.written()[len(before):] {
		// The data plane looks at the new generation of the Gateway, and the status says so.
		if !strings.HasSuffix(write, "/status") {
			t.Errorf("foreign fields made it write: %s", write)
		}
	}

	// They survive a change of ours as well.
	edit(w, exs, func(exs *v1alpha1.ExposedService) {
		exs.Spec.Gateway.Listener = &v1alpha1.Listener{Port: ptr.To(v1alpha1.PortNumber(8080))}
		for i := range exs.Spec.Backends {
			exs.Spec.Backends[i].Service.Port = 50052
		}
	})
	for _, name := range []string{"primary-svc", "backup-svc"} {
		edit(w, w.service(name), func(s *corev1.Service) { s.Spec.Ports[0].Port = 50052 })
	}
	w.untilReady(exs)
	w.eventually("ours has changed and theirs is there", func() error {
		if err := w.read(gw); err != nil {
			return err
		}
		if len(gw.Spec.Listeners) != 2 || gw.Spec.Listeners[0].Port != 8080 || gw.Spec.Listeners[1].Port != 8081 {
			return fmt.Errorf("listeners are %+v", gw.Spec.Listeners)
		}
		if err := w.read(service); err != nil {
			return err
		}
		if len(service.Spec.Ports) != 2 || service.Labels["team"] != "edge" || service.Annotations["example.com/note"] != "kept" ||
			service.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
			return fmt.Errorf("the Service is %+v", service)
		}
		return nil
	})
}
