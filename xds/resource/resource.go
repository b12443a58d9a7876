package resource

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Audience says whom a resource is for.
type Audience string

const (
	// Everyone is everybody who asks for it by name. Envoys ask for all clusters at once.
	Everyone Audience = "Everyone"
	// Envoys is Envoy, whose wildcard subscription is to hold it.
	Envoys Audience = "Envoys"
	// GRPCClients is gRPC without a proxy, which asks by name. A wildcard subscription must not hold it:
	// Envoy takes an API listener from its bootstrap only.
	GRPCClients Audience = "GRPCClients"
)

// Resource is one named resource of the xDS protocol.
type Resource struct {
	// Name is the name that clients subscribe to. Together with the type and the namespace it is unique in a Result.
	Name string
	// Message is a Cluster, ClusterLoadAssignment, Listener or RouteConfiguration. It must not be
	// changed: messages share parts.
	Message proto.Message
	// Audience says whom it is for.
	Audience Audience
	// Namespace is the one namespace that all of its owners are in; who may not read that may not read
	// the resource.
	Namespace string
	// Since decides between resources of one name in several namespaces, for a client that reads all of them: it gets the one with the
	// earliest. Zero: before all others.
	Since time.Time
	// Owners are the ExposedServices that it was made for, in order of namespace and name: those to tell when a client
	// refuses it.
	Owners []types.NamespacedName
}

// TypeURL is the resource's type, as the protocol writes it.
func (r Resource) TypeURL() string {
	return "type.googleapis.com/" + string(r.Message.ProtoReflect().Descriptor().FullName())
}

// Problem is something that a user has to act on. Its reason becomes that of the condition.
type Problem struct {
	Reason  v1alpha1.Reason
	Message string
	// Partial: the ExposedService is served without what this is about. Otherwise nothing of it is served.
	Partial bool
}

// Result is what a set of ExposedServices becomes.
type Result struct {
	// Resources are clusters, then assignments, listeners and route configurations, each by name: the
	// order in which a client must get them so that nothing is named before it is there.
	Resources []Resource
	// Problems are what is wrong with an ExposedService. One that is in here with a problem that is not partial has no resources at all.
	Problems map[types.NamespacedName][]Problem
}

// marshal is the encoding of everything in a resource that is encoded already, and the one to encode
// resources with: equal messages have equal bytes, on every replica of the same build.
var marshal = proto.MarshalOptions{Deterministic: true}

// Marshal encodes a resource; equal resources have equal bytes.
func (r Resource) Marshal() ([]byte, error) {
	out, err := marshal.Marshal(r.Message)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", r.TypeURL(), r.Name, err)
	}
	return out, nil
}

// packed is a message of ours inside another. It cannot fail: that takes text that is not UTF-8,
// and no message that is packed holds text of the user.
func packed(message proto.Message) *anypb.Any {
	out := new(anypb.Any)
	if err := anypb.MarshalFrom(out, message, marshal); err != nil {
		panic(err)
	}
	return out
}

// fromADS is where resources that name others find them: on the stream that they came from.
func fromADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

// fromSelf is the server that the resource itself is from.
func fromSelf() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Self{Self: &corev3.SelfConfigSource{}},
	}
}

func sortResources(resources []Resource) {
	slices.SortFunc(resources, func(a, b Resource) int {
		return cmp.Or(cmp.Compare(rank(a.Message), rank(b.Message)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
	})
}

// rank is the place of a type in the order of a Result.
func rank(message proto.Message) int {
	switch message.(type) {
	case *clusterv3.Cluster:
		return 0
	case *endpointv3.ClusterLoadAssignment:
		return 1
	case *listenerv3.Listener:
		return 2
	case *routev3.RouteConfiguration:
		return 3
	}
	return 4
}
