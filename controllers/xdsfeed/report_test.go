package xdsfeed

import (
	"testing"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/xds/cache"
)

func TestAReportChangesWithItsClientsAndNotWithEndpoints(t *testing.T) {
	refusal := &v1alpha1.XDSRefusal{Type: "CDS", Message: "no"}
	served := Served{Generation: 2, Revision: 7, Status: cache.Status{Version: "one", Clients: 2, Live: 2}}
	first := replicaReport("a", served, nil)
	served.Status.Version = "two"
	if second := replicaReport("a", served, nil); *first != *second {
		t.Errorf("another version of the same makes %+v of %+v", second, first)
	}
	served.Status.Live, served.Status.Rejecting = 1, 1
	if third := replicaReport("a", served, refusal); third.Acknowledged != 1 || third.Rejecting != 1 || third.Refusal != refusal {
		t.Errorf("a refusal makes %+v", third)
	}
	served.Status = cache.Status{Version: "two"}
	if none := replicaReport("a", served, refusal); none != nil {
		t.Errorf("without clients there is %+v", none)
	}
}
