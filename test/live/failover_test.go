package live

import (
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/status"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/workers"
)

// The default health check: every 250 ms, with 350 ms for an answer, and a second one 50 ms after one without. What is frozen is found
// within 250 + 350 + 50 + 350 ms.
const foundFrozen = time.Second

// late is what a busy machine may add to a time.
const late = 500 * time.Millisecond

// givenUp: gRPC gave the call up with the connection, before it had sent it. It does so when an attempt that it made by
// itself, because the connection of the first one broke, meets a broken connection too (docs/xds.md, Limits).
func givenUp(call workers.Call) bool {
	return status.Convert(call.Err).Message() == "transport is closing"
}

// killPrimaries kills all at once, and is done when the backups serve and everybody has been told.
func (s *stage) killPrimaries() {
	s.Helper()
	killed := time.Now()
	s.signalAll(primary, syscall.SIGKILL)
	s.crew.Await("calls of the backups", steady, by(backup))
	s.Logf("the first answer of a backup ended %s after the kill", s.firstAnswer(backup, killed))
	for i := range s.pods[primary] {
		s.pods[primary][i].unready = true
	}
	s.publish()
	s.untilAcknowledged()
	s.crew.Await("calls of the backups", steady, by(backup))
}

func TestAllPrimariesAreKilledAtOnce(t *testing.T) {
	eachClient(t, func(t *testing.T, connect client) {
		s := set(t, connect, setting{})
		s.killPrimaries()
		var failed []workers.Call
		for _, call := range s.ended() {
			if !givenUp(call) {
				failed = append(failed, call)
			}
		}
		s.noneOf(failed)
	})
}

// Calls that may not run twice fail if they were on their way to a primary, and no other: each connection breaks once, with one call of
// each worker on it.
func TestOnlyCallsOnTheirWayFailThatMayNotRunTwice(t *testing.T) {
	eachClient(t, func(t *testing.T, connect client) {
		s := set(t, connect, setting{once: true})
		killed := time.Now()
		s.signalAll(primary, syscall.SIGKILL)
		for _, p := range s.pods[primary] {
			<-p.gone
		}
		dead := time.Now()
		s.crew.Await("calls of the backups", steady, by(backup))
		failed, last := s.ended(), time.Duration(0)
		for _, call := range failed {
			if call.Ended.Before(killed) {
				s.Errorf("a call failed before anything happened: %v", call.Err)
			}
			last = max(last, call.Began.Sub(killed))
		}
		s.Logf("%d calls failed, the last of them began %s after the first kill; the last primary was dead after %s", len(failed), last, dead.Sub(killed))
		// A connection is broken for its client when it has read so.
		if last > dead.Sub(killed)+late {
			s.Error("a call failed that began when all primaries were long dead")
		}
		if most := twenty.Workers * len(s.pods[primary]); len(failed) > most {
			s.Errorf("%d calls failed, at most %d can have been on a connection that broke", len(failed), most)
		}
	})
}

// Frozen pods accept connections and say nothing. An Envoy finds out by its health checks. A call that may run twice, and is on its way then,
// gets a second attempt; one that may not waits for its deadline.
func TestAllPrimariesFreezeAndComeBack(t *testing.T) {
	for name, once := range map[string]bool{"calls may run twice": false, "calls may not run twice": true} {
		t.Run(name, func(t *testing.T) {
			s := set(t, throughEnvoy, setting{once: once})
			frozen := time.Now()
			s.signalAll(primary, syscall.SIGSTOP)
			// Until those that wait for their deadlines have met them.
			s.crew.Await("calls of the backups", steady, func(call workers.Call) bool {
				return by(backup)(call) && call.Began.Sub(frozen) > foundFrozen+late+twenty.Timeout
			})
			s.signalAll(primary, syscall.SIGCONT)
			s.crew.Await("calls of the primaries", steady, by(primary))
			failed := s.ended()
			if !once {
				s.noneOf(failed)
			}
			if len(failed) > twenty.Workers {
				s.Errorf("%d calls failed, %d were on their way", len(failed), twenty.Workers)
			}
			last := time.Duration(0)
			for _, call := range failed {
				last = max(last, call.Began.Sub(frozen))
			}
			s.Logf("the last call that failed began %s after the freeze", last)
			if last > foundFrozen+late {
				s.Errorf("a call failed that began %s after the freeze, the health check has found it after %s", last, foundFrozen)
			}
		})
	}
}

// An application says of itself that it cannot serve, and answers all the same. Nobody but the health check knows.
func TestPrimariesSayThatTheyDoNotServe(t *testing.T) {
	s := set(t, throughEnvoy, setting{})
	said := time.Now()
	for _, p := range s.pods[primary] {
		p.order("not-ready")
	}
	s.crew.Await("calls of the backups", steady, by(backup))
	s.Logf("the first answer of a backup ended %s after that", s.firstAnswer(backup, said))
	for _, call := range s.crew.Await("calls of the backups", steady, by(backup)) {
		if isOf(call.Pod, primary) {
			s.Fatalf("%s is called %s after it said that it does not serve", call.Pod, call.Began.Sub(said))
		}
	}
	for _, p := range s.pods[primary] {
		p.order("ready")
	}
	s.crew.Await("calls of the primaries", steady, by(primary))
	s.nothingFailed()
}

// As Kubernetes rolls a Deployment out: a new pod, and when it is ready, the end of an old one.
func TestPrimariesAreRestartedOneAfterTheOther(t *testing.T) {
	eachClient(t, func(t *testing.T, connect client) {
		s := set(t, connect, setting{})
		for _, old := range append([]*pod{}, s.pods[primary]...) {
			fresh := s.add(primary)
			s.publish()
			s.untilAcknowledged()
			s.crew.Await("calls of the new pod", 50, by(fresh.name[:len(fresh.name)-len("-1")]))
			old.terminating = true
			s.publish()
			old.signal(syscall.SIGTERM)
			<-old.gone
			s.remove(old)
			s.publish()
			s.untilAcknowledged()
		}
		s.crew.Await("calls of the new pods", steady, by(primary))
		s.nothingFailed()
	})
}

// signalAll signals all pods of a backend at once.
func (s *stage) signalAll(backend string, signal syscall.Signal) {
	for _, p := range s.pods[backend] {
		p.signal(signal)
	}
}

// firstAnswer is how long after a time the first call ended that a backend answered and that began after it.
func (s *stage) firstAnswer(backend string, after time.Time) time.Duration {
	first := time.Duration(-1)
	for _, call := range s.crew.Calls() {
		if since := call.Ended.Sub(after); by(backend)(call) && since > 0 && (first < 0 || since < first) {
			first = since
		}
	}
	return first
}

// remove forgets a pod.
func (s *stage) remove(gone *pod) {
	for backend, pods := range s.pods {
		var left []*pod
		for _, p := range pods {
			if p != gone {
				left = append(left, p)
			}
		}
		s.pods[backend] = left
	}
}

// A health check asks for a service that no pod knows. It calls all of them dead, and they answer all the same.
func TestACheckThatNobodyPassesCostsNoCall(t *testing.T) {
	s := set(t, throughEnvoy, setting{})
	s.exs.Spec.Traffic.HealthCheck = &v1alpha1.HealthCheck{Mode: ptr.To(v1alpha1.HealthCheckAlways), Service: ptr.To("no-such-service")}
	s.publish()
	s.untilAcknowledged()
	checked := time.Now()
	s.crew.Await("calls after the check has failed", steady, func(call workers.Call) bool { return call.Began.Sub(checked) > foundFrozen+late })
	s.noneOf(s.ended())
}
