package deployments

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/controllers/queue"
)

// hangingReader answers no question.
type hangingReader struct{ client.WithWatch }

func (hangingReader) List(ctx context.Context, _ client.ObjectList, _ ...client.ListOption) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hangingReader) Watch(ctx context.Context, _ client.ObjectList, _ ...client.ListOption) (watch.Interface, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func newTestTracker(t testing.TB) *ConfigTracker {
	t.Helper()
	tracker := NewConfigTracker(hangingReader{}, &queue.WakeUps{})
	t.Cleanup(func() {
		tracker.stop()
		tracker.watches.Wait()
	})
	return tracker
}

func user(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "shop", Name: name}
}

func configMaps(names ...string) []configRef {
	var out []configRef
	for _, name := range names {
		out = append(out, configRef{kindNameConfigMap, user(name)})
	}
	return out
}

func (t *ConfigTracker) watchedNames() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for ref := range t.watched {
		out = append(out, ref.Name)
	}
	slices.Sort(out)
	return out
}

func TestAnObjectIsWatchedWhileAnybodyWantsIt(t *testing.T) {
	tracker := newTestTracker(t)
	for _, step := range []struct {
		name string
		do   func()
		want []string
	}{
		{"a wants two", func() { tracker.follow(user("a"), configMaps("own", "shared")) }, []string{"own", "shared"}},
		{"a wants the same", func() { tracker.follow(user("a"), configMaps("own", "shared")) }, []string{"own", "shared"}},
		{"b wants one of them", func() { tracker.follow(user("b"), configMaps("shared")) }, []string{"own", "shared"}},
		{"a wants another instead", func() { tracker.follow(user("a"), configMaps("shared", "new")) }, []string{"new", "shared"}},
		{"a wants none", func() { tracker.follow(user("a"), nil) }, []string{"shared"}},
		{"a is forgotten", func() { tracker.forget(user("a")) }, []string{"shared"}},
		{"somebody unknown is forgotten", func() { tracker.forget(user("c")) }, []string{"shared"}},
		{"b is forgotten", func() { tracker.forget(user("b")) }, nil},
	} {
		step.do()
		if got := tracker.watchedNames(); !slices.Equal(got, step.want) {
			t.Errorf("%s: watched are %q, want %q", step.name, got, step.want)
		}
	}
	if len(tracker.wanted) > 0 {
		t.Errorf("what nobody wants is remembered: %v", tracker.wanted)
	}
}

func TestNewsOfAnObjectAreForThoseWhoWantIt(t *testing.T) {
	tracker, queue := newTestTracker(t), newQueue(t)
	if err := tracker.wake.Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	tracker.follow(user("a"), configMaps("own", "shared"))
	tracker.follow(user("b"), configMaps("shared"))
	store := func(name string) configStore {
		return configStore{tracker: tracker, ref: configRef{kindNameConfigMap, user(name)}}
	}
	for _, step := range []struct {
		name string
		want []string
	}{{"own", []string{"a"}}, {"shared", []string{"a", "b"}}, {"nobody's", nil}} {
		if err := store(step.name).Add(&corev1.ConfigMap{Data: map[string]string{"k": "v"}}); err != nil {
			t.Fatal(err)
		}
		if got := woken(queue); !slices.Equal(got, step.want) {
			t.Errorf("news of %s wake %q, want %q", step.name, got, step.want)
		}
	}
}

// fill has n ExposedServices want five objects each.
func fill(tracker *ConfigTracker, n int) {
	for i := range n {
		tracker.follow(user(fmt.Sprint("exs-", i)), fiveOf(i))
	}
}

func fiveOf(i int) []configRef {
	var names []string
	for j := range 5 {
		names = append(names, fmt.Sprintf("config-%d-%d", i, j))
	}
	return configMaps(names...)
}

// What a run costs does not depend on how many others there are. A walk through all of them would show as sixteen times the cost, and one
// of all by all as 256 times.
func TestFollowingCostsTheSameHoweverManyOthersFollow(t *testing.T) {
	costs := map[int]time.Duration{}
	for _, n := range []int{100, 1600} {
		tracker := newTestTracker(t)
		fill(tracker, n)
		others := user("another")
		costs[n] = math.MaxInt64
		for range 20 {
			start := time.Now()
			for i := range 100 {
				tracker.follow(user("exs-0"), fiveOf(0))
				tracker.forget(others)
				tracker.follow(others, fiveOf(i%5))
			}
			// The least is what it costs without what else the machine does.
			costs[n] = min(costs[n], time.Since(start))
		}
	}
	if ratio := float64(costs[1600]) / float64(costs[100]); ratio > 6 {
		t.Errorf("among 1,600 it costs %.1f times as much as among 100", ratio)
	}
}

func BenchmarkFollowConfig(b *testing.B) {
	for _, n := range []int{100, 400, 1600} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tracker := newTestTracker(b)
			fill(tracker, n)
			refs := fiveOf(0)
			for b.Loop() {
				tracker.follow(user("exs-0"), refs)
				tracker.forget(user("another"))
			}
		})
	}
}
