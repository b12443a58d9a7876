package judge

import "time"

const (
	// outageShare is the share of stable's calls that fail in an outage, outageErrors how many of them at least.
	outageShare  = 0.1
	outageErrors = 5
	// outagePods is in how many pods an outage is at least. Where pods are not known it takes as many times as many errors.
	outagePods = 3
)

// outage says that stable fails so often that something else is wrong than the canary, and more than one of stable's pods.
func (n sums) outage(pods spread) bool {
	if float64(n.stableErrors) <= outageShare*float64(n.stableCalls) {
		return false
	}
	known, failing := pods.failing()
	if known < outagePods {
		return n.stableErrors >= outagePods*outageErrors
	}
	return n.stableErrors >= outageErrors && failing >= outagePods && 3*failing >= known
}

// outageAround says whether stable fails in a block, or not further away from it than around.
func (s State) outageAround(i int) bool {
	if s.blocks[i].outage {
		return true
	}
	apart := time.Duration(0)
	for at := i + 1; at < len(s.blocks) && apart < around; at++ {
		if s.blocks[at].outage {
			return true
		}
		apart = later(apart, s.blocks[at].elapsed)
	}
	if apart < around && s.open.sums.outage(s.spread) {
		return true
	}
	apart = 0
	for at := i - 1; at >= 0 && apart < around; at-- {
		if s.blocks[at].outage {
			return true
		}
		apart = later(apart, s.blocks[at].elapsed)
	}
	return false
}

// commonOutage says whether a block teaches nothing, because stable fails around it and the canary may do so for the same reason.
//
// A canary that is spared is no part of it: where stable alone fails for as long as it runs, the version that mends it must be able to
// take its place. That is proved like all else, from whole outages, so that counts that are late on one side prove nothing.
func (s State) commonOutage(i int) (State, bool) {
	if s.outageAround(i) {
		s.episode = s.episode.plus(s.blocks[i].sums)
		if s.episode.elapsed >= longEpisode {
			s = s.endEpisode()
		}
		return s, !s.spared()
	}
	return s.endEpisode(), false
}

// longEpisode is the time after which an outage that goes on is taken in.
const longEpisode = longBlock

func (s State) endEpisode() State {
	if n := s.episode.of(kindErrors); n.canaryCalls > 0 && n.stableCalls > 0 {
		s.sparing = s.sparing.advance(pace{first: 1, perTick: sparedNats / 2}, lessThan(Margin{Ratio: 0.5}, n, 0.01).gains(n), s.episode.elapsed)
	}
	s.episode = sums{}
	return s
}

// sparedNats is the evidence that the canary is spared from outages of stable.
const sparedNats = 3

func (s State) spared() bool { return s.sparing.lnE() >= sparedNats }

// worstLately is stable's worst error rate in the outages of the last moments; 0: there was none.
func (s State) worstLately() float64 {
	worst := 0.0
	if s.open.sums.outage(s.spread) {
		worst = s.open.stableRate()
	}
	apart := s.open.elapsed
	for i := len(s.blocks) - 1; i >= 0 && apart < around; i-- {
		if s.blocks[i].outage {
			worst = max(worst, s.blocks[i].stableRate())
		}
		apart = later(apart, s.blocks[i].elapsed)
	}
	return worst
}

func (n sums) stableRate() float64 { return float64(n.stableErrors) / float64(max(1, n.stableCalls)) }

// Outage says that stable fails, or did a moment ago: nothing of that proves anything.
func (s State) Outage() bool { return s.worstLately() > 0 && !s.spared() }
