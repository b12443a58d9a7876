package cache

import (
	"fmt"
	"testing"
)

// BenchmarkReconnect measures what one client costs that comes back and follows a thousand assignments of as many owners.
func BenchmarkReconnect(b *testing.B) {
	c := synced(Config{})
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("shop/service-%04d", i)
		mustSet(b, c, Owner{Namespace: "shop", Name: names[i]}, endpointsFor(names[i], 0))
	}
	for b.Loop() {
		cl := c.Connect(StateOfTheWorld, "n", ofShop, nil)
		_, _ = cl.Replace(Endpoints, names)
		if got := len(takeAccepted(cl)[0].Entries); got != len(names) {
			b.Fatalf("%d entries", got)
		}
		cl.Close()
	}
}

// BenchmarkSet measures a change of one assignment that no client follows, and one that a thousand do.
func BenchmarkSet(b *testing.B) {
	for _, clients := range []int{0, 1000} {
		b.Run(fmt.Sprintf("%d clients", clients), func(b *testing.B) {
			c := synced(Config{})
			all := make([]*Client, clients)
			for i := range all {
				all[i] = c.Connect(StateOfTheWorld, "n", ofShop, nil)
				_, _ = all[i].Replace(Endpoints, []string{"greeter"})
				defer all[i].Close()
			}
			for i := 0; b.Loop(); i++ {
				mustSet(b, c, greeter("shop"), endpointsFor("greeter", i%100))
				for _, cl := range all {
					takeAccepted(cl)
				}
			}
		})
	}
}
