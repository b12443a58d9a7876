package signals

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPodsAreMergedByTheirIDs(t *testing.T) {
	a, b := []PodCalls{{"a", 1, 0}, {"c", 5, 5}}, []PodCalls{{"a", 2, 1}, {"b", 3, 0}}
	for name, c := range map[string]struct{ a, b, want []PodCalls }{
		"both":            {a, b, []PodCalls{{"a", 3, 1}, {"b", 3, 0}, {"c", 5, 5}}},
		"only the first":  {a, nil, a},
		"only the second": {nil, b, b},
		"neither":         {nil, nil, nil},
		"none":            {nil, []PodCalls{}, []PodCalls{}},
	} {
		if diff := cmp.Diff(c.want, MergePods(c.a, c.b)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if a[0].Calls != 1 || b[0].Calls != 2 {
		t.Errorf("the parts have changed: %v, %v", a, b)
	}
}

// Of many pods each look sees the same ones, whichever of them had calls and however the looks are put together.
func TestOfManyPodsTheSameOnesAreSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pods := rapid.IntRange(0, 200).Draw(t, "pods")
		look := func() []PodCalls {
			counted := map[string]tally{}
			for i := range pods {
				calls := float64(rapid.IntRange(0, 3).Draw(t, "calls"))
				counted[fmt.Sprint("pod-", i)] = tally{calls: calls, errors: calls}
			}
			return podsOf(counted)
		}
		first, second := look(), look()
		both := MergePods(first, second)
		if len(both) != min(pods, MostPods) {
			t.Fatalf("%d of %d pods", len(both), pods)
		}
		for i, pod := range both {
			if pod.ID != first[i].ID || pod.ID != second[i].ID || pod.Calls != first[i].Calls+second[i].Calls || pod.Errors != pod.Calls {
				t.Fatalf("%v and %v are %v", first[i], second[i], pod)
			}
		}
	})
}
