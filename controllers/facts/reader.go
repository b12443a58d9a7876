package facts

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	gwapiv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	mcsv1alpha1 "sigs.k8s.io/mcs-api/pkg/apis/v1alpha1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/index"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
)

// +kubebuilder:rbac:groups=multicluster.x-k8s.io,resources=serviceimports,verbs=get;list;watch

// Reader reads what is known of the backends. The controller that decides has one on the leader, and the
// xDS feed one on every replica.
type Reader struct {
	// Client reads from the cache.
	Client client.Reader
	Kinds  *kube.ServedKinds
	Probes *Probes
	Hosts  *Hosts
	Clock  clock.PassiveClock
	// Wake is told of ExposedServices of which more is known now.
	Wake *queue.WakeUps
	// Namespaces are those that are watched; empty: all. In others nothing is there.
	Namespaces []string
	// Platform is what the owners of the cluster allow.
	Platform gateway.Platform
}

// Asked says what is to be read of an ExposedService.
type Asked struct {
	// Gateway: its Gateway and the class, because there is a Gateway API to make them by.
	Gateway bool
	// XDS: hosts come to stand in clusters of Headgate's own xDS, which hold addresses only.
	XDS bool
	// Own finds a Service that Headgate made for a backend, or for a slot, by its name; nil: there is none.
	Own func(name string) *corev1.Service
}

// Found is what was read.
type Found struct {
	gateway.Facts

	// Awaited: something is being looked up for the first time. It is not known yet, which is not the same as
	// that it cannot be known.
	Awaited bool
	// Again is when to look again although nothing has changed; 0: never.
	Again time.Duration
	// Errs are why something could not be read that leaves things as they are while it is unknown.
	Errs []error
}

// Read reads everything that the expansion of an ExposedService depends on but the objects that were made for
// it. It answers from memory: nothing remote is waited for.
func (r Reader) Read(ctx context.Context, exs *v1alpha1.ExposedService, asked Asked) (Found, error) {
	out := Found{Facts: gateway.Facts{Backends: map[string]gateway.BackendFacts{}, Watched: r.Namespaces, Platform: r.Platform}}
	var err error
	if asked.Gateway {
		if err = r.readGateway(ctx, exs, &out); err != nil {
			return out, err
		}
	}
	if err := r.readGrants(ctx, exs, &out); err != nil {
		return out, err
	}
	if out.Hostnames, err = r.hostnames(ctx, exs.Namespace, asked); err != nil {
		return out, err
	}
	if out.ProxyFamilies, err = r.proxyFamilies(ctx, exs, out.Facts); err != nil {
		return out, err
	}
	look := &look{Reader: r, exs: exs, asked: asked, out: &out}
	return out, look.backends(ctx)
}

// Forget drops what is looked up for an ExposedService.
func (r Reader) Forget(key types.NamespacedName) {
	r.Hosts.follow(user{r.Wake, key}, nil)
	r.Probes.forget(user{r.Wake, key})
}

// user is on whose behalf something is looked up.
type user struct {
	wake *queue.WakeUps
	types.NamespacedName
}

func (u user) tell() { u.wake.Wake(u.NamespacedName) }

// watches says whether anything can be read in a namespace.
func (r Reader) watches(namespace string) bool {
	return len(r.Namespaces) == 0 || slices.Contains(r.Namespaces, namespace)
}

// get reads an object from the cache; nil: it does not exist, or is where nobody looks.
func get[T any, PT interface {
	*T
	client.Object
}](ctx context.Context, r Reader, key types.NamespacedName) (*T, error) {
	if !r.watches(key.Namespace) {
		return nil, nil
	}
	return kube.Get[T, PT](ctx, r.Client, key)
}

// readGrants reads the ReferenceGrants of the namespaces that the spec refers to.
func (r Reader) readGrants(ctx context.Context, exs *v1alpha1.ExposedService, out *Found) error {
	for _, namespace := range gateway.GrantNamespaces(exs) {
		switch {
		case !r.watches(namespace):
		case r.Kinds.Has(kube.KindGrant):
			var list gwapiv1.ReferenceGrantList
			if err := r.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
				return fmt.Errorf("list ReferenceGrants in namespace %s: %w", namespace, err)
			}
			out.Grants = append(out.Grants, list.Items...)
		case r.Kinds.Has(kube.KindGrantBeta):
			var list gwapiv1beta1.ReferenceGrantList
			if err := r.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
				return fmt.Errorf("list ReferenceGrants in namespace %s: %w", namespace, err)
			}
			for _, grant := range list.Items {
				out.Grants = append(out.Grants, gwapiv1.ReferenceGrant(grant))
			}
		}
	}
	return nil
}

// look is one look at the backends of an ExposedService.
type look struct {
	Reader

	exs   *v1alpha1.ExposedService
	asked Asked
	out   *Found
}

func (l *look) user() user { return user{l.Wake, client.ObjectKeyFromObject(l.exs)} }

func (l *look) backends(ctx context.Context) error {
	l.lookUpHosts()
	for i := range l.exs.Spec.Backends {
		backend := &l.exs.Spec.Backends[i]
		var facts gateway.BackendFacts
		var err error
		switch {
		case backend.Service != nil:
			facts, err = l.service(ctx, backend)
		case backend.ServiceImport != nil:
			facts, err = l.serviceImport(ctx, backend)
		case gateway.NeedsAddresses(l.exs, l.out.Class):
			answer := l.Hosts.Answer(string(backend.FQDN.Hostname))
			facts.Addresses, facts.Refused = answer.Addresses, answer.Refused
			facts.Unresolved = !answer.Awaited && len(answer.Addresses) == 0
			l.out.Awaited = l.out.Awaited || answer.Awaited
		}
		if err != nil {
			return fmt.Errorf("backend %s: %w", backend.Name, err)
		}
		l.out.Backends[backend.Name] = facts
	}
	if err := l.slots(ctx); err != nil {
		return err
	}
	return l.canary(ctx)
}

// lookUpHosts has the hosts of the spec looked up, and no others for it.
func (l *look) lookUpHosts() {
	var hosts []string
	if gateway.NeedsAddresses(l.exs, l.out.Class) {
		for _, backend := range l.exs.Spec.Backends {
			if backend.FQDN != nil {
				hosts = append(hosts, string(backend.FQDN.Hostname))
			}
		}
	}
	l.Hosts.follow(l.user(), hosts)
}

func (l *look) throughEnvoyGateway() bool {
	return l.out.Class != nil && l.out.Class.Spec.ControllerName == gateway.EnvoyGatewayController
}

// slots reads the Services of the slots of the first backend. What they say of the pods' probes matters when they have different pods.
func (l *look) slots(ctx context.Context) error {
	if !gateway.Slotted(l.exs) {
		return nil
	}
	l.out.Slots = map[v1alpha1.Slot]gateway.SlotFacts{}
	for _, slot := range []v1alpha1.Slot{v1alpha1.SlotBlue, v1alpha1.SlotGreen} {
		facts, err := l.own(ctx, gateway.SlotServiceName(l.exs, slot))
		if err != nil {
			return fmt.Errorf("slot %s: %w", slot, err)
		}
		if l.asksForProbes() && facts.Service != nil && facts.Service.Spec.Selector[gateway.LabelPodTemplateHash] != "" {
			facts.Probe = l.probe(facts.Service, facts.Slices, int32(l.exs.Spec.Backends[0].Service.Port))
		}
		l.out.Slots[slot] = facts
	}
	return nil
}

// canary reads the canary Service of the user's own, with its endpoints, as that of a backend.
func (l *look) canary(ctx context.Context) error {
	if l.exs.Status.Rollout == nil {
		return nil
	}
	service := refs.CanaryService(l.exs)
	if service == nil {
		return nil
	}
	facts, err := l.service(ctx, &v1alpha1.Backend{Name: v1alpha1.CanaryName, Service: service})
	if err != nil {
		return fmt.Errorf("canary: %w", err)
	}
	l.out.Canary, l.out.Backends[v1alpha1.CanaryName] = service, facts
	return nil
}

func (l *look) service(ctx context.Context, backend *v1alpha1.Backend) (gateway.BackendFacts, error) {
	var facts gateway.BackendFacts
	var err error
	name := refs.Service(l.exs, backend.Service)
	if facts.Service, err = get[corev1.Service](ctx, l.Reader, name); err != nil {
		return facts, err
	}
	if facts.Slices, err = l.slicesOf(ctx, name, index.ByService); err != nil {
		return facts, err
	}
	if err := l.ownService(ctx, backend, &facts); err != nil {
		return facts, err
	}
	if l.asksForProbes() && facts.Service != nil {
		facts.Probe = l.probe(facts.Service, facts.Slices, int32(backend.Service.Port))
	}
	return facts, nil
}

// probe asks what the pods behind a port of a Service declare.
func (l *look) probe(service *corev1.Service, slices []discoveryv1.EndpointSlice, port int32) gateway.Probe {
	found := l.Probes.probe(l.user(), service, slices, port)
	l.out.Awaited = l.out.Awaited || found.awaited
	if found.err != nil {
		// Unknown probes leave things as they are, which is better than to stop for them.
		l.out.Errs = append(l.out.Errs, fmt.Errorf("read the pods of Service %s/%s: %w", service.Namespace, service.Name, found.err))
	}
	return found.probe
}

func (l *look) serviceImport(ctx context.Context, backend *v1alpha1.Backend) (gateway.BackendFacts, error) {
	var facts gateway.BackendFacts
	if !l.Kinds.Has(kube.KindImport) {
		return facts, nil
	}
	name := types.NamespacedName{Namespace: l.exs.Namespace, Name: backend.ServiceImport.Name}
	found, err := get[mcsv1alpha1.ServiceImport](ctx, l.Reader, name)
	if err != nil {
		return facts, err
	}
	if found != nil {
		facts.Import = &gateway.Import{}
		for _, port := range found.Spec.Ports {
			facts.Import.Ports = append(facts.Import.Ports, corev1.ServicePort{
				Name: port.Name, Protocol: port.Protocol, AppProtocol: port.AppProtocol, Port: port.Port,
			})
		}
	}
	if facts.Slices, err = l.slicesOf(ctx, name, index.ByServiceImport); err != nil {
		return facts, err
	}
	return facts, l.ownService(ctx, backend, &facts)
}

// NewServiceAge is how long kube-proxy, or what stands in its place, is given to bring a new ClusterIP
// to every node: it gathers changes for a second by default.
const NewServiceAge = 3 * time.Second

// ownService reads the Service that Headgate made for a backend, and its EndpointSlices.
func (l *look) ownService(ctx context.Context, backend *v1alpha1.Backend, facts *gateway.BackendFacts) error {
	own, err := l.own(ctx, gateway.ServiceName(l.exs, backend.Name))
	facts.OwnService, facts.OwnServiceIsNew, facts.OwnSlices = own.Service, own.IsNew, own.Slices
	return err
}

// own reads a Service that Headgate made, by its name.
func (l *look) own(ctx context.Context, name string) (out gateway.SlotFacts, err error) {
	if out.Service = l.asked.Own(name); out.Service == nil {
		return out, nil
	}
	if rest := NewServiceAge - l.Clock.Since(out.Service.CreationTimestamp.Time); rest > 0 {
		out.IsNew = true
		if l.out.Again == 0 || rest < l.out.Again {
			l.out.Again = rest
		}
	}
	out.Slices, err = l.slicesOf(ctx, types.NamespacedName{Namespace: l.exs.Namespace, Name: name}, index.ByService)
	return out, err
}

// slicesOf reads the EndpointSlices of a Service, or of a ServiceImport.
func (r Reader) slicesOf(ctx context.Context, name types.NamespacedName, index string) ([]discoveryv1.EndpointSlice, error) {
	if !r.watches(name.Namespace) {
		return nil, nil
	}
	var list discoveryv1.EndpointSliceList
	err := r.Client.List(ctx, &list, client.InNamespace(name.Namespace), client.MatchingFields{index: name.Name})
	if err != nil {
		return nil, fmt.Errorf("list EndpointSlices of %s: %w", name, err)
	}
	return list.Items, nil
}

// asksForProbes says whether it matters what the pods' probes are: to the proxies of Envoy Gateway and to our
// own xDS, unless the spec says how endpoints are checked.
func (l *look) asksForProbes() bool {
	if !l.asked.XDS && !l.throughEnvoyGateway() {
		return false
	}
	traffic := l.exs.Spec.Traffic
	return traffic == nil || traffic.HealthCheck == nil ||
		ptr.Deref(traffic.HealthCheck.Mode, v1alpha1.HealthCheckAuto) == v1alpha1.HealthCheckAuto
}
