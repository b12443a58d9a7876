package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// answerers is how many statuses the data plane writes at once.
const answerers = 8

// DataPlane accepts and programs everything at once, as far as statuses go: it is Envoy Gateway without Envoys. It has one watch
// for each kind, keeps no objects, reads none and writes nothing but statuses.
type DataPlane struct {
	kube client.Client
	work workqueue.TypedInterface[about]

	mu sync.Mutex
	// latest are the objects that are to be answered for.
	latest map[about]client.Object
	failed []error
}

// about names an object.
type about struct {
	kind schema.GroupVersionKind
	name types.NamespacedName
}

// StartDataPlane starts one that ends with the context. Of each route it tells also onRoute, at once.
func (s *APIServer) StartDataPlane(ctx context.Context, onRoute func(*gwapiv1.GRPCRoute)) (*DataPlane, error) {
	kube, err := s.Client()
	if err != nil {
		return nil, err
	}
	d := &DataPlane{kube: kube, latest: map[about]client.Object{}, work: workqueue.NewTyped[about]()}
	for range answerers {
		go d.answer(ctx)
	}
	go func() { <-ctx.Done(); d.work.ShutDown() }()
	go follow(ctx, kube, &gwapiv1.GatewayList{}, func(o *gwapiv1.Gateway) { d.tell(o) })
	go follow(ctx, kube, &gwapiv1.GRPCRouteList{}, func(o *gwapiv1.GRPCRoute) { onRoute(o); d.tell(o) })
	go follow(ctx, kube, &egv1a1.EnvoyProxyList{}, func(o *egv1a1.EnvoyProxy) { d.tell(o) })
	go follow(ctx, kube, &egv1a1.EnvoyPatchPolicyList{}, func(o *egv1a1.EnvoyPatchPolicy) { d.tell(o) })
	go follow(ctx, kube, &egv1a1.BackendTrafficPolicyList{}, func(o *egv1a1.BackendTrafficPolicy) { d.tell(o) })
	go follow(ctx, kube, &egv1a1.BackendList{}, func(o *egv1a1.Backend) { d.tell(o) })
	return d, nil
}

// Err is what it could not write.
func (d *DataPlane) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return errors.Join(d.failed...)
}

func (d *DataPlane) tell(object client.Object) {
	if object.GetDeletionTimestamp() != nil {
		return
	}
	kind, err := apiutil.GVKForObject(object, d.kube.Scheme())
	if err != nil {
		d.fail(err)
		return
	}
	key := about{kind: kind, name: client.ObjectKeyFromObject(object)}
	d.mu.Lock()
	d.latest[key] = object
	d.mu.Unlock()
	d.work.Add(key)
}

func (d *DataPlane) answer(ctx context.Context) {
	for {
		key, end := d.work.Get()
		if end {
			return
		}
		d.mu.Lock()
		object := d.latest[key]
		delete(d.latest, key)
		d.mu.Unlock()
		if status := verdict(object, metav1.NewTime(time.Now())); status != nil {
			d.write(ctx, key, status)
		}
		d.work.Done(key)
	}
}

// write puts a whole status in the place of the one before. What is given back is read as metadata alone, which costs little.
func (d *DataPlane) write(ctx context.Context, key about, status any) {
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		d.fail(err)
		return
	}
	object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: key.name.Namespace, Name: key.name.Name}}
	object.SetGroupVersionKind(key.kind)
	err = d.kube.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, patch))
	if err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) {
		d.fail(fmt.Errorf("the data plane cannot write the status of %s %s: %w", key.kind.Kind, key.name, err))
	}
}

func (d *DataPlane) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = append(d.failed, err)
}
