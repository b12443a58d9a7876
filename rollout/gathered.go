package rollout

import (
	"strings"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/headgate/headgate/api/v1alpha1"
)

// writeEvery is how long evidence that nothing hangs on yet is kept in memory. Calls come each second, for hours.
const writeEvery = 15 * time.Second

// Gathered is the evidence since the status was written, which is kept in memory. It grew from that of the status, and from no other. The
// zero value: none is known of, and what is counted next is written at once.
type Gathered struct {
	Evidence *v1alpha1.RolloutEvidence
	// Written is when the status was written.
	Written time.Time
}

// resume takes in what was gathered since the status was written. A restart loses it, and counts none of it twice: what is counted after it
// begins after the restart.
func (l *look) resume() {
	if gathered := l.seen.Gathered.Evidence; gathered != nil && l.status.Evidence != nil {
		l.status.Evidence = gathered.DeepCopy()
	}
}

// pends says that the look has brought nothing but evidence, and that its writing can wait. It is asked of looks without a decision
// alone: a decision is written together with the evidence that it was taken by.
func (l *look) pends(written *v1alpha1.RolloutStatus) bool {
	known := l.seen.Gathered
	if known.Evidence == nil || written == nil || written.Evidence == nil || l.status.Evidence == nil {
		return false
	}
	if age := l.now.Sub(known.Written.Truncate(time.Microsecond)); age < 0 || age >= writeEvery {
		return false
	}
	is := l.status
	is.Evidence, is.Message, is.Progress = written.Evidence, written.Message, written.Progress
	return !equality.Semantic.DeepEqual(written.Evidence, l.status.Evidence) && equality.Semantic.DeepEqual(written, &is) &&
		wordsOf(written.Message) == wordsOf(l.status.Message) && wordsOf(written.Progress) == wordsOf(l.status.Progress)
}

// wordsOf is a message without its numbers.
func wordsOf(message string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, message)
}
