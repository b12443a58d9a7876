package cache

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"
)

func status(t *testing.T, c *Cache, o Owner, acked, clients, nacked int) {
	t.Helper()
	got := c.Status(o)
	got.Version = ""
	if diff := cmp.Diff(Status{Acked: acked, Clients: clients, Nacked: nacked}, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestAnOwnerIsLiveWhenAllThatUseItHaveAcknowledged(t *testing.T) {
	c := synced(Config{})
	o := greeter("shop")
	version := mustSet(t, c, o, aService("greeter", 1, 0)...)
	status(t, c, o, 0, 0, 0)
	if !c.Acked(o, version) {
		t.Error("nobody has to be waited for")
	}
	one, two := envoy(t, c, StateOfTheWorld, "greeter-1"), envoy(t, c, Incremental, "greeter-1")
	status(t, c, o, 0, 2, 0)
	takeAccepted(one)
	status(t, c, o, 1, 2, 0)
	takeAccepted(two)
	status(t, c, o, 2, 2, 0)
	if !c.Acked(o, version) || c.Acked(o, "another") {
		t.Error("live is what all have acknowledged, and nothing else")
	}
	version = mustSet(t, c, o, aService("greeter", 1, 1)...)
	status(t, c, o, 0, 2, 0)
	takeAccepted(one)
	if c.Acked(o, version) {
		t.Error("one client is behind")
	}
	two.Close()
	status(t, c, o, 1, 1, 0)
	if !c.Acked(o, version) {
		t.Error("the client that was behind has gone")
	}
}

func TestARefusalIsNotSentAgainBeforeItChanges(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := synced(Config{})
		o := greeter("shop")
		mustSet(t, c, o, endpointsFor("greeter", 0))
		other := c.Connect(protocol, "other", ofShop, nil)
		cl := c.Connect(protocol, "node", ofShop, nil)
		observer := c.Observe()
		defer observer.Close()
		for _, cl := range []*Client{cl, other} {
			defer cl.Close()
			if protocol == Incremental {
				_ = cl.Adjust(Endpoints, []string{"greeter"}, nil, nil)
			} else {
				_, _ = cl.Replace(Endpoints, []string{"greeter"})
			}
		}
		takeAccepted(other)
		responses := take(cl)
		cl.Nack(Endpoints, responses[0].Nonce, "greeter: not like this")
		if protocol == StateOfTheWorld {
			_, _ = cl.Replace(Endpoints, []string{"greeter"})
		} else {
			_ = cl.Adjust(Endpoints, nil, nil, nil)
		}
		expect(t, "after the refusal", take(cl))
		status(t, c, o, 1, 2, 1)
		event := observer.Take()[0]
		want := Event{Owner: o, Status: c.Status(o), Nacks: []Nack{{
			Node: "node", Type: Endpoints, Version: responses[0].Entries[0].Version(), Message: "greeter: not like this",
		}}}
		if diff := cmp.Diff(want, event); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
		mustSet(t, c, o, endpointsFor("greeter", 1))
		expect(t, "the next version", takeAccepted(cl), "EDS greeter")
		takeAccepted(other)
		status(t, c, o, 2, 2, 0)
	})
}

func TestTheInnocentAreSentAgainWithoutTheGuilty(t *testing.T) {
	c := synced(Config{})
	bad, good := Owner{Namespace: "shop", Name: "bad"}, Owner{Namespace: "shop", Name: "good"}
	mustSet(t, c, bad, endpointsFor("bad", 0))
	mustSet(t, c, good, endpointsFor("good", 0))
	cl := c.Connect(Incremental, "n", ofShop, nil)
	defer cl.Close()
	_ = cl.Adjust(Endpoints, []string{"bad", "good"}, nil, nil)
	responses := take(cl)
	expect(t, "both", responses, "EDS bad good")
	cl.Nack(Endpoints, responses[0].Nonce, "bad is bad")
	expect(t, "one", takeAccepted(cl), "EDS good")
	status(t, c, bad, 0, 1, 1)
	status(t, c, good, 1, 1, 0)
}

func TestAnAckOfAnEarlierResponseSaysNothingOfTheLatest(t *testing.T) {
	clk := testclock.NewFakePassiveClock(time.Unix(1e9, 0))
	c := synced(Config{Clock: clk, Patience: time.Second})
	o := greeter("shop")
	mustSet(t, c, o, endpointsFor("greeter", 0))
	cl := c.Connect(StateOfTheWorld, "n", ofShop, nil)
	defer cl.Close()
	_, _ = cl.Replace(Endpoints, []string{"greeter"})
	first := take(cl)[0]
	mustSet(t, c, o, endpointsFor("greeter", 1))
	clk.SetTime(clk.Now().Add(time.Second))
	second := take(cl)[0]
	if !cl.Ack(Endpoints, first.Nonce) || cl.Ack(Endpoints, first.Nonce) {
		t.Error("a response is answered once")
	}
	status(t, c, o, 0, 1, 0)
	if cl.Ack(Endpoints, "999") {
		t.Error("there was no such response")
	}
	status(t, c, o, 0, 1, 0)
	cl.Ack(Endpoints, second.Nonce)
	status(t, c, o, 1, 1, 0)
}

func TestAnObserverGetsWhatChangedOnce(t *testing.T) {
	c := synced(Config{})
	observer := c.Observe()
	defer observer.Close()
	for i := range 10 {
		mustSet(t, c, greeter("shop"), endpointsFor("greeter", i))
	}
	select {
	case <-observer.Ready():
	default:
		t.Fatal("no signal")
	}
	events := observer.Take()
	if len(events) != 1 || events[0].Status != c.Status(greeter("shop")) {
		t.Errorf("events: %+v", events)
	}
	if again := observer.Take(); len(again) != 0 {
		t.Errorf("events again: %+v", again)
	}
}

func TestANewClientIsNotLiveBeforeItHasSettled(t *testing.T) {
	clk := testclock.NewFakePassiveClock(time.Unix(1e9, 0))
	c := synced(Config{Clock: clk, Newcomer: time.Second})
	o := greeter("shop")
	mustSet(t, c, o, aCluster("greeter", 1), endpointsFor("greeter", 0))
	cl := c.Connect(StateOfTheWorld, "n", ofShop, nil)
	defer cl.Close()
	_, _ = cl.Replace(Clusters, nil)
	takeAccepted(cl)
	status(t, c, o, 0, 1, 0) // it has not come to its assignments yet
	_, again := cl.Next()
	if want := clk.Now().Add(time.Second); !again.Equal(want) {
		t.Fatalf("it should be looked at again at %v, not %v", want, again)
	}
	_, _ = cl.Replace(Endpoints, []string{"greeter"})
	clk.SetTime(again)
	responses := take(cl)
	status(t, c, o, 0, 1, 0)
	cl.Ack(Endpoints, responses[0].Nonce)
	status(t, c, o, 1, 1, 0)
}
