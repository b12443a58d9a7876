package cache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"
)

// subscribe asks for names in either variant.
func subscribe(cl *Client, t Type, names ...string) {
	if cl.protocol == Incremental {
		_ = cl.Adjust(t, names, nil, nil)
	} else {
		_, _ = cl.Replace(t, names)
	}
}

// TestWhatChangesBeforeTheAnswerIsSentTogether has a hundred services change, one after the other, before a client answers.
func TestWhatChangesBeforeTheAnswerIsSentTogether(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		const services = 100
		c := synced(Config{})
		names := make([]string, services)
		set := func(i, priority int) {
			mustSet(t, c, Owner{Namespace: "shop", Name: names[i]}, endpointsFor(names[i], priority))
		}
		for i := range names {
			names[i] = fmt.Sprintf("service-%d", i)
			set(i, 0)
		}
		cl := c.Connect(protocol, "n", ofShop, nil)
		defer cl.Close()
		subscribe(cl, Endpoints, names...)
		takeAccepted(cl)
		for i := range names {
			set(i, 1)
			set(i, 2)
		}
		first := take(cl)
		if len(first) != 1 {
			t.Fatalf("%d responses before an answer", len(first))
		}
		for i := range names {
			set(i, 3)
			if more := take(cl); len(more) > 0 {
				t.Fatalf("another response before the answer: %v", say(more))
			}
		}
		cl.Ack(Endpoints, first[0].Nonce)
		second := takeAccepted(cl)
		if len(second) != 1 || len(second[0].Entries) != services {
			t.Fatalf("after the answer: %d responses", len(second))
		}
		for i := range names {
			status(t, c, Owner{Namespace: "shop", Name: names[i]}, 1, 1, 0)
		}
	})
}

// TestAClientThatAnswersNothingIsServedAndForgetsNothing changes a service many times, and answers the last response.
func TestAClientThatAnswersNothingIsServedAndForgetsNothing(t *testing.T) {
	clk := testclock.NewFakePassiveClock(time.Unix(1e9, 0))
	c := synced(Config{Clock: clk})
	cl := c.Connect(StateOfTheWorld, "n", ofShop, nil)
	defer cl.Close()
	const services = 200
	names := make([]string, services)
	for i := range names {
		names[i] = fmt.Sprintf("service-%d", i)
	}
	subscribe(cl, Endpoints, names...)
	var last *Response
	for i := range names {
		mustSet(t, c, Owner{Namespace: "shop", Name: names[i]}, endpointsFor(names[i], 0))
		clk.SetTime(clk.Now().Add(defaultPatience))
		got := take(cl)
		if len(got) != 1 {
			t.Fatalf("%d responses for change %d", len(got), i)
		}
		last = got[0]
	}
	if n := len(cl.subs[Endpoints].inFlight); n > maxInFlight {
		t.Errorf("%d responses are remembered", n)
	}
	cl.Ack(Endpoints, last.Nonce)
	for _, name := range names {
		status(t, c, Owner{Namespace: "shop", Name: name}, 1, 1, 0)
	}
}

// TestChangesThatGoOnAreSentTogether has a client that answers at once while a service changes each millisecond for a second.
func TestChangesThatGoOnAreSentTogether(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		clk := testclock.NewFakePassiveClock(time.Unix(1e9, 0))
		c := New(Config{Clock: clk, Newcomer: -1})
		c.Synced()
		cl := c.Connect(protocol, "n", ofShop, nil)
		defer cl.Close()
		subscribe(cl, Endpoints, "greeter")
		mustSet(t, c, greeter("shop"), endpointsFor("greeter", 0))
		takeAccepted(cl)
		clk.SetTime(clk.Now().Add(time.Second))
		responses := 0
		for i := range 1000 {
			mustSet(t, c, greeter("shop"), endpointsFor("greeter", i%100+1))
			got := len(takeAccepted(cl))
			if i == 0 && got != 1 {
				t.Error("a single change waits")
			}
			responses += got
			clk.SetTime(clk.Now().Add(time.Millisecond))
		}
		clk.SetTime(clk.Now().Add(defaultPace))
		responses += len(takeAccepted(cl))
		if most := paceBurst + int(time.Second/defaultPace) + 1; responses > most {
			t.Errorf("%d responses in a second, want at most %d", responses, most)
		}
		status(t, c, greeter("shop"), 1, 1, 0)
	})
}

// TestAnEnvoyWithholdsItsAnswerWhileAClusterWarmsUp: the change that lets the cluster warm up must come through, and endpoints of others
// do not wait at all.
func TestAnEnvoyWithholdsItsAnswerWhileAClusterWarmsUp(t *testing.T) {
	clk := testclock.NewFakePassiveClock(time.Unix(1e9, 0))
	c := synced(Config{Clock: clk})
	cart := Owner{Namespace: "shop", Name: "cart"}
	mustSet(t, c, cart, aCluster("cart", 1), endpointsFor("cart", 0))
	mustSet(t, c, greeter("shop"), aCluster("greeter", 1), endpointsFor("greeter", 0))
	cl := envoy(t, c, Incremental, "greeter", "cart")
	takeAccepted(cl)
	mustSet(t, c, greeter("shop"), aCluster("greeter", 2), endpointsFor("greeter", 0))
	cold := take(cl)
	expect(t, "a change", cold, "CDS greeter", "EDS greeter")
	cl.Ack(Endpoints, cold[1].Nonce)
	mustSet(t, c, greeter("shop"), aCluster("greeter", 3), endpointsFor("greeter", 0))
	mustSet(t, c, cart, aCluster("cart", 1), endpointsFor("cart", 1))
	others := take(cl)
	expect(t, "endpoints of another", others, "EDS cart")
	cl.Ack(Endpoints, others[0].Nonce)
	_, again := cl.Next()
	if want := clk.Now().Add(warmingPatience); !again.Equal(want) {
		t.Fatalf("it should be looked at again at %v, not %v", want, again)
	}
	clk.SetTime(again)
	expect(t, "what repairs it", take(cl), "CDS greeter", "EDS greeter")
}

// TestNewClustersHoldUpTheRoutesOfTheirOwnersOnly: one owner's cluster does not warm up, and another's route goes on.
func TestNewClustersHoldUpTheRoutesOfTheirOwnersOnly(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := synced(Config{})
		cart := Owner{Namespace: "shop", Name: "cart"}
		mustSet(t, c, cart, aCluster("cart", 1), endpointsFor("cart", 0), aRoute("cart", "cart"))
		cl := c.Connect(protocol, "n", ofShop, nil)
		defer cl.Close()
		subscribe(cl, Clusters)
		subscribe(cl, Routes, "cart", "greeter")
		takeAccepted(cl)
		mustSet(t, c, greeter("shop"), aCluster("greeter", 1), endpointsFor("greeter", 0), aRoute("greeter", "greeter"))
		mustSet(t, c, cart, aCluster("cart", 1), endpointsFor("cart", 0), aRoute("cart", "elsewhere"))
		got := say(take(cl))
		if last := got[len(got)-1]; last != "RDS cart" {
			t.Errorf("before the new cluster is acknowledged: %v", got)
		}
	})
}

// TestAQueueForgetsWhatTheClientForgets subscribes and unsubscribes while nothing may be sent.
func TestAQueueForgetsWhatTheClientForgets(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := synced(Config{})
		mustSet(t, c, greeter("shop"), aService("greeter", 1, 0)...)
		cl := envoy(t, c, protocol, "greeter-1")
		take(cl) // the clusters are never answered
		names := make([]string, 100)
		for i := range names {
			names[i] = fmt.Sprintf("listener-%d", i)
		}
		for range 100 {
			subscribe(cl, Routes, names...)
			if protocol == Incremental {
				_ = cl.Adjust(Routes, nil, names, nil)
			} else {
				subscribe(cl, Routes)
			}
		}
		if n := len(cl.subs[Routes].queue); n > len(cl.subs[Routes].watches) {
			t.Errorf("%d in the queue, %d watches", n, len(cl.subs[Routes].watches))
		}
	})
}

// TestWhatWasRefusedStaysRefused takes it away, and brings back the same.
func TestWhatWasRefusedStaysRefused(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := synced(Config{})
		mustSet(t, c, greeter("shop"), endpointsFor("greeter", 0))
		cl := c.Connect(protocol, "n", ofShop, nil)
		defer cl.Close()
		subscribe(cl, Endpoints, "greeter")
		cl.Nack(Endpoints, take(cl)[0].Nonce, "greeter: no")
		status(t, c, greeter("shop"), 0, 1, 1)
		c.Remove(greeter("shop"))
		mustSet(t, c, greeter("shop"), endpointsFor("greeter", 0))
		expect(t, "the same again", take(cl))
		status(t, c, greeter("shop"), 0, 1, 1)
	})
}

// TestANameThatTheWildcardDoesNotSelectIsSaidToBeGone: "the server must respond with removed_resources" (xDS protocol, on a name that is
// unsubscribed beside a wildcard).
func TestANameThatTheWildcardDoesNotSelectIsSaidToBeGone(t *testing.T) {
	c := synced(Config{})
	mustSet(t, c, greeter("shop"), Resource{Message: aListener("proxyless").Message}, aListener("all"))
	cl := c.Connect(Incremental, "n", ofShop, nil)
	defer cl.Close()
	_ = cl.Adjust(Listeners, []string{"*", "proxyless", "absent"}, nil, nil)
	expect(t, "at first", takeAccepted(cl), "LDS all proxyless -absent")
	_ = cl.Adjust(Listeners, nil, []string{"proxyless", "absent"}, nil)
	expect(t, "unsubscribed", takeAccepted(cl), "LDS -absent -proxyless")
	if n := len(cl.subs[Listeners].watches); n != 1 {
		t.Errorf("%d names are followed", n)
	}
}

// TestWhoIsBlamed reads messages of clients.
func TestWhoIsBlamed(t *testing.T) {
	c := synced(Config{})
	for _, name := range []string{"greeter", "greeter-canary", "greeter-v2", "cart"} {
		o := Owner{Namespace: "shop", Name: name}
		mustSet(t, c, o, endpointsFor("shop/"+name, 0), aListener(name+".shop"), aListener(name+".shop:50051"))
	}
	var entries []*Entry
	for _, o := range c.owners {
		for _, e := range o.entries {
			entries = append(entries, e)
		}
	}
	for message, want := range map[string]string{
		"":                                    "",
		"something is wrong":                  "",
		"shop/greeter-canary: no":             "greeter-canary",
		"shop/greeter: no":                    "greeter",
		"Error in shop/greeter.":              "greeter",
		"shop/greeter, shop/cart":             "cart greeter",
		"shop/greeter/canary":                 "",
		"bank/shop/greeter":                   "",
		`resource "greeter.shop:50051": no`:   "greeter",
		"greeter.shop.svc":                    "",
		"shop/greeter-v2 shop/greeter-canary": "greeter-canary greeter-v2",
	} {
		var got []string
		for _, name := range []string{"cart", "greeter", "greeter-canary", "greeter-v2"} {
			if blamed(entries, message)[c.owners[Owner{Namespace: "shop", Name: name}]] {
				got = append(got, name)
			}
		}
		if said := strings.Join(got, " "); said != want {
			t.Errorf("%q blames %q, want %q", message, said, want)
		}
	}
}
