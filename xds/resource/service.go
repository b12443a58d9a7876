package resource

import (
	"fmt"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
)

// service is one ExposedService on its way to resources.
type service struct {
	exs     *v1alpha1.ExposedService
	lost    []string
	plan    plan
	traffic traffic
	matches []*routev3.RouteMatch
	check   *check
}

// Service makes what belongs to one ExposedService alone: its clusters, their assignments, and the
// listeners and routes of gRPC clients. With a problem it makes nothing. That nobody else claims the same names is
// for Conflicts to say.
func Service(e Exposure) ([]Resource, []Problem) {
	s, problems := newService(e)
	if len(problems) > 0 {
		return nil, problems
	}
	var out []Resource
	add := func(name string, audience Audience, message proto.Message) {
		out = append(out, Resource{
			Name: name, Message: message, Audience: audience,
			Namespace: s.exs.Namespace, Owners: []types.NamespacedName{keyOf(s.exs)},
		})
	}
	for _, c := range s.clusters(e) {
		add(c.name, Everyone, s.cluster(c.name))
		add(c.name, Everyone, s.assignment(c.name, c.tiers))
	}
	routes := s.forGRPC()
	add(routes.GetName(), GRPCClients, routes)
	for host, name := range dialNames(e) {
		add(name, GRPCClients, clientListener(name, routes.GetName()))
		if host != ClientName(s.exs) {
			// Its own name is nobody else's; a host name may be that of others too, in their namespaces.
			out[len(out)-1].Since = s.exs.CreationTimestamp.Time
		}
	}
	if problems := s.invalid(out); len(problems) > 0 {
		return nil, problems
	}
	sortResources(out)
	return out, nil
}

// newService reads the spec and the decision.
func newService(e Exposure) (*service, []Problem) {
	traffic, problems := readTraffic(e.Service)
	matches, found := matchesOf(e.Service.Spec.Rules)
	s := &service{exs: e.Service, lost: e.Lost, plan: planFor(e), traffic: traffic, matches: matches, check: checkFor(e)}
	return s, append(problems, found...)
}

// ordered is a cluster with its backends in order of priority.
type ordered struct {
	name  string
	tiers []tier
}

// clusters are the main one, and one for each share, in which its backend or canary comes first. Behind it
// come the backends of the main one, as they are there.
func (s *service) clusters(e Exposure) []ordered {
	endpoints := ownEndpoints(e)
	main := make([]tier, len(s.exs.Spec.Backends))
	for i, b := range s.exs.Spec.Backends {
		main[i] = tier{b.Name, s.plan.standings[i], endpoints[b.Name], s.check.covers(e.Backends[b.Name].Probe)}
	}
	out := []ordered{{ClusterName(s.exs), main}}
	for _, share := range s.plan.shares {
		tiers := []tier{{share.name, serves, endpoints[share.name], s.check.covers(e.Backends[share.name].Probe)}}
		for _, t := range main {
			if t.name != share.name {
				tiers = append(tiers, t)
			}
		}
		out = append(out, ordered{ShareName(s.exs, share.name), tiers})
	}
	return out
}

// invalid is the last line before the clients: what a message's own rules refuse is never sent. The CRD
// and the readers of the spec are to have refused it before, with the name of the field.
func (s *service) invalid(resources []Resource) []Problem {
	var messages []proto.Message
	if len(s.domains()) > 0 {
		messages = append(messages, s.forEnvoy())
	}
	for _, r := range resources {
		messages = append(messages, r.Message)
	}
	for _, message := range messages {
		if m, ok := message.(interface{ ValidateAll() error }); ok {
			if err := m.ValidateAll(); err != nil {
				return []Problem{{Reason: v1alpha1.ReasonNotAccepted, Message: fmt.Sprintf(
					"the spec makes a %s that no client takes (%v): correct the field that this is about",
					message.ProtoReflect().Descriptor().Name(), err)}}
			}
		}
	}
	return nil
}
