package calls

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/signals"
)

// silent is a source that nobody reads.
type silent struct{ signals.Source }

func (*silent) Name() string { return "Envoy" }

// Where the count begins nothing is wrong: after a restart it is no news, which would be written. Twice in a row it is.
func TestTheFirstLookAtCallsIsNoTrouble(t *testing.T) {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "here", Name: "greeter"}}
	key, have := client.ObjectKeyFromObject(exs), &counted{
		source: &silent{}, pending: Counts{}, unknown: map[string]reason{}, begun: map[string]bool{},
	}
	c := newCounter(t, nil)
	c.counted[key] = have
	for i, look := range []struct {
		unknown signals.Unknown
		reason  v1alpha1.Reason
	}{
		{signals.UnknownFirstLook, v1alpha1.ReasonSourceRead},
		{"", v1alpha1.ReasonSourceRead},
		{signals.UnknownFirstLook, v1alpha1.ReasonSourceRead},
		{signals.UnknownFirstLook, v1alpha1.ReasonSourceUnknown},
		{signals.UnknownUnreachable, v1alpha1.ReasonSourceUnknown},
		{signals.UnknownFirstLook, v1alpha1.ReasonSourceRead},
	} {
		c.add(key, have, signals.Reading{Source: "Envoy", Backends: map[string]signals.Counts{"primary": {Unknown: look.unknown}}})
		if got := c.Condition(exs, "primary"); got == nil || got.Reason != string(look.reason) {
			t.Errorf("look %d, unknown %q: %+v, want %s", i, look.unknown, got, look.reason)
		}
	}
}
