package xdsfeed

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/facts"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/metrics"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/xds/cache"
)

// station is a replica that has just started: its feed, and the cluster, DNS and pods that it reads.
type station struct {
	t     *testing.T
	feed  *Feed
	cache *cache.Cache
	clock *clocktesting.FakeClock
	world *fakeCluster
	names names
	// woken are asked for another run by what is looked up beside the feed.
	woken workqueue.TypedRateLimitingInterface[reconcile.Request]
}

func newStation(t *testing.T, services ...v1alpha1.ExposedService) *station {
	t.Helper()
	s := &station{
		t: t, cache: cache.New(cache.Config{}), clock: clocktesting.NewFakeClock(time.Unix(1_000_000, 0)),
		world: &fakeCluster{failing: map[string]error{}}, names: names{answers: make(chan error)},
		woken: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()),
	}
	s.world.items = services
	wake := &queue.WakeUps{}
	if err := wake.Start(t.Context(), s.woken); err != nil {
		t.Fatal(err)
	}
	reader := facts.Reader{
		Client: s.world, Kinds: kube.NewServedKinds(nil), Clock: s.clock, Wake: wake,
		Hosts: facts.NewHosts(s.names, facts.HostPolicy{}, s.clock, metrics.New()), Probes: facts.NewProbes(s.world, s.clock),
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = reader.Probes.Start(ctx)
	}()
	hostsEnded := make(chan struct{})
	go func() {
		defer close(hostsEnded)
		_ = reader.Hosts.Start(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended; <-hostsEnded })
	s.feed = New(reader, s.cache, &queue.WakeUps{})
	return s
}

// run is a request, and what it comes to.
func (s *station) run(name string) (ctrl.Result, error) {
	s.t.Helper()
	if name == "" {
		return s.feed.Reconcile(s.t.Context(), Begin)
	}
	return s.feed.Reconcile(s.t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}})
}

// untilWoken waits until something has been looked up for an ExposedService.
func (s *station) untilWoken(name string) {
	s.t.Helper()
	got, _ := s.woken.Get()
	s.woken.Done(got)
	if got.Name != name {
		s.t.Fatalf("%s was woken", got)
	}
}

func (s *station) is(what string, open bool, served ...string) {
	s.t.Helper()
	if is := s.feed.Ready(nil) == nil; is != open {
		s.t.Fatalf("%s: open is %t", what, is)
	}
	var have []string
	for i := range s.world.items {
		if s.cache.Status(client.ObjectKeyFromObject(&s.world.items[i])).Version != "" {
			have = append(have, s.world.items[i].Name)
		}
	}
	if !slices.Equal(have, served) {
		s.t.Fatalf("%s: served are %v, want %v", what, have, served)
	}
}

func (s *station) pass(d time.Duration) { s.clock.SetTime(s.clock.Now().Add(d)) }

// Whatever becomes of one, others are served after awaitLimit at the latest; and not before all have had that long.
func TestOneThatCannotBeReadKeepsNobodyWaiting(t *testing.T) {
	onHost := overXDS("bad")
	onHost.Spec.Backends = append(onHost.Spec.Backends, v1alpha1.Backend{Name: "host", FQDN: &v1alpha1.FQDNBackend{Hostname: "typo.example.com", Port: 443}})
	for name, c := range map[string]struct {
		bad v1alpha1.ExposedService
		// before is what goes wrong, and lookedUp ends what is looked up at first.
		before   func(*station)
		lookedUp func(*station)
		// servedToo: it is served after all, as far as it is known.
		servedToo bool
	}{
		"a look-up that hangs": {bad: onHost, servedToo: true},
		"a host that never resolves": {bad: onHost, servedToo: true, lookedUp: func(s *station) {
			s.names.answers <- errors.New("no such host")
			s.untilWoken("bad")
		}},
		"pods that cannot be read": {bad: overXDS("bad"), servedToo: true, before: func(s *station) {
			s.world.failing["*v1.Pod"] = errors.New("the server is down")
		}, lookedUp: func(s *station) { s.untilWoken("bad") }},
		"an error of the reader": {bad: overXDS("bad"), before: func(s *station) {
			s.world.failing["bad-svc"] = errors.New("unknown namespace for the cache")
		}},
		"itself cannot be read": {bad: overXDS("bad"), before: func(s *station) {
			s.world.failing["bad"] = errors.New("not decoded")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.bad.Spec.Backends[0].Service != nil {
				c.bad.Spec.Backends[0].Service.Name = "bad-svc"
			}
			s := newStation(t, c.bad, overXDS("good"))
			if c.before != nil {
				c.before(s)
			}
			for _, name := range []string{"bad", "good", ""} {
				_, _ = s.run(name)
			}
			s.is("at first", false)
			if c.lookedUp != nil {
				c.lookedUp(s)
				_, _ = s.run("bad")
				s.is("after the first look", false)
			}
			s.pass(awaitLimit - time.Millisecond)
			_, _ = s.run("bad")
			if result, err := s.run(""); err != nil || result.RequeueAfter == 0 {
				t.Fatalf("%+v, %v: nobody comes back to open", result, err)
			}
			s.is("before the limit", false)
			s.pass(2 * time.Millisecond)
			_, err := s.run("bad")
			s.pass(beginAgain)
			if result, err := s.run(""); err != nil || result.RequeueAfter != 0 {
				t.Fatalf("%+v, %v", result, err)
			}
			if c.servedToo {
				if err != nil {
					t.Fatal(err)
				}
				s.is("in the end", true, "bad", "good")
				return
			}
			if err == nil {
				t.Error("nobody hears of the error")
			}
			s.is("in the end", true, "good")
			clear(s.world.failing)
			if _, err := s.run("bad"); err != nil {
				t.Fatal(err)
			}
			s.is("when it can be read", true, "bad", "good")
		})
	}
}

// Who has not been looked at yet is only late: clients that were told of the others alone would drop it.
func TestWhoIsLateIsWaitedFor(t *testing.T) {
	s := newStation(t, overXDS("late"), overXDS("good"))
	_, _ = s.run("good")
	for range 3 {
		if result, err := s.run(""); err != nil || result.RequeueAfter == 0 {
			t.Fatalf("%+v, %v", result, err)
		}
		s.pass(awaitLimit)
	}
	s.is("without it", false)
	if _, err := s.run("late"); err != nil {
		t.Fatal(err)
	}
	s.is("with it", true, "late", "good")
}

// What is served stays when something cannot be looked up any more.
func TestAFailedLookTakesNothingFromWhoIsServed(t *testing.T) {
	onHost := overXDS("one")
	onHost.Spec.Backends = append(onHost.Spec.Backends, v1alpha1.Backend{Name: "host", FQDN: &v1alpha1.FQDNBackend{Hostname: "eu.example.com", Port: 443}})
	s := newStation(t, onHost)
	_, _ = s.run("one")
	_, _ = s.run("")
	s.names.answers <- nil
	s.untilWoken("one")
	if _, err := s.run("one"); err != nil {
		t.Fatal(err)
	}
	s.is("at first", true, "one")
	key := client.ObjectKeyFromObject(&onHost)
	version := s.cache.Status(key).Version

	s.pass(facts.HostRefresh)
	s.names.answers <- errors.New("the DNS server is down")
	for _, name := range []string{"one-svc", "one", "*v1.EndpointSliceList", "other"} {
		s.world.failing[name] = errors.New("it cannot be read")
		s.pass(2 * awaitLimit)
		_, _ = s.run("one")
		_, _ = s.run("")
		if now := s.cache.Status(key).Version; now != version {
			t.Errorf("without %s, version %s is served instead of %s", name, now, version)
		}
		delete(s.world.failing, name)
	}
}

// What the cache has not taken is set again when the change is tried again, a shared port as well.
func TestWhatWasNotPublishedIsPublishedByTheRetry(t *testing.T) {
	s := newStation(t, overXDS("one"), overXDS("two"))
	for _, name := range []string{"one", "two", ""} {
		if _, err := s.run(name); err != nil {
			t.Fatal(err)
		}
	}
	port := cache.Owner{Namespace: "shop", Name: "9090"}
	before := s.cache.Status(port).Version
	set, failing := s.feed.set, true
	s.feed.set = func(resources map[cache.Owner][]cache.Resource) error {
		if _, has := resources[port]; has && failing {
			return errors.New("it is refused")
		}
		return set(resources)
	}
	s.world.items[0].Generation++
	s.world.items[0].Spec.Hostnames = []v1alpha1.Hostname{"other.example.com"}
	if _, err := s.run("one"); err == nil {
		t.Fatal("nobody hears of the refusal")
	}
	one := client.ObjectKeyFromObject(&s.world.items[0])
	if problems := s.feed.Served(one).Problems; len(problems) != 1 || !problems[0].Partial || !strings.Contains(problems[0].Message, "it is refused") {
		t.Errorf("its status says: %+v", problems)
	}
	if _, err := s.run("two"); err != nil {
		t.Errorf("another one pays for it: %v", err)
	}
	failing = false
	if _, err := s.run("one"); err != nil {
		t.Fatal(err)
	}
	if now := s.cache.Status(port).Version; now == before {
		t.Error("the port is still what it was")
	}
	if len(s.feed.unpublished) > 0 {
		t.Errorf("there is something left to publish: %v", s.feed.unpublished)
	}
	if problems := s.feed.Served(one).Problems; len(problems) > 0 {
		t.Errorf("its status still says: %+v", problems)
	}
}

// What the status says comes in the same order each time: another one would be worth a write.
func TestWhatWasNotPublishedIsSaidInTheSameOrder(t *testing.T) {
	s := newStation(t, overXDS("one"))
	for _, name := range []string{"one", ""} {
		if _, err := s.run(name); err != nil {
			t.Fatal(err)
		}
	}
	s.feed.set = func(map[cache.Owner][]cache.Resource) error { return errors.New("it is refused") }
	s.world.items[0].Generation++
	s.world.items[0].Spec.Hostnames = []v1alpha1.Hostname{"other.example.com"}
	if _, err := s.run("one"); err == nil {
		t.Fatal("nobody hears of the refusal")
	}
	one := client.ObjectKeyFromObject(&s.world.items[0])
	first := s.feed.Served(one).Problems
	if len(first) < 2 {
		t.Fatalf("its status says %+v, want something of the port as well", first)
	}
	for range 50 {
		if again := s.feed.Served(one).Problems; !slices.Equal(again, first) {
			t.Fatalf("its status says %+v, and then %+v", first, again)
		}
	}
}

// names is a DNS in which every look-up waits for its answer; no error is an address.
type names struct{ answers chan error }

// LookupHost implements facts.Resolver.
func (n names) LookupHost(ctx context.Context, _ string) ([]string, error) {
	select {
	case err := <-n.answers:
		return []string{"192.0.2.1"}, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fakeCluster has a Service of every name, and a pod behind one of them. What is in failing, by name or type, cannot be read.
type fakeCluster struct {
	services

	failing map[string]error
}

// Get implements client.Reader.
func (c *fakeCluster) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	switch o := object.(type) {
	case *v1alpha1.ExposedService:
		if err := c.failing[key.Name]; err != nil {
			return err
		}
		for i := range c.items {
			if client.ObjectKeyFromObject(&c.items[i]) == key {
				c.items[i].DeepCopyInto(o)
				return nil
			}
		}
	case *corev1.Service:
		if err := c.failing[key.Name]; err != nil {
			return err
		}
		o.ObjectMeta = metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}
		o.Spec = corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 50051}}, Selector: map[string]string{"app": key.Name}}
		return nil
	case *corev1.Pod:
		if err := c.failing["*v1.Pod"]; err != nil {
			return err
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

// List implements client.Reader.
func (c *fakeCluster) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	slices, ok := list.(*discoveryv1.EndpointSliceList)
	if !ok {
		return c.services.List(ctx, list, options...)
	}
	if err := c.failing["*v1.EndpointSliceList"]; err != nil {
		return err
	}
	var asked client.ListOptions
	asked.ApplyOptions(options)
	name := ""
	for _, requirement := range asked.FieldSelector.Requirements() {
		name = requirement.Value
	}
	if name != "bad-svc" {
		return nil
	}
	slices.Items = []discoveryv1.EndpointSlice{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Port: ptr.To(int32(50051)), Name: ptr.To("")}},
		Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{"10.0.0.1"}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: name, UID: "pod"},
		}},
	}}
	return nil
}
