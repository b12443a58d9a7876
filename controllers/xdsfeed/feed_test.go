package xdsfeed

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/facts"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/xds/cache"
)

func TestNothingIsServedBeforeEverythingWasRead(t *testing.T) {
	var services services
	served := cache.New(cache.Config{})
	feed := New(facts.Reader{Client: &services}, served, &queue.WakeUps{})
	for _, name := range []string{"one", "two"} {
		services.items = append(services.items, overXDS(name))
	}
	entry := func(name string) (key client.ObjectKey, e catalogEntry) {
		exs := overXDS(name)
		return client.ObjectKeyFromObject(&exs), newEntry(exposureFrom(&exs, gateway.Facts{}))
	}
	if err := feed.put(entry("one")); err != nil {
		t.Fatal(err)
	}
	if _, err := feed.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if feed.Ready(nil) == nil {
		t.Fatal("it is ready although one has not been read")
	}
	if version := served.Status(client.ObjectKey{Namespace: "shop", Name: "one"}).Version; version != "" {
		t.Fatalf("a part is served: version %s", version)
	}
	if err := feed.put(entry("two")); err != nil {
		t.Fatal(err)
	}
	if err := feed.Ready(nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		if served.Status(client.ObjectKey{Namespace: "shop", Name: name}).Version == "" {
			t.Errorf("%s is not served", name)
		}
	}
}

func overXDS(name string) v1alpha1.ExposedService {
	exs := v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Generation: 1}}
	exs.Spec.XDS = &v1alpha1.XDS{Port: ptr.To(v1alpha1.PortNumber(9090))}
	exs.Spec.Hostnames = []v1alpha1.Hostname{v1alpha1.Hostname(name + ".example.com")}
	exs.Spec.Backends = []v1alpha1.Backend{serviceBackend("primary", "one")}
	return exs
}

// services is a cache that holds ExposedServices.
type services struct {
	client.Reader

	items []v1alpha1.ExposedService
}

// List implements client.Reader.
func (s *services) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*v1alpha1.ExposedServiceList).Items = s.items
	return nil
}
