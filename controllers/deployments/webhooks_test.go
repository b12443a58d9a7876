package deployments

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/metrics"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/webhook"
)

// Webhooks of one tenant that do not answer hold up that tenant's, however many there are.
func TestSlowWebhooksOfOneNamespaceDelayNoOther(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	asked := make(chan string, 100)
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // Only then does the server notice who hangs up.
		asked <- "slow"
		<-r.Context().Done()
	}))
	defer slow.Close()
	quick := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- "quick" }))
	defer quick.Close()
	webhooks := NewWebhooks(nil, webhook.Client{Clock: clock.RealClock{}, Dial: (&net.Dialer{}).DialContext}, clock.RealClock{}, metrics.New(), &queue.WakeUps{})
	ended := make(chan error)
	go func() { ended <- webhooks.Start(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	const each = 8
	for i := range 2 * webhooksAtOnce / each {
		follow(webhooks, "slow", fmt.Sprint("exs-", i), slow.URL, each)
	}
	for i := range webhooksPerNamespace {
		if got := <-asked; got != "slow" {
			t.Fatalf("%s was asked as number %d", got, i)
		}
	}
	// As many as there may be of one namespace hang now, and stay so.
	follow(webhooks, "quick", "exs", quick.URL, 1)
	if got := <-asked; got != "quick" {
		t.Errorf("%s was asked beside those that hang", got)
	}
}

// What waits for its turn gets it.
func TestAllWebhooksOfANamespaceAreAskedInTurn(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	asked := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	defer server.Close()
	webhooks := NewWebhooks(nil, webhook.Client{Clock: clock.RealClock{}, Dial: (&net.Dialer{}).DialContext}, clock.RealClock{}, metrics.New(), &queue.WakeUps{})
	ended := make(chan error)
	const n = 8 * webhooksPerNamespace
	follow(webhooks, "shop", "exs", server.URL, n)
	go func() { ended <- webhooks.Start(ctx) }()
	seen := map[string]bool{}
	for len(seen) < n {
		seen[<-asked] = true
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(webhooks.asking) > 0 || len(webhooks.waiting) > 0 {
		t.Errorf("asked %v, waiting %v after the end", webhooks.asking, webhooks.waiting)
	}
}

// follow has n webhooks at a URL asked for an ExposedService.
func follow(webhooks *Webhooks, namespace, name, url string, n int) {
	started := metav1.NewMicroTime(time.Unix(1, 0))
	exs := &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.ExposedServiceSpec{Rollout: &v1alpha1.Rollout{Analysis: &v1alpha1.Analysis{}}},
		Status:     v1alpha1.ExposedServiceStatus{Rollout: &v1alpha1.RolloutStatus{StepStarted: &started}},
	}
	intents := rollout.Intents{Revision: "r", Step: 1, Steps: 2}
	for i := range n {
		hook := v1alpha1.RolloutWebhook{Name: fmt.Sprint("hook-", i), URL: fmt.Sprint(url, "/", i), Timeout: ptr.To[v1alpha1.Duration]("1m")}
		exs.Spec.Rollout.Analysis.Webhooks = append(exs.Spec.Rollout.Analysis.Webhooks, hook)
		intents.Ask = append(intents.Ask, hook.Name)
	}
	webhooks.follow(exs, intents)
}
