package cache

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
)

// meter is a Meter with a limit.
type meter struct{ used, limit int }

func (m *meter) Add(bytes int) { m.used += bytes }

func (m *meter) Room(bytes int) error {
	if m.limit > 0 && m.used+bytes > m.limit {
		return errors.New("no room")
	}
	return nil
}

// TestClientsAreChargedForWhatTheyTake has clients subscribe to names that nobody else has, which costs the most.
func TestClientsAreChargedForWhatTheyTake(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c, m := synced(Config{}), &meter{}
		const names = 10_000
		subscribe := func(n int) *Client {
			cl := c.Connect(protocol, "n", ofShop, m)
			for typ := range typeCount {
				list := make([]string, names)
				for i := range list {
					list[i] = fmt.Sprintf("shop/a-service-of-%d/number-%d", n, i)
				}
				if protocol == Incremental {
					_ = cl.Adjust(typ, list, nil, nil)
				} else {
					_, _ = cl.Replace(typ, list)
				}
			}
			takeAccepted(cl)
			return cl
		}
		before := heap()
		var clients []*Client
		for n := range 4 {
			clients = append(clients, subscribe(n))
		}
		taken, charged := int(heap()-before), m.used
		t.Logf("%d names: %d bytes each, %d are charged", len(clients)*names*int(typeCount), taken/(len(clients)*names*int(typeCount)), charged/(len(clients)*names*int(typeCount)))
		if taken > charged || taken < charged/2 {
			t.Errorf("%d bytes are taken and %d charged", taken, charged)
		}
		for _, cl := range clients {
			cl.Close()
		}
		if m.used != 0 {
			t.Errorf("%d bytes are charged for clients that have gone", m.used)
		}
	})
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func TestARequestWithoutRoomChangesNothing(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := synced(Config{})
		mustSet(t, c, greeter("shop"), endpointsFor("a", 0), endpointsFor("b", 0))
		m := &meter{limit: NameBytes("a")}
		cl := c.Connect(protocol, "n", ofShop, m)
		defer cl.Close()
		subscribe := func(names ...string) error {
			if protocol == Incremental {
				return cl.Adjust(Endpoints, names, nil, nil)
			}
			_, err := cl.Replace(Endpoints, names)
			return err
		}
		if err := subscribe("a"); err != nil {
			t.Fatal(err)
		}
		expect(t, "one name", takeAccepted(cl), "EDS a")
		if err := subscribe("a", "b"); err == nil {
			t.Error("there is room for one name, and two were taken")
		}
		mustSet(t, c, greeter("shop"), endpointsFor("a", 1), endpointsFor("b", 1))
		expect(t, "after that", takeAccepted(cl), "EDS a")
	})
}
