package exposure

import (
	"context"
	"fmt"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/gateway"
)

// refuseTakenNames looks at who has the names that the expansion needs.
func (r *run) refuseTakenNames(ctx context.Context) {
	for _, object := range r.expansion.Objects {
		k, ok := kube.KindOf(object)
		if !ok || !r.Kinds.Has(k) {
			continue
		}
		ref := k.Ref(object)
		live, err := r.inventory.Find(ctx, k, ref)
		if err != nil {
			r.exposing.Fail(err)
			continue
		}
		if live == nil {
			continue
		}
		switch kube.OwnershipOf(live, r.exs) {
		case kube.Foreign:
			r.refuse(ref, "exists and was not made by Headgate for this ExposedService, so it is left alone: delete or rename it, "+
				"or give the ExposedService (or the backend) another name")
		case kube.Leftover:
			r.refuse(ref, "still belongs to a deleted ExposedService of the same name: it is removed by the cluster's garbage collector; "+
				"if it stays, delete it")
		}
	}
}

// refuse takes one object out of what is to be, and waits for its name.
func (r *run) refuse(ref gateway.Ref, why string) {
	r.exposing.WaitsFor = append(r.exposing.WaitsFor, ref)
	r.expansion = r.expansion.Without(ref, gateway.Problem{
		Reason: v1alpha1.ReasonNameConflict, Message: fmt.Sprintf("%s %s/%s %s", ref.Kind, ref.Namespace, ref.Name, why),
	})
}
