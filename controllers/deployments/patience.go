package deployments

import (
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/headgate/headgate/api/v1alpha1"
)

// patience is what is left of the time for which a webhook that did not agree is left alone.
type patience struct {
	// with is the webhook as it was when it was asked: one that was changed is asked at once.
	with  v1alpha1.RolloutWebhook
	delay time.Duration
	until time.Time
}

// rest is for how long a webhook is still left alone; 0: it may be asked.
func (s *askedStep) rest(name string, hook v1alpha1.RolloutWebhook, now time.Time) time.Duration {
	p := s.patience[name]
	if !equality.Semantic.DeepEqual(p.with, hook) {
		return 0
	}
	// A clock that was put back must not make it wait for longer than it was to.
	return min(max(p.until.Sub(now), 0), p.delay)
}

// leaveAlone has a webhook left alone for a time, and the next time for twice as long.
func (s *askedStep) leaveAlone(name string, hook v1alpha1.RolloutWebhook, now time.Time) {
	delay := firstAskAgain
	if before := s.patience[name]; equality.Semantic.DeepEqual(before.with, hook) {
		delay = min(max(2*before.delay, firstAskAgain), lastAskAgain)
	}
	s.patience[name] = patience{with: hook, delay: delay, until: now.Add(delay)}
}
