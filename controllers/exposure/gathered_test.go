package exposure

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
)

// What was gathered belongs to the status that it was gathered on, and to no other.
func TestWhatWasGatheredBelongsToWhatWasWritten(t *testing.T) {
	t.Parallel()
	var g gatherings
	key := types.NamespacedName{Namespace: "shop", Name: "greeter"}
	status := func(state string) *v1alpha1.RolloutStatus {
		return &v1alpha1.RolloutStatus{Evidence: &v1alpha1.RolloutEvidence{State: state}}
	}
	is := func(what string, read *v1alpha1.RolloutStatus, want string) {
		t.Helper()
		got := g.on(key, read)
		if state := got.Evidence; state == nil && want != "" || state != nil && state.State != want {
			t.Errorf("%s: %+v, want %q", what, got, want)
		}
	}
	is("at the start", status("a"), "")
	g.wrote(key, status("a"), time.Unix(1, 0))
	is("after a write", status("a"), "a")
	g.gather(key, status("b"))
	g.gather(key, status("c"))
	is("after more looks", status("a"), "c")
	is("what is read is old, or somebody else's", status("old"), "")
	is("there is no rollout any more", nil, "")
	g.wrote(key, status("d"), time.Unix(2, 0))
	is("the write before the last is read", status("a"), "")
	is("after the next write", status("d"), "d")
	g.wrote(key, &v1alpha1.RolloutStatus{}, time.Unix(3, 0))
	if len(g.of) > 0 {
		t.Errorf("without evidence it keeps %+v", g.of)
	}
}
