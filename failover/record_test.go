package failover

import (
	"slices"
	"testing"

	"github.com/headgate/headgate/api/v1alpha1"
)

func TestHistoryKeepsTheLastTwentyAndTheEndsOfRuns(t *testing.T) {
	const net, switched = v1alpha1.DecisionNetChanged, v1alpha1.DecisionSwitchedToBackup
	var history []v1alpha1.Decision
	push := func(reason v1alpha1.DecisionReason) {
		history = remember(history, []v1alpha1.Decision{{Reason: reason, Revision: int64(len(history))}})
	}
	reasons := func() (out []v1alpha1.DecisionReason) {
		for _, d := range history {
			out = append(out, d.Reason)
		}
		return out
	}
	for _, reason := range []v1alpha1.DecisionReason{switched, net, net, net, net, switched, net} {
		push(reason)
	}
	if got, want := reasons(), []v1alpha1.DecisionReason{switched, net, net, switched, net}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for range 30 {
		push(switched)
	}
	if len(history) != 20 {
		t.Errorf("%d entries", len(history))
	}
}
