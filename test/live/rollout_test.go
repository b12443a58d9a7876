package live

import (
	"fmt"
	"math"
	"syscall"
	"testing"

	"github.com/headgate/headgate/test/workers"
)

// canaryHas decides that a canary has so many percent of the calls, and waits until that is so everywhere.
func (s *stage) canaryHas(percent int32) {
	s.Helper()
	s.weigh(map[string]int32{primary: (100 - percent) * allParts / 100, canary: percent * allParts / 100, backup: 0})
	s.publish()
	s.untilAcknowledged()
}

// The share that a client gives to a canary is the one that was decided, as soon as it has acknowledged it.
func TestACanaryGetsItsShare(t *testing.T) {
	enough := 3000
	if testing.Short() {
		enough = 1000
	}
	eachClient(t, func(t *testing.T, connect client) {
		s := set(t, connect, setting{canaries: 1})
		for _, percent := range []int32{1, 10, 50} {
			s.canaryHas(percent)
			calls := s.crew.Await("calls", enough, func(workers.Call) bool { return true })
			got := 0
			for _, call := range calls {
				if isOf(call.Pod, canary) {
					got++
				}
			}
			s.Logf("%d %%: %d of %d calls", percent, got, len(calls))
			if chance := chanceOf(got, len(calls), float64(percent)/100); chance < 1e-9 {
				s.Errorf("%d of %d calls, that is not %d %%: chance does it with a probability below %.1g", got, len(calls), percent, chance)
			}
		}
		s.nothingFailed()
	})
}

// chanceOf bounds the probability that so many of n independent calls, or a number further away from its expectation,
// go where each goes with probability p: 2 exp(-n KL(k/n ‖ p)), Chernoff's bound for both tails.
func chanceOf(k, n int, p float64) float64 {
	term := func(a, b float64) float64 {
		if a == 0 {
			return 0
		}
		return a * math.Log(a/b)
	}
	share := float64(k) / float64(n)
	return min(1, 2*math.Exp(-float64(n)*(term(share, p)+term(1-share, 1-p))))
}

// A canary that dies has the stable version as the next priority of its cluster. Nobody has decided anything.
func TestACanaryThatDiesLosesNoCall(t *testing.T) {
	eachClient(t, func(t *testing.T, connect client) {
		s := set(t, connect, setting{canaries: 1})
		s.canaryHas(10)
		s.crew.Await("calls of the canary", 50, by(canary))
		s.signalAll(canary, syscall.SIGKILL)
		<-s.pods[canary][0].gone
		calls := s.crew.Await("calls of the primary", 2*steady, by(primary))
		for _, call := range calls {
			if isOf(call.Pod, backup) {
				s.Errorf("%s answered: the stable version is the primary", call.Pod)
				break
			}
		}
		var failed []workers.Call
		for _, call := range s.ended() {
			if !givenUp(call) {
				failed = append(failed, call)
			}
		}
		s.noneOf(failed)
	})
}

// A rollout is a walk of weights: up to the end, or back from where it was seen to be bad.
func TestNoStepOfARolloutLosesACall(t *testing.T) {
	walks := map[string][]int32{
		"promotion": {0, 1, 10, 25, 50, 100},
		"rollback":  {0, 10, 50, 0},
	}
	eachClient(t, func(t *testing.T, connect client) {
		s := set(t, connect, setting{})
		for _, name := range []string{"promotion", "rollback"} {
			fresh := s.add(canary)
			for _, percent := range walks[name] {
				s.canaryHas(percent)
				s.crew.Await(fmt.Sprintf("calls at %d %%", percent), steady, func(call workers.Call) bool { return call.Err == nil })
				if percent == 0 {
					s.noneIsOf(canary)
				}
			}
			if name == "promotion" {
				s.noneIsOf(primary)
				// The primary is the new version now, and has the calls again.
				s.canaryHas(0)
			}
			s.weigh(map[string]int32{primary: allParts, backup: 0})
			fresh.terminating = true
			s.publish()
			s.untilAcknowledged()
			fresh.signal(syscall.SIGTERM)
			<-fresh.gone
			delete(s.pods, canary)
			s.publish()
			s.untilAcknowledged()
		}
		s.crew.Await("calls", steady, by(primary))
		s.nothingFailed()
	})
}

// noneIsOf: a backend without a share gets no call.
func (s *stage) noneIsOf(backend string) {
	s.Helper()
	for _, call := range s.crew.Await("calls", steady, func(workers.Call) bool { return true }) {
		if isOf(call.Pod, backend) {
			s.Errorf("%s answered, %s has no share", call.Pod, backend)
			return
		}
	}
}
