package live

import (
	"syscall"
	"testing"

	"github.com/headgate/headgate/test/controlplane"
)

// One of two replicas of Headgate is lost without a word, and with it the client's connection. The client finds the other.
func TestOneOfTwoReplicasIsLost(t *testing.T) {
	eachClient(t, func(t *testing.T, connect client) {
		s := set(t, connect, setting{replicas: 2})
		s.front.lose(s.connectedTo())
		s.untilAcknowledged()
		s.crew.Await("calls", steady, by(primary))
		// What the other one says counts.
		for _, p := range s.pods[primary] {
			p.unready = true
		}
		s.publish()
		s.crew.Await("calls of the backups", steady, by(backup))
		s.nothingFailed()
	})
}

// connectedTo is the replica that the client is connected to.
func (s *stage) connectedTo() *controlplane.ControlPlane {
	s.Helper()
	for _, replica := range s.replicas {
		if replica.Cache.Status(s.owner()).Clients > 0 {
			return replica
		}
	}
	s.Fatal("the client is connected to none")
	return nil
}

// Nobody is left to say anything, and the primaries die.
func TestThereIsNoHeadgateAndAllPrimariesAreKilled(t *testing.T) {
	eachClient(t, func(t *testing.T, connect client) {
		s := set(t, connect, setting{})
		s.front.lose(s.replicas[0])
		s.crew.Await("calls", steady, by(primary))
		s.signalAll(primary, syscall.SIGKILL)
		s.crew.Await("calls of the backups", steady, by(backup))
		failed := s.ended()
		for _, call := range failed {
			if !givenUp(call) {
				s.noneOf(failed)
				break
			}
		}
	})
}
