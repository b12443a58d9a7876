package controllers

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/test/apiserver"
)

// own gives host names to a namespace.
func (w *world) own(namespace, hostnames string) {
	w.t.Helper()
	patch := fmt.Sprintf(`{"metadata": {"annotations": {%q: %q}}}`, v1alpha1.AnnotationHostnames, hostnames)
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := w.kube.Patch(w.t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		w.t.Fatal(err)
	}
}

// untilRouteHasHosts waits until the route has host names; none: until there is no route.
func (w *world) untilRouteHasHosts(exs *v1alpha1.ExposedService, want ...gwapiv1.Hostname) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("the route of %s has %v", exs.Name, want), func() error {
		route, err := kube.Get[gwapiv1.GRPCRoute](w.t.Context(), w.kube, client.ObjectKeyFromObject(exs))
		switch {
		case err != nil:
			return err
		case route == nil && len(want) == 0:
			return nil
		case route == nil:
			return fmt.Errorf("there is no route")
		case !slices.Equal(route.Spec.Hostnames, want):
			return fmt.Errorf("it has %v", route.Spec.Hostnames)
		}
		return nil
	})
}

// TestHostNamesAreThoseOfTheNamespace gives host names to one namespace and another, takes them, and turns that on where it was off.
func TestHostNamesAreThoseOfTheNamespace(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	other := apiserver.Namespace(t, w.kube)
	shopHost, bankHost := w.namespace+".shop.example.com", w.namespace+".bank.example.com"
	former := w.startOperator()
	squatting := w.exposedService("squatting", hosts(v1alpha1.Hostname(bankHost)))
	w.create(squatting)
	w.untilRouteHasHosts(squatting, gwapiv1.Hostname(bankHost))
	former.stop()

	w.own(w.namespace, shopHost)
	w.startOperator(func(config *Config, _ *transport) { config.HostOwnership = true })
	w.untilNotAccepted(squatting, v1alpha1.ReasonHostnameNotPermitted, bankHost, "which has "+shopHost)
	w.untilRouteHasHosts(squatting, gwapiv1.Hostname(bankHost)) // Nobody has it.

	good := w.exposedService("good", hosts(v1alpha1.Hostname(shopHost)))
	both := w.exposedService("both", hosts(v1alpha1.Hostname("x."+shopHost), v1alpha1.Hostname("y."+bankHost)))
	all := w.exposedService("all", hosts())
	w.create(good, both, all)
	w.untilReady(good)
	w.untilNotAccepted(both, v1alpha1.ReasonHostnameNotPermitted, "hosts x."+shopHost+", y."+bankHost)
	w.untilNotAccepted(all, v1alpha1.ReasonHostnameNotPermitted, "without host names it would have all")
	w.untilRouteHasHosts(both)
	w.untilRouteHasHosts(all)

	w.own(w.namespace, shopHost+", *."+shopHost)
	w.untilRouteHasHosts(both, gwapiv1.Hostname("x."+shopHost))
	w.own(other, "*.bank.example.com")
	w.untilRouteHasHosts(squatting)
	w.untilReady(good)
	w.own(w.namespace, "*")
	w.untilReady(all)
	w.untilRouteHasHosts(squatting, gwapiv1.Hostname(bankHost))
}
