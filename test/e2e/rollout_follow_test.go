package e2e

import (
	"github.com/headgate/headgate/test/scene"
)

// follower watches what becomes of the primary's pods, in Kubernetes and in Envoy.
type follower struct {
	*trial
	pods   *scene.Census
	places *scene.Places
}

// follow begins to watch.
func (t *trial) follow() *follower {
	t.Helper()
	pods, err := cluster.Count(t.ctx, t.space, primary)
	must(t.T, err)
	places, err := cluster.FollowPlaces(t.ctx, t.exs)
	must(t.T, err)
	return &follower{trial: t, pods: pods, places: places}
}

// startedOnce fails the test unless a version has had as many pods as it is to have, and none that was started in vain.
func (f *follower) startedOnce(hash string, want int) {
	f.Helper()
	if pods := f.pods.Pods(hash); len(pods) != want {
		f.Errorf("%d pods of %s were started, want %d: %+v", len(pods), hash, want, pods)
	}
}

// nobodyMoved fails the test if an endpoint of the primary's has changed its locality or priority in Envoy, of which so many at least were there.
func (f *follower) nobodyMoved(atLeast int) {
	f.Helper()
	moved, err := f.places.Moved(f.pods.Addresses(), atLeast)
	must(f.T, err)
	for _, line := range moved {
		f.Errorf("an endpoint changed its place: %s", line)
	}
}
