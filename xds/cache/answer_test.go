package cache

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"
)

func status(t *testing.T, c *Cache, o Owner, live, clients, rejecting int) {
	t.Helper()
	got := c.Status(o)
	got.Version = ""
	if diff := cmp.Diff(Status{Live: live, Clients: clients, Rejecting: rejecting}, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestAnOwnerIsLiveWhenAllThatUseItHaveAcknowledged(t *testing.T) {
	c := synced(Config{})
	o := greeter("shop")
	version := mustSet(t, c, o, aService("greeter", 1, 0)...)
	status(t, c, o, 0, 0, 0)
	if !c.Live(o, version) {
		t.Error("nobody has to be waited for")
	}
	one, two := envoy(t, c, StateOfTheWorld, "greeter-1"), envoy(t, c, Incremental, "greeter-1")
	status(t, c, o, 0, 2, 0)
	takeAccepted(one)
	status(t, c, o, 1, 2, 0)
	takeAccepted(two)
	status(t, c, o, 2, 2, 0)
	if !c.Live(o, version) || c.Live(o, "another") {
		t.Error("live is what all have acknowledged, and nothing else")
	}
	version = mustSet(t, c, o, aService("greeter", 1, 1)...)
	status(t, c, o, 0, 2, 0)
	takeAccepted(one)
	if c.Live(o, version) {
		t.Error("one client is behind")
	}
	two.Close()
	status(t, c, o, 1, 1, 0)
	if !c.Live(o, version) {
		t.Error("the client that was behind has gone")
	}
}

func TestARefusalIsNotSentAgainBeforeItChanges(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := synced(Config{})
		o := greeter("shop")
		mustSet(t, c, o, anAssignment("greeter", 0))
		other := c.Connect(protocol, "other", ofShop)
		cl := c.Connect(protocol, "node", ofShop)
		observer := c.Observe()
		defer observer.Close()
		for _, cl := range []*Client{cl, other} {
			defer cl.Close()
			if protocol == Incremental {
				cl.Adjust(Assignments, []string{"greeter"}, nil, nil)
			} else {
				cl.Replace(Assignments, []string{"greeter"})
			}
		}
		takeAccepted(other)
		pushes := take(cl)
		cl.Answer(Assignments, Answer{Nonce: pushes[0].Nonce, Refused: true, Refusal: "greeter: not like this"})
		if protocol == StateOfTheWorld {
			cl.Replace(Assignments, []string{"greeter"})
		} else {
			cl.Adjust(Assignments, nil, nil, nil)
		}
		expect(t, "after the refusal", take(cl))
		status(t, c, o, 1, 2, 1)
		event := observer.Take()[0]
		want := Event{Owner: o, Status: c.Status(o), Refusals: []Refusal{{
			Node: "node", Type: Assignments, Version: pushes[0].Entries[0].Version(), Words: "greeter: not like this",
		}}}
		if diff := cmp.Diff(want, event); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
		mustSet(t, c, o, anAssignment("greeter", 1))
		expect(t, "the next version", takeAccepted(cl), "EDS greeter")
		takeAccepted(other)
		status(t, c, o, 2, 2, 0)
	})
}

func TestTheInnocentAreSentAgainWithoutTheGuilty(t *testing.T) {
	c := synced(Config{})
	bad, good := Owner{Namespace: "shop", Name: "bad"}, Owner{Namespace: "shop", Name: "good"}
	mustSet(t, c, bad, anAssignment("bad", 0))
	mustSet(t, c, good, anAssignment("good", 0))
	cl := c.Connect(Incremental, "n", ofShop)
	defer cl.Close()
	cl.Adjust(Assignments, []string{"bad", "good"}, nil, nil)
	pushes := take(cl)
	expect(t, "both", pushes, "EDS bad good")
	cl.Answer(Assignments, Answer{Nonce: pushes[0].Nonce, Refused: true, Refusal: "bad is bad"})
	expect(t, "one", takeAccepted(cl), "EDS good")
	status(t, c, bad, 0, 1, 1)
	status(t, c, good, 1, 1, 0)
}

func TestAnAnswerToAnEarlierResponseSaysNothingOfTheLatest(t *testing.T) {
	c := synced(Config{})
	o := greeter("shop")
	mustSet(t, c, o, anAssignment("greeter", 0))
	cl := c.Connect(StateOfTheWorld, "n", ofShop)
	defer cl.Close()
	cl.Replace(Assignments, []string{"greeter"})
	first := take(cl)[0]
	mustSet(t, c, o, anAssignment("greeter", 1))
	second := take(cl)[0]
	cl.Answer(Assignments, Answer{Nonce: first.Nonce})
	status(t, c, o, 0, 1, 0)
	if cl.Current(Assignments, first.Nonce) || !cl.Current(Assignments, second.Nonce) {
		t.Error("only the answer to the latest response says what the client subscribes to")
	}
	cl.Answer(Assignments, Answer{Nonce: "999"})
	status(t, c, o, 0, 1, 0)
	cl.Answer(Assignments, Answer{Nonce: second.Nonce})
	status(t, c, o, 1, 1, 0)
}

func TestAnObserverGetsWhatChangedOnce(t *testing.T) {
	c := synced(Config{})
	observer := c.Observe()
	defer observer.Close()
	for i := range 10 {
		mustSet(t, c, greeter("shop"), anAssignment("greeter", i))
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
	c := synced(Config{Clock: clk, Settling: time.Second})
	o := greeter("shop")
	mustSet(t, c, o, aCluster("greeter", 1), anAssignment("greeter", 0))
	cl := c.Connect(StateOfTheWorld, "n", ofShop)
	defer cl.Close()
	cl.Replace(Clusters, nil)
	takeAccepted(cl)
	status(t, c, o, 0, 1, 0) // it has not come to its assignments yet
	_, again := cl.Next()
	if want := clk.Now().Add(time.Second); !again.Equal(want) {
		t.Fatalf("it should be looked at again at %v, not %v", want, again)
	}
	cl.Replace(Assignments, []string{"greeter"})
	clk.SetTime(again)
	pushes := take(cl)
	status(t, c, o, 0, 1, 0)
	cl.Answer(Assignments, Answer{Nonce: pushes[0].Nonce})
	status(t, c, o, 1, 1, 0)
}
