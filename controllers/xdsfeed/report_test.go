package xdsfeed

import (
	"testing"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/xds/cache"
)

func TestAReportChangesWithItsClientsAndNotWithEndpoints(t *testing.T) {
	refusal := &v1alpha1.XDSRefusal{Type: "CDS", Message: "no"}
	served := Served{Generation: 2, Revision: 7, Status: cache.Status{Version: "one", Clients: 2, Acked: 2}}
	first := replicaReport("a", served, nil)
	served.Status.Version = "two"
	if second := replicaReport("a", served, nil); *first != *second {
		t.Errorf("another version of the same makes %+v of %+v", second, first)
	}
	served.Status.Acked, served.Status.Nacked = 1, 1
	if third := replicaReport("a", served, refusal); third.Acknowledged != 1 || third.Rejecting != 1 || third.Refusal != refusal {
		t.Errorf("a refusal makes %+v", third)
	}
	served.Status = cache.Status{Version: "two"}
	if none := replicaReport("a", served, refusal); none != nil {
		t.Errorf("without clients there is %+v", none)
	}
}

func TestWhatDiffersInCountsAloneCanWait(t *testing.T) {
	all := v1alpha1.XDSReplica{Name: "a", ObservedGeneration: 2, Revision: 7, Clients: 30, Acknowledged: 30}
	for name, c := range map[string]struct {
		change func(*v1alpha1.XDSReplica)
		waits  bool
	}{
		"one client less":               {func(r *v1alpha1.XDSReplica) { r.Clients, r.Acknowledged = 29, 29 }, true},
		"a tenth of the clients less":   {func(r *v1alpha1.XDSReplica) { r.Clients, r.Acknowledged = 27, 27 }, false},
		"one that has not acknowledged": {func(r *v1alpha1.XDSReplica) { r.Acknowledged = 29 }, false},
		"one that refuses":              {func(r *v1alpha1.XDSReplica) { r.Acknowledged, r.Rejecting = 29, 1 }, false},
		"another spec":                  {func(r *v1alpha1.XDSReplica) { r.ObservedGeneration++ }, false},
		"another decision":              {func(r *v1alpha1.XDSReplica) { r.Revision++ }, false},
	} {
		t.Run(name, func(t *testing.T) {
			other := all
			c.change(&other)
			if got := onlyCountsDiffer(&other, &all); got != c.waits {
				t.Errorf("may wait: %t", got)
			}
		})
	}
	if onlyCountsDiffer(nil, &all) || onlyCountsDiffer(&all, nil) {
		t.Error("the first client and the last are written at once")
	}
}
