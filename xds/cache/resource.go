package cache

import (
	"errors"
	"fmt"
	"slices"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"k8s.io/apimachinery/pkg/types"
)

// Owner is the ExposedService whose resources they are.
type Owner = types.NamespacedName

// Resource is a resource to serve: a Cluster, ClusterLoadAssignment, Listener or RouteConfiguration.
type Resource struct {
	// Message must not change any more.
	Message proto.Message
	// Wildcard: also who asks for everything gets it, and not only who asks by name. It counts for clusters and listeners; the
	// other types have no wildcard.
	Wildcard bool
	// Since decides between resources of one name in several namespaces, for a client that may read them all: it gets the one with
	// the earliest, and of equal ones that of the first namespace.
	Since time.Time
	// Owners are those whose resource it is when it is not only that of the one it is Set for: an Envoy's
	// listener on a port that several share. They must be of the same namespace.
	Owners []Owner
}

type key struct {
	typ  Type
	name string
}

// Entry is a version of a resource. It never changes and is shared by all clients.
type Entry struct {
	key

	holder   *owner // that it was Set for
	owners   []*owner
	names    []Owner // of the owners
	wildcard bool
	since    time.Time
	version  string
	digest   digest
	resource *discovery.Resource
	// endpoints is the name of the endpoints that a cluster uses, clusters are those that use endpoints.
	endpoints string
	clusters  []string
}

// Name is the resource's name.
func (e *Entry) Name() string { return e.name }

// Version is the hash of what the resource says; for endpoints, of their clusters too.
func (e *Entry) Version() string { return e.version }

// Resource is the resource for incremental xDS; within it is the one for the state of the world.
func (e *Entry) Resource() *discovery.Resource { return e.resource }

// namespace is the one that all owners are in.
func (e *Entry) namespace() string { return e.names[0].Namespace }

// same says whether two entries differ in nothing but when they were made.
func (e *Entry) same(other *Entry) bool {
	return e.version == other.version && e.wildcard == other.wildcard && e.since.Equal(other.since) && slices.Equal(e.names, other.names)
}

func (e *Entry) size() int { return len(e.resource.GetResource().GetValue()) }

// build marshals the resources that are set for a holder.
func build(holder Owner, resources []Resource) (map[key]*Entry, error) {
	entries := make(map[key]*Entry, len(resources))
	users := map[string][]*Entry{} // clusters by their endpoints
	var problems []error
	for _, r := range resources {
		e, err := marshal(holder, r)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if _, twice := entries[e.key]; twice {
			problems = append(problems, fmt.Errorf("%s %q is there twice", e.typ, e.name))
		}
		entries[e.key] = e
		if c, ok := r.Message.(*cluster.Cluster); ok && c.GetType() == cluster.Cluster_EDS {
			e.endpoints = endpointsOf(c)
			users[e.endpoints] = append(users[e.endpoints], e)
		}
	}
	for name, clusters := range users {
		e := entries[key{Endpoints, name}]
		if e == nil {
			// A client would wait for them (Envoy: 15 s), and hold back what else it got.
			problems = append(problems, fmt.Errorf("cluster %q has no endpoints %q", clusters[0].name, name))
			continue
		}
		e.usedBy(clusters)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	for _, e := range entries {
		e.digest = digestOf(e.name, e.version)
		e.resource.Version = e.version
	}
	return entries, nil
}

func marshal(holder Owner, r Resource) (*Entry, error) {
	typ, name, ok := identify(r.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a resource that is served", r.Message)
	}
	if name == "" || name == wildcardName {
		return nil, fmt.Errorf("%s %q cannot be a resource's name", typ, name)
	}
	if m, ok := r.Message.(interface{ ValidateAll() error }); ok {
		if err := m.ValidateAll(); err != nil {
			return nil, fmt.Errorf("%s %q: %w", typ, name, err)
		}
	}
	owners := r.Owners
	if len(owners) == 0 {
		owners = []Owner{holder}
	}
	for _, o := range owners {
		if o.Namespace != holder.Namespace {
			return nil, fmt.Errorf("%s %q of %s cannot be shared by %s, which is in another namespace", typ, name, holder, o)
		}
	}
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.Message)
	if err != nil {
		return nil, fmt.Errorf("marshalling %s %q: %w", typ, name, err)
	}
	return &Entry{
		key:      key{typ, name},
		names:    owners,
		wildcard: r.Wildcard,
		since:    r.Since,
		version:  versionOf(value),
		resource: &discovery.Resource{Name: name, Resource: &anypb.Any{TypeUrl: typ.URL(), Value: value}},
	}, nil
}

// endpointsOf is the name of a cluster's endpoints.
func endpointsOf(c *cluster.Cluster) string {
	if name := c.GetEdsClusterConfig().GetServiceName(); name != "" {
		return name
	}
	return c.GetName()
}

// usedBy takes the versions of the clusters that use endpoints into the version of these. A client that gets a changed
// cluster warms it up as a new one, and waits for its endpoints even when these are what they were.
func (e *Entry) usedBy(clusters []*Entry) {
	versions := []string{e.version}
	for _, c := range clusters {
		versions = append(versions, c.version)
		e.clusters = append(e.clusters, c.name)
	}
	slices.Sort(versions[1:])
	e.version = versionOfAll(versions)
}
