package failover

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
)

// overloaded has so many endpoints by backend, of which each carries 100 calls a second, and so many calls after five calm seconds.
func overloaded(s *scene, rate float64, endpoints ...int32) {
	for i, b := range s.spec.Backends {
		a := s.actors[b.Name]
		a.ready, a.total, a.carries = endpoints[i], endpoints[i], 100
	}
	s.maxErrors("5")
	s.rate = 50
	s.look()
	s.run(5 * time.Second)
	s.load(rate)
}

func TestOverload(t *testing.T) {
	const stayed, moved = "Initial > TryingBackup > KeptBack", "Initial > TryingBackup > SwitchedToBackup"
	over := func(rate float64, endpoints ...int32) func(*scene) {
		return func(s *scene) {
			overloaded(s, rate, endpoints...)
			s.run(20 * time.Second)
		}
	}
	faulty := func(rate float64) func(*scene) {
		return func(s *scene) {
			s.maxErrors("5")
			s.actors["backup"].ready, s.actors["backup"].total = 1, 1
			s.rate = rate
			s.look()
			s.run(5 * time.Second)
			s.fail("primary", 0.3)
			s.run(20 * time.Second)
		}
	}
	checkRules(t, map[string]rule{
		"of 150 % stays off a backup with half of the endpoints": {
			do: over(300, 2, 1), weights: "primary 1000000", fallback: "backup", reasons: stayed,
		},
		"of 150 % stays off a backup with as many": {
			do: over(300, 2, 2), weights: "primary 1000000", reasons: stayed,
		},
		"of 150 % goes to a backup with enough": {
			do: over(300, 2, 4), weights: "primary 1, backup 999999", reasons: moved,
		},
		"of 300 % stays off a backup with as many": {
			do: over(300, 1, 1), weights: "primary 1000000", reasons: stayed,
		},
		"of 300 % goes to a backup with enough": {
			do: over(300, 1, 4), weights: "primary 1, backup 999999", reasons: moved,
		},
		"of 300 % that a fifth of the calls shows on the backup as well": {
			do: over(600, 2, 1), weights: "primary 1000000", reasons: "Initial > TryingBackup > BackupNoBetter",
		},
		"of 120 %, which is over in the trial": {
			do: over(240, 2, 1), weights: "primary 1000000", reasons: stayed,
		},
		"is not what few calls show": {
			do: func(s *scene) {
				overloaded(s, 15, 1, 1)
				for _, a := range s.actors {
					a.carries = 10
				}
				s.run(20 * time.Second)
			},
			weights: "primary 1, backup 999999", reasons: moved,
		},
		"is not what fails the same share of 20 calls a second": {
			do: faulty(20), weights: "primary 1, backup 999999", reasons: moved,
		},
		"is not what fails the same share of 1000 calls a second": {
			do: faulty(1000), weights: "primary 1, backup 999999", reasons: moved,
		},
		"goes outside the cluster, where nobody knows what is carried": {
			do: func(s *scene) {
				s.outside("backup")
				over(300, 2, 1)(s)
			},
			weights: "primary 1, backup 999999", reasons: moved,
		},
		"is seen where calls are counted every 15 seconds": {
			do: func(s *scene) {
				s.scrape = 15 * time.Second
				overloaded(s, 300, 2, 1)
				s.run(95 * time.Second)
			},
			weights: "primary 1000000", reasons: stayed,
		},
		"does not keep a dead backend": {
			do: func(s *scene) {
				over(300, 2, 1)(s)
				s.ready("primary", 0, 2)
			},
			weights: "backup 1000000", reasons: stayed + " > SwitchedToBackup",
		},
		"does not keep one that dies in its trial": {
			do: func(s *scene) {
				overloaded(s, 300, 2, 1)
				s.until(v1alpha1.DecisionTryingBackup, 5*time.Second)
				s.ready("primary", 0, 2)
			},
			weights: "backup 1000000", reasons: moved,
		},
		"does not keep one with too few ready endpoints": {
			do: func(s *scene) {
				s.minReady(60)
				over(300, 2, 1)(s)
				s.ready("primary", 1, 2)
			},
			weights: "primary 1, backup 999999", reasons: stayed + " > SwitchedToBackup",
		},
		"does not keep off what is pinned": {
			do: func(s *scene) {
				over(300, 2, 1)(s)
				s.pin("backup")
			},
			weights: "backup 1000000", reasons: stayed + " > Pinned",
		},
		"is left at once for a backup that has got enough endpoints": {
			do: func(s *scene) {
				over(300, 2, 1)(s)
				s.ready("backup", 2, 4)
				s.run(5 * time.Second)
				s.ready("backup", 4, 4)
				s.run(5 * time.Second)
			},
			weights: "primary 1, backup 999999", reasons: stayed + " > TryingBackup > SwitchedToBackup",
		},
		"is left for the next backup if that has enough endpoints": {
			backends: three,
			do:       over(300, 2, 1, 4),
			weights:  "primary 1, backup 1, elsewhere 999998", reasons: stayed + " > TryingBackup > SwitchedToBackup",
		},
		"that goes on leads to the next trial after the hold, which doubles": {
			do: func(s *scene) {
				overloaded(s, 300, 2, 1)
				s.run(3*time.Minute + 20*time.Second)
			},
			weights: "primary 1000000", reasons: stayed + " > TryingBackup > KeptBack > TryingBackup > KeptBack",
		},
		"that ends leads to none": {
			do: func(s *scene) {
				over(300, 2, 1)(s)
				s.load(100)
				s.run(time.Hour)
			},
			weights: "primary 1000000", reasons: stayed,
		},
		"that comes again leads to one": {
			do: func(s *scene) {
				over(300, 2, 1)(s)
				s.load(100)
				s.run(20 * time.Minute)
				s.load(300)
				s.run(20 * time.Second)
			},
			weights: "primary 1000000", reasons: stayed + " > TryingBackup > KeptBack",
		},
	})
}

// An hour of 150 % with a backup that is a third of what it takes, until somebody gives it that; then the calls become fewer.
func TestOverloadStaysUntilTheBackupCanCarryIt(t *testing.T) {
	s := newScene(t, "primary", "backup")
	overloaded(s, 300, 2, 1)
	s.run(time.Hour)
	if got := s.switches(); got != 0 {
		t.Errorf("%d switches in an hour: %s", got, s.reasons())
	}
	if got, want := s.condition(v1alpha1.ConditionFailedOver).Message, "primary serves; calls are kept back from backup, which could not carry them"; got != want {
		t.Errorf("condition: %s\nwant:      %s", got, want)
	}
	s.ready("backup", 3, 3)
	s.run(time.Minute)
	s.load(150)
	s.run(30 * time.Minute)
	s.golden("overload")
	if s.status.Active != "primary" {
		t.Errorf("%s serves in the end", s.status.Active)
	}
}

// A backup with enough endpoints has taken over from a primary that was overloaded, which is up again meanwhile.
func TestHandBackAfterAnOverload(t *testing.T) {
	const moved, back = "Initial > TryingBackup > SwitchedToBackup", " > HandingBack > HandingBack > HandedBack"
	after := func(do func(*scene)) func(*scene) {
		return func(s *scene) {
			overloaded(s, 300, 2, 4)
			s.run(5 * time.Minute)
			do(s)
		}
	}
	checkRules(t, map[string]rule{
		"waits while the first backend could not carry what comes": {
			do:      after(func(s *scene) { s.run(50 * time.Minute) }),
			weights: "primary 1, backup 999999", fallback: "primary", reasons: moved,
		},
		"begins when it could": {
			do: after(func(s *scene) {
				s.load(150)
				s.run(time.Minute)
			}),
			weights: "primary 1000000", reasons: moved + back,
		},
		"begins when it has the endpoints that it takes": {
			do: after(func(s *scene) {
				s.ready("primary", 3, 3)
				s.run(time.Minute)
			}),
			weights: "primary 1000000", reasons: moved + back,
		},
		"begins after an hour whatever comes": {
			do:      after(func(s *scene) { s.run(55*time.Minute + 25*time.Second) }),
			weights: "primary 1000000", reasons: moved + back,
		},
		"is at once when the backup dies": {
			do:      after(func(s *scene) { s.ready("backup", 0, 4) }),
			weights: "primary 1000000", reasons: moved + " > HandedBack",
		},
		"does not wait for a backup that is down itself": {
			do: after(func(s *scene) {
				s.fail("backup", 0.5)
				s.run(5 * time.Second)
			}),
			weights: "primary 100000, backup 900000", reasons: moved + " > HandingBack",
		},
		"does not wait when nobody asks for errors any more": {
			do: after(func(s *scene) {
				s.spec.Failover.Errors = nil
				s.look()
			}),
			weights: "primary 100000, backup 900000", reasons: moved + " > HandingBack",
		},
		"waits for each backend that could not carry what comes": {
			backends: three,
			do: func(s *scene) {
				overloaded(s, 300, 2, 1, 4)
				s.run(30 * time.Minute)
				s.load(75)
				s.run(10 * time.Second)
			},
			weights: "primary 100000, elsewhere 900000",
			reasons: "Initial > TryingBackup > KeptBack > TryingBackup > SwitchedToBackup > NetChanged > HandingBack",
		},
	})
}

func TestOverloadOfABackupThatServesIsNotTakenForAllBeingDown(t *testing.T) {
	s := newScene(t, "primary", "backup", "elsewhere")
	overloaded(s, 150, 2, 1, 1)
	s.ready("primary", 0, 2)
	s.until(v1alpha1.DecisionKeptBack, 20*time.Second)
	c := s.condition(v1alpha1.ConditionFailedOver)
	if c.Reason != v1alpha1.ReasonBackupServes || !strings.HasSuffix(c.Message, "; calls are kept back from elsewhere, which could not carry them") {
		t.Errorf("condition: %+v", c)
	}
}

// Whoever decides dies at one of the looks of a trial, and the next one has what has been written.
func TestARestartInATrialChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		endpoints int32
		errors    float64
		want      v1alpha1.DecisionReason
	}{
		"an overload":          {1, 0, v1alpha1.DecisionKeptBack},
		"one that is carried":  {4, 0, v1alpha1.DecisionSwitchedToBackup},
		"a fault of the first": {4, 0.4, v1alpha1.DecisionSwitchedToBackup},
	} {
		// play crashes so many looks after the trial has begun, and nobody counts for the given time after that.
		play := func(crash int, away time.Duration) *scene {
			s := newScene(t, "primary", "backup")
			overloaded(s, 300, 2, c.endpoints)
			s.fail("primary", c.errors)
			s.until(v1alpha1.DecisionTryingBackup, 5*time.Second)
			for look := range 10 {
				if look == crash {
					s.crash()
					s.now = s.now.Add(away)
					s.counted = s.now
				}
				s.run(time.Second)
			}
			return s
		}
		undisturbed := play(-1, 0)
		for look := range 6 {
			t.Run(fmt.Sprintf("%s, after %d looks", name, look), func(t *testing.T) {
				if got, want := fmt.Sprint(play(look, 0).all), fmt.Sprint(undisturbed.all); got != want {
					t.Errorf("%s\nundisturbed: %s", got, want)
				}
				late := play(look, 12*time.Second)
				if got, want := late.reasons(), "Initial > TryingBackup > "+string(c.want); got != want {
					t.Errorf("with nobody there for a time: %s\nwant: %s", got, want)
				}
			})
		}
	}
}

func TestWhatShowsAnOverload(t *testing.T) {
	of := func(calls, errors int64, seconds float64) load {
		return load{calls: float64(calls), errors: float64(errors), rate: float64(calls) / seconds}
	}
	for name, c := range map[string]struct {
		before, after load
		want          bool
	}{
		"a third, and a sixth of a fifth less":          {of(600, 200, 2), of(480, 80, 2), true},
		"two thirds, and 58 % of a fifth less":          {of(1200, 800, 2), of(960, 560, 2), true},
		"nothing that is left of a sixth":               {of(600, 100, 2), of(480, 0, 2), true},
		"the same share":                                {of(600, 200, 2), of(480, 160, 2), false},
		"a share that is a little less, and surely so":  {of(60000, 20000, 2), of(48000, 13000, 2), false},
		"half of what an overload predicts, not surely": {of(60, 20, 2), of(48, 12, 2), false},
		"half of what an overload predicts, and surely": {of(60000, 20000, 2), of(48000, 11990, 2), true},
		"a greater share":                               {of(600, 200, 2), of(480, 300, 2), false},
		"all calls, and all of a fifth less":            {of(600, 600, 2), of(480, 480, 2), false},
		"more calls than before":                        {of(600, 200, 2), of(620, 100, 2), false},
		"too few calls before":                          {of(29, 15, 2), of(480, 0, 2), false},
		"too few calls in the trial":                    {of(600, 200, 2), of(29, 0, 2), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := showOverload(c.before, c.after); got != c.want {
				t.Errorf("%t, want %t", got, c.want)
			}
		})
	}
}
