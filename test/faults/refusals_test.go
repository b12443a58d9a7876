package faults

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// refusalRow is a row: which requests of an operator that takes over are refused, and how.
type refusalRow struct {
	*workload
	kind kindOfRequest
	code int
	// first are how many are refused; all: as long as the disturbance lasts.
	first int
}

const all = -1

var codes = []int{
	http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError,
}

func (row refusalRow) String() string {
	how := fmt.Sprintf("the first %d", row.first)
	if row.first == all {
		how = "until it heals"
	}
	return fmt.Sprintf("%s, %s, %d, %s", row.kind, row.name, row.code, how)
}

// TestTheAPIServerRefuses: whatever it refuses, for a while, nothing is taken away meanwhile, and the end is as without.
func TestTheAPIServerRefuses(t *testing.T) {
	rows := refusalRows(t)
	t.Run("rows", func(t *testing.T) {
		for _, row := range sample(t, rows, 5) {
			t.Run(row.String(), func(t *testing.T) {
				t.Parallel()
				row.run(t, referenceOf(t, row.workload))
			})
		}
	})
}

// refusalRows has for each kind of request that some workload makes, by the first that makes it, all codes for as long as the
// disturbance lasts, and one for the first requests alone.
func refusalRows(t *testing.T) []refusalRow {
	random := choices(t)
	seen := map[kindOfRequest]bool{}
	var rows []refusalRow
	for _, wl := range played(t) {
		kinds := make([]kindOfRequest, 0, len(referenceOf(t, wl).kinds))
		for kind := range referenceOf(t, wl).kinds {
			kinds = append(kinds, kind)
		}
		slices.SortFunc(kinds, func(a, b kindOfRequest) int { return strings.Compare(a.String(), b.String()) })
		for _, kind := range kinds {
			if seen[kind] {
				continue
			}
			seen[kind] = true
			for _, code := range codes {
				rows = append(rows, refusalRow{wl, kind, code, all})
			}
			rows = append(rows, refusalRow{wl, kind, codes[random.IntN(len(codes))], 1 + random.IntN(3)})
		}
	}
	return rows
}

// disturbedFor is how long a disturbance lasts at most, and untilHits how many requests it takes to be felt.
const (
	disturbedFor = 2 * time.Second
	untilHits    = 4
)

func (row refusalRow) run(t *testing.T, without *reference) {
	s := newStage(t, row.workload)
	g := s.guard()
	s.restart(func(transport *transport) {
		transport.disturb(firstOf(row.kind, row.first, fate{what: refused, code: row.code}))
	})
	row.begin(s)
	began := time.Now()
	s.until("the disturbance is felt", func() error {
		if s.operator.transport.hitsSoFar() >= untilHits || time.Since(began) > disturbedFor {
			return nil
		}
		return errors.New("not yet")
	})
	hits := s.operator.transport.hitsSoFar()
	if row.takesNothing() && g.lost() != "" {
		t.Errorf("in the disturbance something was taken away:\n%s", g.lost())
	}
	s.operator.transport.disturb(nil)
	if row.kind.resource != "grpcroutes" {
		// What has refused them is nothing that Headgate watches: it offers them again after a minute, which is waited for with routes.
		s.poke()
	}
	s.finish(without.want)
	if row.takesNothing() && g.lost() != "" {
		t.Errorf("after the disturbance something was taken away:\n%s", g.lost())
	}
	if hits > 0 {
		done.add("refusals: rows", 1)
		done.add(fmt.Sprintf("refusals: %d", row.code), 1)
	} else {
		done.add("refusals: rows in which it was not asked for", 1)
	}
}

// takesNothing: all that was there is there in the end.
func (wl *workload) takesNothing() bool {
	return !wl.deletes && !wl.ships && wl.name != "fewer backends" && wl.name != "other strategy"
}
