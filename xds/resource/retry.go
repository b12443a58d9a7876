package resource

import (
	"slices"
	"strings"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	previousprioritiesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/hedging"
)

const (
	defaultAttempts = 5
	backOffBase     = 25 * time.Millisecond
	backOffMax      = 200 * time.Millisecond
	// hostSelections is how often Envoy looks for an endpoint that has not been tried, before it takes one that
	// has.
	hostSelections = 5
	// attemptsPerPriority: each further attempt may go to the next priority, because the one that
	// failed may be dead as a whole.
	attemptsPerPriority = 1
	// maxGRPCAttempts is how often gRPC clients make a call at most, whatever they are told ("values greater than 5 are treated as 5",
	// gRFC A6). The C core logs an error each time that it is told more.
	maxGRPCAttempts = 5
)

// once are the attempts that can be made again although the call may not run twice: they have not run.
var once = []v1alpha1.RetryTrigger{"connect-failure", "refused-stream", "reset-before-request"}

// twice are those that are made again where the call may run twice. UNAVAILABLE is not among them: that is what a server answers that
// has too much to do, and each such call would come again.
var twice = []v1alpha1.RetryTrigger{"connect-failure", "refused-stream", "reset", "cancelled"}

// knownToGRPC are the triggers that gRPC clients know (gRFC A44): codes that a server answers with. Calls that no
// server has seen they make again by themselves.
var knownToGRPC = []v1alpha1.RetryTrigger{"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"}

// retryForEnvoy is nil where nothing is to be tried again.
func (s *service) retryForEnvoy() *routev3.RetryPolicy {
	out := s.retry(s.triggers())
	if out == nil {
		return nil
	}
	if s.traffic.perTryTimeout > 0 {
		out.PerTryTimeout = durationpb.New(s.traffic.perTryTimeout)
	}
	out.RetryPriority = &routev3.RetryPolicy_RetryPriority{
		Name: "envoy.retry_priorities.previous_priorities",
		ConfigType: &routev3.RetryPolicy_RetryPriority_TypedConfig{TypedConfig: packed(
			&previousprioritiesv3.PreviousPrioritiesConfig{UpdateFrequency: attemptsPerPriority})},
	}
	out.RetryHostPredicate = []*routev3.RetryPolicy_RetryHostPredicate{{
		Name: "envoy.retry_host_predicates.previous_hosts",
		ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: packed(
			&previoushostsv3.PreviousHostsPredicate{})},
	}}
	out.HostSelectionRetryMaxAttempts = hostSelections
	return out
}

// retryForGRPC is nil where gRPC clients know none of the triggers. To them a connection that breaks under a call is UNAVAILABLE, as
// an answer of the server with that code is: where the call may run twice, both are made again.
func (s *service) retryForGRPC() *routev3.RetryPolicy {
	triggers := slices.DeleteFunc(slices.Clone(s.triggers()), func(t v1alpha1.RetryTrigger) bool {
		return !slices.Contains(knownToGRPC, t)
	})
	if s.mayRunTwice() && len(s.retrySpec().RetryOn) == 0 {
		triggers = append(triggers, "unavailable")
	}
	out := s.retry(triggers)
	if out != nil {
		out.NumRetries = wrapperspb.UInt32(min(out.GetNumRetries().GetValue(), maxGRPCAttempts-1))
	}
	return out
}

// hedgePolicy lets an attempt that is silent for the per-try timeout go on beside the next one. It is there whether there is a timeout
// now or not, so that none is ever without it.
func (s *service) hedgePolicy() *routev3.HedgePolicy {
	if !s.mayRunTwice() {
		return nil
	}
	return &routev3.HedgePolicy{HedgeOnPerTryTimeout: true}
}

func (s *service) retry(triggers []v1alpha1.RetryTrigger) *routev3.RetryPolicy {
	attempts := uint32(defaultAttempts)
	if spec := s.retrySpec(); spec.Attempts != nil {
		attempts = uint32(max(*spec.Attempts, 0))
	}
	if attempts == 0 || len(triggers) == 0 {
		return nil
	}
	words := make([]string, len(triggers))
	for i, trigger := range triggers {
		words[i] = string(trigger)
	}
	return &routev3.RetryPolicy{
		RetryOn:    strings.Join(words, ","),
		NumRetries: wrapperspb.UInt32(attempts),
		RetryBackOff: &routev3.RetryPolicy_RetryBackOff{
			BaseInterval: durationpb.New(backOffBase), MaxInterval: durationpb.New(backOffMax),
		},
	}
}

func (s *service) triggers() []v1alpha1.RetryTrigger {
	spec := s.retrySpec()
	switch {
	case len(spec.RetryOn) > 0:
		return spec.RetryOn
	case s.mayRunTwice():
		return twice
	}
	return once
}

func (s *service) mayRunTwice() bool { return hedging.MayRunTwice(s.exs.Spec.Traffic) }

func (s *service) retrySpec() v1alpha1.Retry {
	if t := s.exs.Spec.Traffic; t != nil && t.Retry != nil {
		return *t.Retry
	}
	return v1alpha1.Retry{}
}
