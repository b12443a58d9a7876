package index

import (
	"context"
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

func claiming(name string, hosts, matches int) *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), Generation: 1}}
	exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: "public"}}
	for i := range hosts {
		exs.Spec.Hostnames = append(exs.Spec.Hostnames, v1alpha1.Hostname(fmt.Sprintf("%d.example.com", i)))
	}
	var rule v1alpha1.Rule
	for i := range matches {
		rule.Matches = append(rule.Matches, v1alpha1.Match{Service: ptr.To(fmt.Sprintf("service%d", i))})
	}
	exs.Spec.Rules = []v1alpha1.Rule{rule}
	return exs
}

// Claims are worked out once for each generation, however often a status is written.
func TestClaimsAreRememberedByGeneration(t *testing.T) {
	claims := &Claims{}
	exs := claiming("one", 16, 64)
	first := claims.Of(exs)
	if len(first.Hosts) != 16 || len(first.Matches) != 64 {
		t.Fatalf("%d hosts, %d matches", len(first.Hosts), len(first.Matches))
	}
	allocations := testing.AllocsPerRun(10, func() { claims.Of(exs) })
	if allocations > 0 {
		t.Errorf("a second look allocates %.0f times", allocations)
	}
	exs = claiming("one", 1, 1)
	exs.Generation = 2
	if now := claims.Of(exs); len(now.Hosts) != 1 || len(now.Matches) != 1 {
		t.Errorf("after an edit the claims are %+v", now)
	}
	for i := range 3 * maxRemembered {
		claims.Of(claiming(fmt.Sprint(i), 1, 1))
	}
	if n := len(claims.young) + len(claims.old); n > 2*maxRemembered {
		t.Errorf("%d are remembered", n)
	}
}

// indexed answers as the cache does, and counts.
type indexed struct {
	client.Reader

	claims *Claims
	items  []*v1alpha1.ExposedService
	lists  int
}

// List implements client.Reader.
func (r *indexed) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	r.lists++
	var asked client.ListOptions
	asked.ApplyOptions(options)
	wanted := asked.FieldSelector.Requirements()[0]
	out := list.(*v1alpha1.ExposedServiceList)
	for _, exs := range r.items {
		claims := r.claims.Of(exs)
		values := map[string][]string{ByRouteHost: claims.HostKeys(), ByRouteCover: claims.CoverKeys(), ByGateway: {claims.Gateway}}[wanted.Field]
		if slices.Contains(values, wanted.Value) {
			out.Items = append(out.Items, *exs)
		}
	}
	return nil
}

// However many claims there are, a look for rivals has a bound, and finds them.
func TestALookForRivalsHasABound(t *testing.T) {
	for name, own := range map[string]*v1alpha1.ExposedService{
		"few claims": claiming("own", 2, 2), "many hosts and matches": claiming("own", 16, 64), "many matches": claiming("own", 1, 64),
	} {
		t.Run(name, func(t *testing.T) {
			claims := &Claims{}
			stranger := claiming("stranger", 1, 1)
			stranger.Spec.Rules[0].Matches[0].Method = ptr.To("Other")
			reader := &indexed{claims: claims, items: []*v1alpha1.ExposedService{own, claiming("rival", 1, 1), stranger}}
			rivals, err := claims.Rivals(t.Context(), reader, own)
			if err != nil {
				t.Fatal(err)
			}
			if len(rivals) != 1 || rivals[0].Name != "rival" {
				t.Errorf("rivals are %v", rivals)
			}
			if reader.lists > mostLists {
				t.Errorf("%d lists", reader.lists)
			}
		})
	}
}
