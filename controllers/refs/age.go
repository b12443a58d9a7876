package refs

import (
	"cmp"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ByAge orders objects by their creation, then by namespace and name, as Gateway API orders routes.
func ByAge(a, b client.Object) int {
	x, y := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if !x.Equal(&y) {
		return x.Compare(y.Time)
	}
	return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
}
