package exposure

import (
	"slices"
	"testing"

	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/gateway"
)

func TestAnObjectThatFailsKeepsOnlyWhatItNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		unapplied []kube.Kind
		goes      []kube.Kind
	}{
		"nothing fails":                {goes: kube.MadeKinds()},
		"a policy":                     {unapplied: []kube.Kind{kube.KindTrafficPolicy}, goes: kube.MadeKinds()},
		"a backend":                    {unapplied: []kube.Kind{kube.KindBackend}, goes: kube.MadeKinds()},
		"the route, and a policy then": {unapplied: []kube.Kind{kube.KindRoute, kube.KindTrafficPolicy}, goes: []kube.Kind{kube.KindDeployment}},
		"the Gateway": {unapplied: []kube.Kind{kube.KindGateway}, goes: slices.DeleteFunc(kube.MadeKinds(), func(k kube.Kind) bool {
			return k.GVK == kube.KindProxy.GVK
		})},
	} {
		t.Run(name, func(t *testing.T) {
			var objects []gateway.Object
			for _, k := range c.unapplied {
				object := k.NewObject()
				object.GetObjectKind().SetGroupVersionKind(k.GVK)
				objects = append(objects, object)
			}
			for _, k := range kube.MadeKinds() {
				want := slices.ContainsFunc(c.goes, func(goes kube.Kind) bool { return goes.GVK == k.GVK })
				if got := !mayNeed(objects, k); got != want {
					t.Errorf("%s may go: %t", k.GVK.Kind, got)
				}
			}
		})
	}
}
