package deployments

import (
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/metrics"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/webhook"
)

// timetable is a queue whose items are taken out by the test, when they are due.
type timetable struct {
	queue.Queue[webhookKey]

	clock *testingclock.FakeClock
	due   map[webhookKey]time.Time
}

func (q *timetable) Add(item webhookKey) { q.AddAfter(item, 0) }

func (q *timetable) AddAfter(item webhookKey, after time.Duration) {
	at := q.clock.Now().Add(after)
	if due, waits := q.due[item]; !waits || at.Before(due) {
		q.due[item] = at
	}
}

// asking is one ExposedService with one webhook, at a server of the test's.
type asking struct {
	*Webhooks

	t       *testing.T
	clock   *testingclock.FakeClock
	items   *timetable
	exs     *v1alpha1.ExposedService
	intents rollout.Intents
}

func newAsking(t *testing.T, server http.HandlerFunc) *asking {
	t.Helper()
	s := httptest.NewServer(server)
	t.Cleanup(s.Close)
	clock := testingclock.NewFakeClock(time.Unix(1_000_000, 0))
	a := &asking{
		t: t, clock: clock, items: &timetable{clock: clock, due: map[webhookKey]time.Time{}},
		exs: &v1alpha1.ExposedService{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter", UID: types.UID("u")},
			Spec: v1alpha1.ExposedServiceSpec{Rollout: &v1alpha1.Rollout{Analysis: &v1alpha1.Analysis{
				Webhooks: []v1alpha1.RolloutWebhook{{Name: "smoke", URL: s.URL}},
			}}},
		},
		intents:  rollout.Intents{Revision: "r", Step: 1, Steps: 2},
		Webhooks: NewWebhooks(nil, webhook.Client{Clock: clock, Dial: (&net.Dialer{}).DialContext}, clock, metrics.New(), &queue.WakeUps{}),
	}
	a.queue = a.items
	a.begin()
	return a
}

// begin begins the step anew.
func (a *asking) begin() {
	started := metav1.NewMicroTime(a.clock.Now())
	a.exs.Status.Rollout = &v1alpha1.RolloutStatus{StepStarted: &started}
}

// want has the webhook asked, or not while an obstacle is in the way.
func (a *asking) want(names ...string) {
	a.intents.Ask = names
	a.follow(a.exs, a.intents)
}

// turn has those asked who are due.
func (a *asking) turn() {
	for item, due := range a.items.due {
		if !due.After(a.clock.Now()) {
			delete(a.items.due, item)
			a.askInTurn(a.t.Context(), item)
		}
	}
}

// TestAnObstacleThatComesAndGoesAsksNoMore: whether the webhook is wanted all the time or flaps each second, it is asked after 2, 4, … 60 s.
func TestAnObstacleThatComesAndGoesAsksNoMore(t *testing.T) {
	want := []int{0, 2, 6, 14, 30, 62, 122, 182}
	for name, flaps := range map[string]func(second int) bool{
		"steady":                    func(int) bool { return false },
		"each second":               func(second int) bool { return second%2 == 1 },
		"twice in a row of four":    func(second int) bool { return second%4 > 1 },
		"away when it would be due": func(second int) bool { return second == 2 || second == 6 },
	} {
		var asked []int
		second := 0
		a := newAsking(t, func(w http.ResponseWriter, _ *http.Request) {
			asked = append(asked, second)
			w.WriteHeader(http.StatusForbidden)
		})
		for ; second < 200; second++ {
			if flaps(second) {
				a.want()
				a.turn()
			}
			a.want("smoke")
			a.turn()
			a.clock.Step(time.Second)
		}
		if !slices.Equal(asked, want) {
			t.Errorf("%s: asked at %v, want %v", name, asked, want)
		}
	}
}

// A step that is begun anew, and a webhook that was changed, are asked about at once.
func TestWhatIsNewIsAskedAtOnce(t *testing.T) {
	asked := 0
	a := newAsking(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusForbidden)
	})
	look := func() {
		a.want("smoke")
		a.turn()
	}
	for range 20 {
		look()
		a.clock.Step(time.Second)
	}
	before := asked
	a.begin()
	look()
	if asked != before+1 {
		t.Error("the new run of the step waits for what its former run was to wait for")
	}
	a.exs.Spec.Rollout.Analysis.Webhooks[0].URL += "/other"
	look()
	if asked != before+2 {
		t.Error("the changed webhook waits for what it was to wait for before")
	}
	a.clock.Step(firstAskAgain)
	look()
	if asked != before+3 {
		t.Error("the first time to wait is not the shortest")
	}
}

// TestAnAnswerCountsForTheRunThatItWasAskedFor: a step that is begun anew has the same ID, and is asked about anew.
func TestAnAnswerCountsForTheRunThatItWasAskedFor(t *testing.T) {
	var a *asking
	var during func()
	a = newAsking(t, func(http.ResponseWriter, *http.Request) { during() })
	during = func() {
		a.clock.Step(time.Second)
		a.begin()
		a.want("smoke")
	}
	a.want("smoke")
	a.turn()
	if got := a.Answers(a.exs); len(got) > 0 {
		t.Errorf("an answer for the former run counts: %v", got)
	}
	during = func() {}
	a.turn()
	if got := a.Answers(a.exs); !got["smoke"].Agrees {
		t.Errorf("the answer for this run does not count: %v", got)
	}
	a.want("smoke") // Decided before the answer came.
	asked := false
	during = func() { asked = true }
	a.clock.Step(time.Hour)
	a.turn()
	if asked {
		t.Error("who has agreed is asked again")
	}
}
