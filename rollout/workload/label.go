package workload

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Selector is one that must not catch the canary's pods, with a name for people, such as "Service greeter".
type Selector struct {
	Name     string
	Selector labels.Selector
}

// suffix is added to the name of a Deployment and to the value of a label for the canary.
const suffix = "-canary"

// Distinguish finds the label whose value sets the canary's pods apart: the first key of the Deployment's selector with which neither
// that selector nor any of the others catches them. Only that value is changed, so that whatever else looks at pods, such as network
// policies and service meshes, sees those of the same application.
//
// A canary that is live has such a label, which stays.
func Distinguish(deployment, live *appsv1.Deployment, others []Selector) (key, value string, err error) {
	own, err := metav1.LabelSelectorAsSelector(deployment.Spec.Selector)
	if err != nil {
		return "", "", fmt.Errorf("read the selector of Deployment %s: %w", deployment.Name, err)
	}
	apart := append([]Selector{{Name: "Deployment " + deployment.Name, Selector: own}}, others...)
	podLabels := deployment.Spec.Template.Labels

	var caughtBy string
	for _, key := range selectorKeys(deployment.Spec.Selector) {
		have, ok := podLabels[key]
		if !ok {
			continue
		}
		value := strings.TrimRight(have[:min(len(have), 63-len(suffix))], "-_.") + suffix
		if live != nil && live.Spec.Selector.MatchLabels[key] != value {
			continue
		}
		changed := labels.Set(maps.Clone(podLabels))
		changed[key] = value
		at := slices.IndexFunc(apart, func(s Selector) bool { return s.Selector.Matches(changed) })
		if at < 0 {
			return key, value, nil
		}
		caughtBy = apart[at].Name
	}
	if caughtBy == "" {
		return "", "", fmt.Errorf("the selector of Deployment %s asks for no label of its pods: give it one under matchLabels", deployment.Name)
	}
	return "", "", fmt.Errorf("no label of the selector of Deployment %s sets a canary apart, because %s would catch its pods: let it select by a label that the Deployment selects by too",
		deployment.Name, caughtBy)
}

// selectorKeys are the keys that a selector asks for, in order.
func selectorKeys(selector *metav1.LabelSelector) []string {
	keys := slices.Sorted(maps.Keys(selector.MatchLabels))
	for _, e := range selector.MatchExpressions {
		if e.Operator == metav1.LabelSelectorOpIn && !slices.Contains(keys, e.Key) {
			keys = append(keys, e.Key)
		}
	}
	return keys
}
