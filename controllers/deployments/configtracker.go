package deployments

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	fieldselector "k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/rollout/workload"
)

// Kinds of objects that hold configuration.
const (
	kindNameConfigMap = "ConfigMap"
	kindNameSecret    = "Secret"
)

// configRef names a ConfigMap or a Secret.
type configRef struct {
	kind string
	types.NamespacedName
}

// ConfigTracker watches the ConfigMaps and Secrets that pod templates name, each by its name alone, and keeps
// nothing of them but a digest: a cluster has thousands that are nobody's business here, and a Role that names
// the few is right enough. It runs on the leader only, like those who decide.
type ConfigTracker struct {
	reader client.WithWatch
	// wake tells the reconciler that something has changed.
	wake *queue.WakeUps

	//nolint:containedctx // watches begin when a run asks for them and end with the tracker
	ctx  context.Context
	stop context.CancelFunc

	mu sync.Mutex
	// watched are the objects, and wanted are those that each ExposedService wants, without repetition.
	watched map[configRef]*watchedConfig
	wanted  map[types.NamespacedName][]configRef
	watches sync.WaitGroup
}

// watchedConfig is what is known of an object.
type watchedConfig struct {
	end context.CancelFunc
	// users are the ExposedServices that want it.
	users map[types.NamespacedName]bool
	// read: it was read, and digest is of its contents; empty: it does not exist.
	read   bool
	digest string
	// left: its annotation leaves it out of revisions.
	left bool
	// trouble is why it cannot be read now; what was read before stands.
	trouble string
}

// NewConfigTracker watches nothing yet.
func NewConfigTracker(reader client.WithWatch, wake *queue.WakeUps) *ConfigTracker {
	t := &ConfigTracker{
		reader: reader, wake: wake, watched: map[configRef]*watchedConfig{}, wanted: map[types.NamespacedName][]configRef{},
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	return t
}

// Start ends the watches when the context does.
func (t *ConfigTracker) Start(ctx context.Context) error {
	<-ctx.Done()
	t.stop()
	t.watches.Wait()
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: only who decides looks.
func (t *ConfigTracker) NeedLeaderElection() bool { return true }

// follow watches the objects that an ExposedService wants, and no others for it. It looks at nothing but those that
// it wants now and wanted before: it is called in every run of every rollout.
func (t *ConfigTracker) follow(key types.NamespacedName, refs []configRef) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil {
		return // All watches have ended.
	}
	before := t.wanted[key]
	if slices.Equal(before, refs) {
		return
	}
	t.wanted[key] = refs
	for _, ref := range refs {
		if t.watched[ref] == nil {
			t.begin(ref)
		}
		t.watched[ref].users[key] = true
	}
	for _, ref := range before {
		if !slices.Contains(refs, ref) {
			t.release(key, ref)
		}
	}
}

// forget watches nothing for an ExposedService any more.
func (t *ConfigTracker) forget(key types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ref := range t.wanted[key] {
		t.release(key, ref)
	}
	delete(t.wanted, key)
}

// release ends the watch of an object when its last user wants it no more. The lock is held.
func (t *ConfigTracker) release(key types.NamespacedName, ref configRef) {
	have := t.watched[ref]
	if have == nil {
		return
	}
	delete(have.users, key)
	if len(have.users) == 0 {
		have.end()
		delete(t.watched, ref)
	}
}

// configs are what is known of objects that are followed; why says why not all is.
func (t *ConfigTracker) configs(refs []configRef) (out []workload.Config, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ref := range refs {
		have := t.watched[ref]
		switch {
		case have == nil || !have.read && have.trouble == "":
			return nil, fmt.Sprintf("%s %s has not been read yet", ref.kind, ref.NamespacedName)
		case have.trouble != "":
			return nil, have.trouble
		}
		out = append(out, workload.Config{Kind: ref.kind, Name: ref.Name, Digest: have.digest, Left: have.left})
	}
	return out, ""
}

// begin watches one object. The lock is held.
func (t *ConfigTracker) begin(ref configRef) {
	ctx, end := context.WithCancel(t.ctx)
	t.watched[ref] = &watchedConfig{end: end, users: map[types.NamespacedName]bool{}}
	store := configStore{tracker: t, ref: ref}
	reflector := toolscache.NewReflectorWithOptions(store.listWatch(), newConfigObject(ref.kind), store,
		toolscache.ReflectorOptions{Name: "config " + ref.kind + " " + ref.String()})
	t.watches.Go(func() { reflector.RunWithContext(ctx) })
}

// note takes in news of an object, and tells those who want it.
func (t *ConfigTracker) note(ref configRef, change func(*watchedConfig)) {
	t.mu.Lock()
	var tell []types.NamespacedName
	if have := t.watched[ref]; have != nil {
		before := *have
		change(have)
		if before.read != have.read || before.digest != have.digest || before.left != have.left || before.trouble != have.trouble {
			tell = slices.Collect(maps.Keys(have.users))
		}
	}
	t.mu.Unlock()
	t.wake.Wake(tell...)
}

// configStore is where a watch of one object puts what it finds.
type configStore struct {
	tracker *ConfigTracker
	ref     configRef
}

// Add implements cache.ReflectorStore.
func (s configStore) Add(object any) error {
	digest, left := digestOf(object)
	s.tracker.note(s.ref, func(c *watchedConfig) { c.read, c.digest, c.left, c.trouble = true, digest, left, "" })
	return nil
}

// Update implements cache.ReflectorStore.
func (s configStore) Update(object any) error { return s.Add(object) }

// Delete implements cache.ReflectorStore.
func (s configStore) Delete(any) error { return s.Add(nil) }

// Replace implements cache.ReflectorStore.
func (s configStore) Replace(objects []any, _ string) error {
	if len(objects) == 0 {
		return s.Add(nil)
	}
	return s.Add(objects[0])
}

// Resync implements cache.ReflectorStore.
func (s configStore) Resync() error { return nil }

// listWatch asks for the one object by its name: a Role that names it is enough.
func (s configStore) listWatch() *toolscache.ListWatch {
	options := func(raw metav1.ListOptions) *client.ListOptions {
		return &client.ListOptions{
			Namespace: s.ref.Namespace, Raw: &raw, FieldSelector: fieldselector.OneTermEqualSelector(metav1.ObjectNameField, s.ref.Name),
		}
	}
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, raw metav1.ListOptions) (runtime.Object, error) {
			list := newConfigList(s.ref.kind)
			err := s.tracker.reader.List(ctx, list, options(raw))
			s.blame(ctx, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
			out, err := s.tracker.reader.Watch(ctx, newConfigList(s.ref.kind), options(raw))
			s.blame(ctx, err)
			return out, err
		},
	}
}

// blame notes that the object may not be read. Other errors pass: what was read before stands.
func (s configStore) blame(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	s.tracker.note(s.ref, func(c *watchedConfig) {
		switch {
		case apierrors.IsForbidden(err):
			c.trouble = fmt.Sprintf("Headgate may not read %s %s: let it get, list and watch it (rbac.trackConfig of the chart), or remove trackConfig",
				s.ref.kind, s.ref.NamespacedName)
		case !c.read:
			c.trouble = fmt.Sprintf("%s %s cannot be read: %v", s.ref.kind, s.ref.NamespacedName, err)
		}
	})
}

func digestOf(object any) (digest string, left bool) {
	switch o := object.(type) {
	case *corev1.ConfigMap:
		return workload.ConfigMapDigest(o), workload.IsLeft(o.Annotations)
	case *corev1.Secret:
		return workload.SecretDigest(o), workload.IsLeft(o.Annotations)
	}
	return "", false
}

func newConfigObject(kind string) client.Object {
	if kind == kindNameSecret {
		return &corev1.Secret{}
	}
	return &corev1.ConfigMap{}
}

func newConfigList(kind string) client.ObjectList {
	if kind == kindNameSecret {
		return &corev1.SecretList{}
	}
	return &corev1.ConfigMapList{}
}
