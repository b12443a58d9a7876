package cache

import (
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
)

// Type is a type of resources, in the order in which they are sent: what is referred to comes
// before what refers to it (xDS protocol, "Eventual consistency considerations").
type Type uint8

// The types that are served.
const (
	Clusters Type = iota
	Endpoints
	Listeners
	Routes

	typeCount
)

const urlPrefix = "type.googleapis.com/"

var urls = [typeCount]string{
	Clusters:  urlPrefix + "envoy.config.cluster.v3.Cluster",
	Endpoints: urlPrefix + "envoy.config.endpoint.v3.ClusterLoadAssignment",
	Listeners: urlPrefix + "envoy.config.listener.v3.Listener",
	Routes:    urlPrefix + "envoy.config.route.v3.RouteConfiguration",
}

// removalOrder is the order in which resources go: what refers before what it refers to.
var removalOrder = [...]Type{Listeners, Routes, Clusters, Endpoints}

// TypeOf is the type with that URL, or false when it is not served.
func TypeOf(url string) (Type, bool) {
	for t, u := range urls {
		if u == url {
			return Type(t), true
		}
	}
	return 0, false
}

// URL is the type's URL.
func (t Type) URL() string { return urls[t] }

// String is the service that delivers the type: CDS, EDS, LDS or RDS.
func (t Type) String() string { return [typeCount]string{"CDS", "EDS", "LDS", "RDS"}[t] }

// AllRequiredInSotW says whether a response in state-of-the-world xDS lists all resources of the type, so that
// a resource that is missing from it has been removed. It also means that the type has a wildcard in its
// legacy form: a first request without names.
func (t Type) AllRequiredInSotW() bool { return t == Clusters || t == Listeners }

// identify finds the type and name of a resource.
func identify(message proto.Message) (Type, string, bool) {
	switch m := message.(type) {
	case *cluster.Cluster:
		return Clusters, m.GetName(), true
	case *endpoint.ClusterLoadAssignment:
		return Endpoints, m.GetClusterName(), true
	case *listener.Listener:
		return Listeners, m.GetName(), true
	case *route.RouteConfiguration:
		return Routes, m.GetName(), true
	default:
		return 0, "", false
	}
}
