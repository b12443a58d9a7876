package report

import (
	"encoding/json"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/headgate/headgate/api/v1alpha1"
)

// said remembers what was last written into the statuses, so that a change by somebody else is told from one's own. It
// is noted before it is written, because the news of it may come before the answer.
type said struct {
	seed maphash.Seed

	mu sync.Mutex
	by map[types.NamespacedName]map[string]uint64
}

func newSaid() *said {
	return &said{seed: maphash.MakeSeed(), by: map[types.NamespacedName]map[string]uint64{}}
}

// halves are the parts of a status that are put right whenever they are wrong, by the field manager that writes them.
var halves = map[string]func(v1alpha1.ExposedServiceStatus) v1alpha1.ExposedServiceStatus{
	statusManager: ownPart,
	decisionManager: func(status v1alpha1.ExposedServiceStatus) v1alpha1.ExposedServiceStatus {
		return v1alpha1.ExposedServiceStatus{Endpoints: status.Endpoints, Conditions: conditionsOf(status.Conditions, decisionConditions)}
	},
}

// note takes in what a field manager is about to write.
func (s *said) note(exs *v1alpha1.ExposedService, manager string, status v1alpha1.ExposedServiceStatus) {
	key, digest := client.ObjectKeyFromObject(exs), s.digest(manager, status)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[key] == nil {
		s.by[key] = map[string]uint64{}
	}
	s.by[key][manager] = digest
}

func (s *said) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, key)
}

// isForeign says whether somebody else has changed what is said in a status.
func (s *said) isForeign(before, after *v1alpha1.ExposedService) bool {
	key := client.ObjectKeyFromObject(after)
	for manager := range halves {
		now := s.digest(manager, after.Status)
		if now == s.digest(manager, before.Status) {
			continue
		}
		s.mu.Lock()
		last, known := s.by[key][manager]
		s.mu.Unlock()
		if !known || now != last {
			return true
		}
	}
	return false
}

// digest stands for a half of a status, without the times of transitions: nobody decides anything by them.
func (s *said) digest(manager string, status v1alpha1.ExposedServiceStatus) uint64 {
	half := halves[manager](status)
	half.Conditions = slices.Clone(half.Conditions)
	for i := range half.Conditions {
		half.Conditions[i].LastTransitionTime = metav1.Time{}
	}
	slices.SortFunc(half.Conditions, func(a, b metav1.Condition) int { return strings.Compare(a.Type, b.Type) })
	text, err := json.Marshal(half)
	if err != nil {
		return 0 // It was read as JSON, and can be written so.
	}
	return maphash.Bytes(s.seed, text)
}

// Matters lets through what others change of what Headgate says in a status, by hand or because they stopped to
// lead while they wrote. It is said again as it is.
func (w *Writer) Matters() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, wasOne := e.ObjectOld.(*v1alpha1.ExposedService)
		after, isOne := e.ObjectNew.(*v1alpha1.ExposedService)
		return wasOne && isOne && w.said.isForeign(before, after)
	}}
}
