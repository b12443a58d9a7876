package controllers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/metrics"
	"github.com/headgate/headgate/webhook"
)

// gatekeeper is a webhook that does as it is told, and remembers who asked.
type gatekeeper struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	words  string
	asked  []askedQuestion
}

type askedQuestion struct {
	webhook.Question
	body              []byte
	id, at, signature string
}

func newGatekeeper(t *testing.T, status int, words string) *gatekeeper {
	g := &gatekeeper{status: status, words: words}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked := askedQuestion{
			body: body, id: r.Header.Get(webhook.HeaderID), at: r.Header.Get(webhook.HeaderTimestamp), signature: r.Header.Get(webhook.HeaderSignature),
		}
		if err := json.Unmarshal(body, &asked.Question); err != nil {
			t.Error(err)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.asked = append(g.asked, asked)
		w.WriteHeader(g.status)
		_, _ = io.WriteString(w, g.words)
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gatekeeper) says(status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status = status
}

func (g *gatekeeper) questions() []askedQuestion {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.asked)
}

func asking(hooks ...v1alpha1.RolloutWebhook) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout.Analysis.Webhooks = hooks }
}

func TestAWebhookThatRefusesHoldsTheStepUntilItAgrees(t *testing.T) {
	g := newGatekeeper(t, http.StatusForbidden, `{"message": "frozen until Monday"}`)
	s := newShipper(t, asking(v1alpha1.RolloutWebhook{
		Name: "change-board", URL: g.URL + "/greeter",
		SecretRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "signing"}, Key: "key"},
	}))
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "signing"}, StringData: map[string]string{"key": "a secret of more than 24 bytes"}})
	o := s.open()
	s.expose()
	s.ship("app:2")
	s.eventually("the webhook refuses", func() error {
		return s.conditionIs(s.exs, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonAwaitingWebhook,
			"change-board", "403 Forbidden: frozen until Monday")
	})
	if r := s.exs.Status.Rollout; r.Step != 1 || r.Progress != "1/2 webhook change-board" {
		t.Errorf("%+v", r)
	}
	s.eventually("it is asked again", func() error {
		if n := len(g.questions()); n < 2 {
			return fmt.Errorf("asked %d times", n)
		}
		return nil
	})
	g.says(http.StatusOK)
	s.until("the rollout ends", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Stable == r.Revision })

	r, ids := s.exs.Status.Rollout, map[int32]string{}
	for _, q := range g.questions() {
		if q.Name != "greeter" || q.Namespace != s.namespace || q.Revision != r.Revision || q.Steps != 2 || q.id != q.ID {
			t.Errorf("asked %+v", q)
		}
		if want := map[int32]json.Number{1: "20", 2: "50"}[q.Step]; q.WeightPercent != want {
			t.Errorf("weight %s in step %d", q.WeightPercent, q.Step)
		}
		if before := ids[q.Step]; before != "" && before != q.ID {
			t.Errorf("step %d was asked about as %s and as %s", q.Step, before, q.ID)
		}
		ids[q.Step] = q.ID
		if !bytes.Contains(q.body, []byte(webhook.TypeStepLeaving)) || !strings.HasPrefix(q.signature, "v1,") || q.at == "" {
			t.Errorf("body %s, headers %+v", q.body, q)
		}
	}
	if len(ids) != 2 || ids[1] == ids[2] {
		t.Errorf("IDs: %v", ids)
	}
	o.countsWebhooks(t, map[string]float64{metrics.WebhookAgreed: 2, metrics.WebhookDeclined: float64(len(g.questions()) - 2), metrics.WebhookUnanswered: 0})
}

// countsWebhooks fails the test unless so many questions are counted, by result.
func (o *operator) countsWebhooks(t *testing.T, want map[string]float64) {
	t.Helper()
	for result, n := range want {
		if got := counterValue(t, o.Metrics.Webhooks.WithLabelValues(result)); got != n {
			t.Errorf("%v questions are counted as %s, not %v", got, result, n)
		}
	}
}

func TestAWebhookThatIsDownHoldsTheStepAndIsNamed(t *testing.T) {
	down := newGatekeeper(t, http.StatusOK, "")
	down.Close()
	up := newGatekeeper(t, http.StatusOK, "")
	unreadable := v1alpha1.RolloutWebhook{
		Name: "no-key", URL: up.URL,
		SecretRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "nobody"}, Key: "key"},
	}
	s := newShipper(t, asking(v1alpha1.RolloutWebhook{Name: "up", URL: up.URL}, v1alpha1.RolloutWebhook{Name: "down", URL: down.URL}, unreadable))
	o := s.open()
	s.expose()
	s.ship("app:2")
	s.eventually("those that do not agree are named", func() error {
		return s.conditionIs(s.exs, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonAwaitingWebhook,
			"waits for webhooks to agree: down (", "connection refused", "no-key (is not asked: read Secret "+s.namespace+"/nobody")
	})
	if strings.Contains(s.exs.Status.Rollout.Message, "up (") {
		t.Errorf("it says %s", s.exs.Status.Rollout.Message)
	}
	if unanswered := counterValue(t, o.Metrics.Webhooks.WithLabelValues(metrics.WebhookUnanswered)); unanswered < 2 {
		t.Errorf("%v questions without an answer are counted", unanswered)
	}
	asked := len(up.questions())
	edit(s.world, s.exs, func(exs *v1alpha1.ExposedService) {
		exs.Spec.Rollout.Analysis.Webhooks = exs.Spec.Rollout.Analysis.Webhooks[:1]
	})
	s.untilStep(2)
	if n := len(up.questions()); asked != 1 || n > 2 {
		t.Errorf("the one that agreed was asked %d times, then %d", asked, n)
	}
	s.until("the end", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle })
	s.eventually("what was asked is forgotten", func() error {
		if n := o.Deployments.Webhooks.Asked(); n > 0 {
			return fmt.Errorf("%d are remembered", n)
		}
		return nil
	})
}
