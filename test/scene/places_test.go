package scene

import (
	"fmt"
	"strings"
	"testing"
)

func TestAnEndpointThatChangesItsPlaceIsFound(t *testing.T) {
	host := func(address, region string, priority int) string {
		return fmt.Sprintf(`{"address":{"socket_address":{"address":%q,"port_value":50051}},"priority":%d,"locality":{"region":%q}}`, address, priority, region)
	}
	look := func(hosts ...string) []byte {
		return []byte(`{"cluster_statuses":[{"name":"greeter","host_statuses":[` + strings.Join(hosts, ",") + `]}]}`)
	}
	pods := map[string]string{"10.0.0.1": "stays", "10.0.0.2": "moves", "10.0.0.3": "rises", "10.0.0.4": "never"}
	p := &Places{stop: func() {}, done: make(chan struct{}), seen: map[string]map[string]bool{}}
	close(p.done)
	p.note(look(host("10.0.0.1", "blue", 0), host("10.0.0.2", "blue", 0), host("10.0.0.3", "green", 1), host("192.0.2.1", "blue", 0)), nil)
	p.note(look(host("10.0.0.1", "blue", 0), host("10.0.0.2", "green", 0), host("10.0.0.3", "green", 0), host("192.0.2.1", "green", 0)), nil)

	moved, err := p.Moved(pods, 3)
	if err != nil || len(moved) != 2 || !strings.HasPrefix(moved[0], "moves ") || !strings.HasPrefix(moved[1], "rises ") {
		t.Errorf("%v have moved (%v), want the pods moves and rises", moved, err)
	}
	if _, err := p.Moved(pods, 4); err == nil {
		t.Error("a pod that was never seen is taken for one that stays")
	}
}
