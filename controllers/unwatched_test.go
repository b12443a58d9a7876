package controllers

import (
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/test/shop"
)

// TestUnwatchedNamespaces: what a spec names in a namespace that Headgate does not look into is not there, and a
// condition says so. Nobody else notices: others are exposed, served over xDS, and fail over.
func TestUnwatchedNamespaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	infra := apiserver.Namespace(t, w.kube)
	w.create(w.sharedGateway(infra, "public"), grantPatch(infra, w.namespace))
	far := v1alpha1.Backend{Name: "far", Service: &v1alpha1.ServiceBackend{Name: "far-svc", Namespace: &infra, Port: 50051}}
	words := []string{"namespace " + infra + " is not watched by Headgate", "watchNamespaces", "--watch-namespace"}

	backend := w.exposedService("backend", backends(shop.ServiceBackend("primary", "primary-svc"), far))
	served := w.exposedService("served", overXDS(9090), backends(shop.ServiceBackend("primary", "primary-svc"), far))
	attached := w.exposedService("attached", on(infra, "public", "grpc"))
	canary := w.exposedService("canary", func(exs *v1alpha1.ExposedService) {
		exs.Spec.Rollout = &v1alpha1.Rollout{
			Revision: ptr.To("1"), Canary: &v1alpha1.CanaryBackend{Service: v1alpha1.ServiceBackend{Name: "next", Namespace: &infra, Port: 50051}},
		}
	})
	good, goodToo := w.exposedService("good"), w.exposedService("greeter", overXDS(9091))
	// All are there before Headgate starts, as after a restart.
	w.create(backend, served, attached, canary, good, goodToo)
	p := newXDSPKI(t)
	option, address := servingXDS(t, p, "replica-a")
	o := w.startOperator(option)

	w.untilReady(good)
	w.untilReady(goodToo)
	w.untilNotAccepted(backend, v1alpha1.ReasonBackendNotFound, words...)
	w.untilNotAccepted(served, v1alpha1.ReasonBackendNotFound, words...)
	w.untilNotAccepted(attached, v1alpha1.ReasonGatewayNotFound, words...)
	edit(w, canary, func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout.Revision = ptr.To("2") })
	w.eventually("the canary's Service is said to be missing", func() error {
		if err := w.read(canary); err != nil {
			return err
		}
		for _, c := range canary.Status.Conditions {
			if strings.Contains(c.Message, words[0]) {
				return nil
			}
		}
		return errors.New(describe(canary.Status.Conditions))
	})
	c := p.connect(w, address, "envoy-1", nil)
	c.until("others are served over xDS", func() bool { return strings.Contains(c.health(mainCluster(w)), "10.1.0.1 HEALTHY") })

	w.setReady("primary-svc", false)
	for _, exs := range []*v1alpha1.ExposedService{good, goodToo} {
		w.eventually(exs.Name+" fails over", func() error {
			return w.conditionIs(exs, v1alpha1.ConditionFailedOver, metav1.ConditionTrue, "BackupServes")
		})
	}
	w.setReady("primary-svc", true)
	w.untilQuiet(o)
	for _, exs := range []*v1alpha1.ExposedService{backend, served, attached, canary} {
		w.delete(exs)
		w.eventually(exs.Name+" is gone", func() error { return gone(w, exs) })
	}
}

func describe(conditions []metav1.Condition) string {
	var out []string
	for _, c := range conditions {
		out = append(out, c.Type+" "+string(c.Status)+" "+c.Reason+": "+c.Message)
	}
	return strings.Join(out, "\n")
}
