package judge

import "time"

const (
	// blockLength is the time of a block, in which what one pod does counts as one event: a pause, a lost connection, a full queue.
	blockLength = 10 * time.Second
	// longBlock is that of a block in which one side has only a few calls.
	longBlock = time.Minute
	// fewCalls are so few that a block waits for more.
	fewCalls = 5
	// around is how long before and after a block an outage of stable says that the block teaches nothing. Counts of one side may be as
	// late as that.
	around = 20 * time.Second
	// partsOfAVerdict is how many events at least it takes to roll back. What happens in a block and the one after it is one.
	partsOfAVerdict = 4
	// partsOfALatencyVerdict is the same for latencies: each block has many of them, and nothing sooner asks about them.
	partsOfALatencyVerdict = 2
	// coldDifference is the share of the calls to cold pods that may fail.
	coldDifference = 0.25
)

// block is a stretch of time that is judged as one, once it is known what happened around it.
type block struct {
	sums
	// latencies by bin of the window.
	canaryTook, stableTook []uint64
	fresh, cold, judged    bool
	// outage: stable failed in it.
	outage bool
}

func (b block) empty() bool { return b.elapsed == 0 }

// addToBlock adds a tick to the open block, closes it when it is long enough, and judges those around which enough is known.
func (j Judge) addToBlock(s State, t Tick) State {
	if !s.open.empty() && (s.open.fresh != t.Fresh || s.open.cold != t.Cold) {
		s = j.close(s)
	}
	s.open.fresh, s.open.cold = t.Fresh, t.Cold
	s.open.sums = s.open.plus(sumsOf(t))
	s.spread = s.spread.hear(t.Stable.Pods)
	s = j.takeLatencies(s, t)
	if s.open.elapsed >= longBlock || s.open.elapsed >= blockLength && min(s.open.canary(), s.open.stable()) >= fewCalls {
		s = j.close(s)
	}
	return j.judgeBlocks(s)
}

// close ends the open block.
func (j Judge) close(s State) State {
	s.open.outage = s.open.sums.outage(s.spread)
	s = j.proveErrors(s)
	s = j.judgeLatencies(s)
	s.spread = s.spread.close(s.open.outage)
	s.open.canaryTook, s.open.stableTook = nil, nil
	s.blocks = append(append([]block(nil), s.blocks...), s.open)
	s.open = block{}
	return s
}

// judgeBlocks takes in the blocks after which enough time has passed, and forgets those before which enough has. There are never more than
// mostBlocks, however often the ticks change from fresh or cold and back.
func (j Judge) judgeBlocks(s State) State {
	s.blocks = append([]block(nil), s.blocks...)
	for i := range s.blocks {
		if !s.blocks[i].judged && (s.elapsedAfter(i) >= around || len(s.blocks)-i > mostBlocks) {
			s.blocks[i].judged = true
			s = j.judge(s, i)
		}
	}
	for len(s.blocks) > 1 && s.blocks[0].judged && (s.elapsedAfter(0) >= 3*around+longBlock || len(s.blocks) > mostBlocks) {
		s.blocks = s.blocks[1:]
	}
	return s
}

// elapsedAfter is the time since a block ended.
func (s State) elapsedAfter(i int) time.Duration {
	after := s.open.elapsed
	for _, b := range s.blocks[i+1:] {
		after = later(after, b.elapsed)
	}
	return after
}

// judge takes a block into the tests against the canary.
func (j Judge) judge(s State, i int) State {
	b := s.blocks[i]
	if j.bounded() && b.canaryCalls > 0 {
		// Whatever stable does, and whatever the reason is.
		s.verdict[kindMaxErrorRate] = s.verdict[kindMaxErrorRate].hearBlock(j.byBlock(kindMaxErrorRate, partsOfAVerdict), j.absoluteGains(b.sums), b.elapsed)
	}
	var common bool
	if s, common = s.commonOutage(i); common {
		return j.conclude(s)
	}
	if b.cold {
		return j.judgeCold(s, b)
	}
	for _, k := range []kind{kindErrors, kindCancelled} {
		rate, n := j.rate(k), b.of(k)
		if rate == nil || n.canaryCalls == 0 || n.stableCalls == 0 {
			continue
		}
		s.verdict[k] = s.verdict[k].hearBlock(j.byBlock(k, partsOfAVerdict), moreThan(rate.Tolerate).gains(n), b.elapsed)
	}
	return j.conclude(s)
}

// judgeCold takes in calls to pods that have just got their first ones: a canary that fails most of them is worse.
func (j Judge) judgeCold(s State, b block) State {
	for _, k := range []kind{kindErrors, kindCancelled} {
		rate, n := j.rate(k), b.of(k)
		if rate == nil || n.canaryCalls+n.stableCalls == 0 {
			continue
		}
		s.coldVerdict[k] = s.coldVerdict[k].hearBlock(j.byBlock(k, partsOfAVerdict), moreThan(rate.Tolerate.whenCold()).gains(n), b.elapsed)
	}
	return j.conclude(s)
}

// whenCold is what is tolerated of the first calls to new pods: connections, caches and compiled code are made then.
func (m Margin) whenCold() Margin {
	m.Difference = max(m.Difference, coldDifference)
	return m
}

func (j Judge) conclude(s State) State {
	s.failed = s.failed || s.inAll(j) >= j.threshold(s)
	return s
}
