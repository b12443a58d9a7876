package failover

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
)

// chances plays an overload or a fault by chance: calls come one by one, each fails for itself, the look of a second is read a little
// later, and the data plane follows a decision when it gets to it.
type chances struct {
	rand *rand.Rand
	// rate is in calls per second, and failed is the share that fails of those that the primary gets.
	rate   float64
	failed func(rate float64) float64
	// share is what the backup has, and next what it gets at the given time.
	share, next float64
	at          time.Time
}

// troubled is how long the primary has been well when the trouble begins.
const troubled = 5 * time.Second

// play says which decision ends the trial. The primary has two endpoints, the backup one.
func (c *chances) play() v1alpha1.DecisionReason {
	spec := v1alpha1.ExposedServiceSpec{
		Backends: []v1alpha1.Backend{{Name: "primary"}, {Name: "backup"}},
		Failover: &v1alpha1.Failover{Errors: &v1alpha1.ErrorBound{MaxPercent: "5"}},
	}
	var status v1alpha1.ExposedServiceStatus
	for from := midnight; from.Before(midnight.Add(10 * time.Minute)); from = from.Add(time.Second) {
		primary, backup := c.second(from)
		now := from.Add(1100 * time.Millisecond)
		out := Decide(&spec, status, Observation{Backends: map[string]BackendObservation{
			"primary": {Endpoints: Endpoints{Counting: Counted, Ready: 2, Total: 2, Time: now}, Calls: primary},
			"backup":  {Endpoints: Endpoints{Counting: Counted, Ready: 1, Total: 1, Time: now}, Calls: backup},
		}}, now)
		out.Apply(&status)
		for _, d := range out.Decisions {
			switch d.Reason {
			case v1alpha1.DecisionTryingBackup:
				c.next, c.at = 0.2, now.Add(time.Duration(c.rand.Float64()*float64(1500*time.Millisecond)))
			case v1alpha1.DecisionInitial:
			default:
				return d.Reason
			}
		}
	}
	return ""
}

// second is what both backends answer in a second, a tenth of it at a time.
func (c *chances) second(from time.Time) (primary, backup Calls) {
	const tenth = time.Second / 10
	primary = Calls{Known: true, Start: from, End: from.Add(time.Second), Source: "Envoy"}
	backup = primary
	for t := from; t.Before(primary.End); t = t.Add(tenth) {
		if c.next > 0 && !t.Before(c.at) {
			c.share = c.next
		}
		failed := 0.0
		if t.Sub(midnight) >= troubled {
			failed = c.failed(c.rate * (1 - c.share))
		}
		for range c.poisson(c.rate * tenth.Seconds()) {
			switch {
			case c.rand.Float64() < c.share:
				backup.Calls++
			case c.rand.Float64() < failed:
				primary.Errors++
				fallthrough
			default:
				primary.Calls++
			}
		}
	}
	return primary, backup
}

// poisson draws by the method of Knuth (The Art of Computer Programming, volume 2, section 3.4.1).
func (c *chances) poisson(mean float64) int {
	n := 0
	for product := c.rand.Float64(); product > math.Exp(-mean); product *= c.rand.Float64() {
		n++
	}
	return n
}

// An overload is to be seen, and a fault that has nothing to do with load is not to be taken for one.
func TestHowOftenAnOverloadIsSeen(t *testing.T) {
	// In short mode chance weighs more.
	runs, slack := 1000, 0.0
	if testing.Short() {
		runs, slack = 100, 5
	}
	fault := func(share float64) func(float64) float64 { return func(float64) float64 { return share } }
	over := func(carries float64) func(float64) float64 {
		return func(rate float64) float64 { return max(0, 1-carries/rate) }
	}
	for _, c := range []struct {
		name   string
		rate   float64
		failed func(float64) float64
		// least and most is how often it may be seen, in percent.
		least, most float64
	}{
		{"fault of 10 % at 50 calls/s", 50, fault(0.1), 0, 2},
		{"fault of 10 % at 100 calls/s", 100, fault(0.1), 0, 2},
		{"fault of 30 % at 20 calls/s", 20, fault(0.3), 0, 2},
		{"fault of 30 % at 100 calls/s", 100, fault(0.3), 0, 2},
		{"fault of 30 % at 1000 calls/s", 1000, fault(0.3), 0, 2},
		{"fault of 70 % at 300 calls/s", 300, fault(0.7), 0, 2},
		{"overload of 120 % at 300 calls/s", 300, over(250), 95, 100},
		{"overload of 150 % at 100 calls/s", 100, over(100 / 1.5), 60, 100},
		{"overload of 150 % at 300 calls/s", 300, over(200), 95, 100},
		{"overload of 150 % at 1000 calls/s", 1000, over(1000 / 1.5), 99, 100},
		{"overload of 300 % at 300 calls/s", 300, over(100), 40, 100},
		{"overload of 300 % at 1000 calls/s", 1000, over(1000.0 / 3), 95, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			seen := 0
			for run := range runs {
				play := chances{rand: rand.New(rand.NewPCG(17, uint64(run))), rate: c.rate, failed: c.failed} //nolint:gosec // the same each time
				if play.play() == v1alpha1.DecisionKeptBack {
					seen++
				}
			}
			share := 100 * float64(seen) / float64(runs)
			t.Logf("taken for an overload: %.2f %%", share)
			if share < c.least-slack || share > c.most+slack {
				t.Errorf("%.2f %%, not %.0f to %.0f", share, c.least, c.most)
			}
		})
	}
}
