package deployments

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/internal/text"
)

// refusals remember what could not be made true of the Deployments when that was tried last: it is tried after a decision,
// and the next decision says so.
type refusals struct {
	mu    sync.Mutex
	words map[types.NamespacedName]string
}

// refusedIn is what a run could not make true, and nobody but people can change: what the API server refuses, and names
// that are somebody else's. Empty: nothing.
func refusedIn(step kube.Step) string {
	var words []string
	for _, failure := range step.Failures {
		if failure.Final {
			words = append(words, failure.Message)
		}
	}
	for _, problem := range step.Problems {
		if problem.Reason == v1alpha1.ReasonNameConflict {
			words = append(words, problem.Message)
		}
	}
	return text.Join(words...)
}

// note takes in what was refused, and says whether that is news.
func (r *refusals) note(key types.NamespacedName, words string) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.words[key] == words {
		return false
	}
	if r.words == nil {
		r.words = map[types.NamespacedName]string{}
	}
	r.words[key] = words
	if words == "" {
		delete(r.words, key)
	}
	return true
}

func (r *refusals) forget(key types.NamespacedName) { r.note(key, "") }

// Refused is what of the last decision could not be made true, in the words of who refuses it; empty: nothing.
func (f *Follower) Refused(exs *v1alpha1.ExposedService) string {
	f.refusals.mu.Lock()
	defer f.refusals.mu.Unlock()
	return f.refusals.words[client.ObjectKeyFromObject(exs)]
}
