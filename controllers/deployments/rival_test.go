package deployments

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestWhatAnotherHasMadeIsLeftToIt(t *testing.T) {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "greeter-primary", Namespace: "shop"}}
	if got := madeBy(d); got != nil {
		t.Errorf("made by %s", got.name)
	}
	d.OwnerReferences = []metav1.OwnerReference{{APIVersion: "flagger.app/v1beta1", Kind: "Canary", Name: "greeter", Controller: ptr.To(true)}}
	if got := madeBy(d); got == nil || got.name != "Canary shop/greeter (flagger.app), which has made it" {
		t.Errorf("made by %+v", got)
	}
	d.OwnerReferences[0].APIVersion = "example.com/v1"
	if got := madeBy(d); got != nil {
		t.Errorf("made by %s", got.name)
	}
}
