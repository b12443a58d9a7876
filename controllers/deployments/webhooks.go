package deployments

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/metrics"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/webhook"
)

const (
	// webhooksAtOnce is how many webhooks are asked at the same time, and webhooksPerNamespace how many of them for one
	// namespace: those that are slow hold up their own tenant, and nobody else.
	webhooksAtOnce       = 32
	webhooksPerNamespace = 4
	// A webhook that does not agree is asked again after firstAskAgain, then each time after twice as
	// long, up to lastAskAgain.
	firstAskAgain = 2 * time.Second
	lastAskAgain  = time.Minute
	// webhookTimeout is how long an answer may take unless the spec says otherwise, which may ask for no more than
	// maxWebhookTimeout.
	webhookTimeout    = 10 * time.Second
	maxWebhookTimeout = time.Minute
)

// Webhooks asks the webhooks of rollouts whether a step may be left. It is told whom to ask after the
// decision is written, and asks on its own time: its answers are facts of a later run. It remembers
// nothing over a restart; a question that is asked again has the same ID. It runs on the leader only, like
// those who decide.
type Webhooks struct {
	client  webhook.Client
	reader  client.Reader
	metrics *metrics.Metrics
	clock   clock.PassiveClock
	// queue holds who may be asked. When each is to be asked again is not the queue's: that belongs to the run of the step.
	queue queue.Queue[webhookKey]
	// wake tells the reconciler that there is something new.
	wake *queue.WakeUps

	mu    sync.Mutex
	asked map[types.NamespacedName]*askedStep
	// asking is how many are asked now, by namespace; waiting are those that are not asked before one of them is done.
	asking  map[string]int
	waiting map[string][]webhookKey
}

// webhookKey names a webhook of an ExposedService.
type webhookKey struct {
	exs  types.NamespacedName
	name string
}

// askedStep is what is asked about one run of one step. When the step is begun anew, so is this.
type askedStep struct {
	question webhook.Question
	started  time.Time
	// wanted are the webhooks to ask. Those that agreed, or that need not be asked any more, are gone from it.
	wanted  map[string]v1alpha1.RolloutWebhook
	answers map[string]webhookAnswer
	// patience is how long those that were asked are left alone. It outlasts an obstacle that comes and goes.
	patience map[string]patience
}

// webhookAsking is a webhook that is asked, and for which run of the step.
type webhookAsking struct {
	hook     v1alpha1.RolloutWebhook
	question webhook.Question
	started  time.Time
}

// webhookAnswer is an answer, and the webhook as it was when it gave it.
type webhookAnswer struct {
	from v1alpha1.RolloutWebhook
	rollout.Answer
}

// NewWebhooks asks nobody yet.
func NewWebhooks(
	reader client.Reader, client webhook.Client, clock clock.WithTicker, m *metrics.Metrics, wake *queue.WakeUps,
) *Webhooks {
	return &Webhooks{
		client: client, reader: reader, metrics: m, clock: clock, wake: wake, asked: map[types.NamespacedName]*askedStep{},
		asking: map[string]int{}, waiting: map[string][]webhookKey{},
		queue: queue.New[webhookKey](firstAskAgain, lastAskAgain, clock),
	}
}

// follow asks the webhooks that the decision names, and no others any more.
func (a *Webhooks) follow(exs *v1alpha1.ExposedService, intents rollout.Intents) {
	key := client.ObjectKeyFromObject(exs)
	status := exs.Status.Rollout
	if status == nil || status.StepStarted == nil {
		a.forget(key)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	step := a.asked[key]
	question := questionAbout(exs, intents)
	if !step.isRun(question.ID, status.StepStarted.Time) {
		if len(intents.Ask) == 0 {
			delete(a.asked, key)
			return
		}
		step = &askedStep{started: status.StepStarted.Time, answers: map[string]webhookAnswer{}, patience: map[string]patience{}}
		a.asked[key] = step
	}
	before := step.wanted
	step.question, step.wanted = question, map[string]v1alpha1.RolloutWebhook{}
	for _, name := range intents.Ask {
		hook, found := webhookOf(exs, name)
		if !found {
			continue
		}
		step.wanted[name] = hook
		if have, already := before[name]; !already || !equality.Semantic.DeepEqual(have, hook) {
			a.queue.AddAfter(webhookKey{key, name}, step.rest(name, hook, a.clock.Now()))
		}
	}
}

// isRun says whether a step that is asked about is this run of it. Nil is none.
func (s *askedStep) isRun(id string, started time.Time) bool {
	return s != nil && s.question.ID == id && s.started.Equal(started)
}

// questionAbout is what to ask about the step of the status.
func questionAbout(exs *v1alpha1.ExposedService, intents rollout.Intents) webhook.Question {
	status := exs.Status.Rollout
	return webhook.Question{
		Type: webhook.TypeStepLeaving, ID: webhook.ID(string(exs.UID), intents.Revision, intents.Step),
		Namespace: exs.Namespace, Name: exs.Name, Stable: status.Stable, Revision: intents.Revision,
		Step: intents.Step, Steps: intents.Steps, WeightPercent: webhook.WeightPercent(intents.Weight),
	}
}

func webhookOf(exs *v1alpha1.ExposedService, name string) (v1alpha1.RolloutWebhook, bool) {
	if exs.Spec.Rollout == nil || exs.Spec.Rollout.Analysis == nil {
		return v1alpha1.RolloutWebhook{}, false
	}
	for _, hook := range exs.Spec.Rollout.Analysis.Webhooks {
		if hook.Name == name {
			return *hook.DeepCopy(), true
		}
	}
	return v1alpha1.RolloutWebhook{}, false
}

// Answers are those to what is asked of the ExposedService as it is now: a webhook that was changed since
// has given none.
func (a *Webhooks) Answers(exs *v1alpha1.ExposedService) map[string]rollout.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	step := a.asked[client.ObjectKeyFromObject(exs)]
	status := exs.Status.Rollout
	if step == nil || status == nil || status.StepStarted == nil || !step.started.Equal(status.StepStarted.Time) {
		return nil
	}
	out := map[string]rollout.Answer{}
	for name, given := range step.answers {
		if hook, found := webhookOf(exs, name); found && equality.Semantic.DeepEqual(hook, given.from) {
			out[name] = given.Answer
		}
	}
	return out
}

// Asked is of how many ExposedServices webhooks are asked.
func (a *Webhooks) Asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

func (a *Webhooks) forget(key types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.asked, key)
}

// Start asks until the context ends.
func (a *Webhooks) Start(ctx context.Context) error {
	return queue.Serve(ctx, a.queue, webhooksAtOnce, a.askInTurn)
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: only who decides asks.
func (a *Webhooks) NeedLeaderElection() bool { return true }

// askInTurn asks a webhook, if its namespace has a turn left.
func (a *Webhooks) askInTurn(ctx context.Context, item webhookKey) {
	if !a.takeTurn(item) {
		return
	}
	defer a.endTurn(item.exs.Namespace)
	asking, wanted := a.wantedOf(item)
	if !wanted {
		return
	}
	answer := a.ask(ctx, item.exs.Namespace, asking.hook, asking.question)
	if ctx.Err() != nil {
		return // It was broken off, and says nothing.
	}
	a.metrics.CountWebhook(answer)
	if a.note(item, asking, answer) {
		a.wake.Wake(item.exs)
	}
}

// takeTurn says whether a webhook may be asked now. Otherwise it is put into the queue again when another one of its
// namespace is done.
func (a *Webhooks) takeTurn(item webhookKey) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	namespace := item.exs.Namespace
	if a.asking[namespace] >= webhooksPerNamespace {
		if !slices.Contains(a.waiting[namespace], item) {
			a.waiting[namespace] = append(a.waiting[namespace], item)
		}
		return false
	}
	a.asking[namespace]++
	return true
}

// endTurn lets the next one of the namespace be asked.
func (a *Webhooks) endTurn(namespace string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asking[namespace]--; a.asking[namespace] == 0 {
		delete(a.asking, namespace)
	}
	if waiting := a.waiting[namespace]; len(waiting) > 0 {
		a.queue.Add(waiting[0])
		if a.waiting[namespace] = waiting[1:]; len(waiting) == 1 {
			delete(a.waiting, namespace)
		}
	}
}

// wantedOf says whom to ask what, if that is wanted now. What is to be left alone for a while yet comes again after that.
func (a *Webhooks) wantedOf(item webhookKey) (webhookAsking, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	step := a.asked[item.exs]
	if step == nil {
		return webhookAsking{}, false
	}
	hook, wanted := step.wanted[item.name]
	if given := step.answers[item.name]; !wanted || given.Agrees && equality.Semantic.DeepEqual(given.from, hook) {
		return webhookAsking{}, false
	}
	if rest := step.rest(item.name, hook, a.clock.Now()); rest > 0 {
		a.queue.AddAfter(item, rest)
		return webhookAsking{}, false
	}
	return webhookAsking{hook, step.question, step.started}, true
}

func (a *Webhooks) ask(ctx context.Context, namespace string, hook v1alpha1.RolloutWebhook, question webhook.Question) webhook.Answer {
	target := webhook.Target{URL: hook.URL, Timeout: webhookTimeout, CABundle: hook.CABundle}
	if timeout, err := time.ParseDuration(string(ptr.Deref(hook.Timeout, ""))); err == nil && timeout > 0 {
		target.Timeout = min(timeout, maxWebhookTimeout)
	}
	key, err := a.signingKey(ctx, namespace, hook.SecretRef)
	if err != nil {
		return webhook.Answer{Words: "is not asked: " + err.Error()}
	}
	target.Key = key
	return a.client.Ask(ctx, target, question)
}

// signingKey is what requests are signed with; nil: they are not.
func (a *Webhooks) signingKey(ctx context.Context, namespace string, ref *corev1.SecretKeySelector) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	key, err := kube.SecretKey(ctx, a.reader, namespace, ref)
	if err != nil || key == nil {
		return nil, err
	}
	if key, err = webhook.Key(key); err != nil {
		return nil, fmt.Errorf("key %s of Secret %s/%s cannot sign: %w", ref.Key, namespace, ref.Name, err)
	}
	return key, nil
}

// note keeps an answer to what is still asked, and says whether it is news. An answer for a former run of the step is none: what it was
// given for has been begun anew, with the same ID. A webhook that does not agree is asked again later.
func (a *Webhooks) note(item webhookKey, asked webhookAsking, answer webhook.Answer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	step, question := a.asked[item.exs], asked.question
	if !step.isRun(question.ID, asked.started) {
		return false
	}
	if !answer.Agrees {
		step.leaveAlone(item.name, asked.hook, a.clock.Now())
		a.queue.AddAfter(item, step.rest(item.name, asked.hook, a.clock.Now()))
	}
	given := webhookAnswer{asked.hook, rollout.Answer{Revision: question.Revision, Step: question.Step, Agrees: answer.Agrees, Words: answer.Words}}
	if before := step.answers[item.name]; before.Answer == given.Answer && equality.Semantic.DeepEqual(before.from, given.from) {
		return false
	}
	step.answers[item.name] = given
	return true
}
