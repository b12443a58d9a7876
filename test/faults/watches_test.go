package faults

import (
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// besideEachOther upgrades one ExposedService and fails over another.
var besideEachOther = &workload{
	name: "upgrade one, fail over another", waits: true,
	before: func(s *stage) {
		s.create(s.other())
		s.eventually("the other is Ready", func() error {
			other := s.other()
			if err := s.read(other); err != nil {
				return err
			}
			if !meta.IsStatusConditionTrue(other.Status.Conditions, v1alpha1.ConditionReady) {
				return fmt.Errorf("%+v", other.Status.Conditions)
			}
			return nil
		})
	},
	begin: func(s *stage) {
		s.edit(func(spec *v1alpha1.ExposedServiceSpec) { spec.Hostnames = append(spec.Hostnames, "new.example.com") })
		s.setReady(shop.Backup, false)
	},
	over: func(s *stage) error {
		if err := s.otherIsFailedOver(); err != nil {
			return err
		}
		return s.conditionIs(v1alpha1.ConditionExposed, true)
	},
}

// other is an ExposedService whose first backend is the backup of the stage's own.
func (s *stage) other() *v1alpha1.ExposedService {
	return s.exposedService("other", func(exs *v1alpha1.ExposedService) {
		exs.Spec.Backends = []v1alpha1.Backend{shop.ServiceBackend("primary", shop.Backup), shop.ServiceBackend("spare", spareSvc)}
	})
}

func (s *stage) otherIsFailedOver() error {
	other := s.other()
	if err := s.read(other); err != nil {
		return err
	}
	if other.Status.Active != "spare" || other.Status.Traffic.Fallback == "spare" || other.Status.Traffic.Settling != "" || !meta.IsStatusConditionTrue(other.Status.Conditions, v1alpha1.ConditionFailedOver) {
		return fmt.Errorf("%s serves the other", other.Status.Active)
	}
	return nil
}

// watchRow is a row: the watches of which resource, and what happens to them.
type watchRow struct {
	resource string
	held     bool
}

func (row watchRow) String() string {
	if row.held {
		return row.resource + " held back"
	}
	return row.resource + " closed and refused"
}

// TestWatchesThatAreBehindOrBroken: while the watches of a kind bring nothing, or are closed and refused, another ExposedService is
// still failed over, and nothing is taken away; after it the end is as without.
func TestWatchesThatAreBehindOrBroken(t *testing.T) {
	playUndisturbed(t, besideEachOther)
	without := referenceOf(t, besideEachOther)
	var rows []watchRow
	for kind := range without.kinds {
		if kind.verb == "watch" {
			rows = append(rows, watchRow{kind.resource, true}, watchRow{kind.resource, false})
		}
	}
	slices.SortFunc(rows, func(a, b watchRow) int { return slices.Compare([]byte(a.String()), []byte(b.String())) })
	t.Run("rows", func(t *testing.T) {
		for _, row := range sample(t, rows, 3) {
			t.Run(row.String(), func(t *testing.T) {
				t.Parallel()
				row.run(t, without)
			})
		}
	})
}

func (row watchRow) run(t *testing.T, without *reference) {
	s := newStage(t, besideEachOther)
	g := s.guard()
	disturbed := s.operator.transport
	if row.held {
		disturbed.holdWatches(row.resource)
	} else {
		disturbed.breakWatches(row.resource)
	}
	s.begin(s)
	if row.resource != "endpointslices" {
		s.until("the other is failed over meanwhile", s.otherIsFailedOver)
	}
	if row.held {
		disturbed.releaseWatches()
	} else {
		disturbed.disturb(nil)
	}
	s.finish(without.want)
	if g.lost() != "" {
		t.Errorf("something was taken away:\n%s", g.lost())
	}
	done.add("watches: rows", 1)
}
