package cache

import (
	"errors"
	"fmt"
	"slices"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"k8s.io/apimachinery/pkg/types"
)

// Owner is the ExposedService whose resources they are.
type Owner = types.NamespacedName

// Audience says whom a resource is made for.
type Audience uint8

const (
	// Named resources go to those that ask for them by name.
	Named Audience = iota
	// Envoy resources also go to Envoys that ask for everything.
	Envoy
)

// Resource is a resource to serve: a Cluster, ClusterLoadAssignment, Listener or RouteConfiguration.
type Resource struct {
	// Message must not change any more.
	Message proto.Message
	// Audience counts for clusters and listeners; the other types are always asked for by name.
	Audience Audience
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
	audience Audience
	version  string
	digest   digest
	resource *discovery.Resource
}

// Name is the resource's name.
func (e *Entry) Name() string { return e.name }

// Version is the hash of what the resource says; for an assignment, of its clusters too.
func (e *Entry) Version() string { return e.version }

// Resource is the resource for incremental xDS; within it is the one for the state of the world.
func (e *Entry) Resource() *discovery.Resource { return e.resource }

// namespace is the one that all owners are in.
func (e *Entry) namespace() string { return e.names[0].Namespace }

// same says whether two entries differ in nothing but when they were made.
func (e *Entry) same(other *Entry) bool {
	return e.version == other.version && e.audience == other.audience && slices.Equal(e.names, other.names)
}

func (e *Entry) size() int { return len(e.resource.GetResource().GetValue()) }

// build marshals the resources that are set for a holder.
func build(holder Owner, resources []Resource) (map[key]*Entry, error) {
	entries := make(map[key]*Entry, len(resources))
	users := map[string][]key{} // clusters by their assignment
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
			name := assignmentOf(c)
			users[name] = append(users[name], e.key)
		}
	}
	for name, clusters := range users {
		e := entries[key{Assignments, name}]
		if e == nil {
			// A client would wait for it (Envoy: 15 s), and hold back what else it got.
			problems = append(problems, fmt.Errorf("cluster %q has no assignment %q", clusters[0].name, name))
			continue
		}
		e.cover(clusters, entries)
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
	if name == "" || name == wildcard {
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
		audience: r.Audience,
		version:  versionOf(value),
		resource: &discovery.Resource{Name: name, Resource: &anypb.Any{TypeUrl: typ.URL(), Value: value}},
	}, nil
}

// assignmentOf is the name of a cluster's assignment.
func assignmentOf(c *cluster.Cluster) string {
	if name := c.GetEdsClusterConfig().GetServiceName(); name != "" {
		return name
	}
	return c.GetName()
}

// cover takes the versions of its clusters into the version of an assignment. A client that gets a changed
// cluster warms it up as a new one, and waits for its assignment even when that is what it was.
func (e *Entry) cover(clusters []key, entries map[key]*Entry) {
	versions := []string{e.version}
	for _, k := range clusters {
		versions = append(versions, entries[k].version)
	}
	slices.Sort(versions[1:])
	e.version = versionOfAll(versions)
}
