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
	if stableSlot(e) != "" {
		return s.slotClusters(e)
	}
	endpoints := ownEndpoints(e)
	main := make([]tier, len(s.exs.Spec.Backends))
	for i, b := range s.exs.Spec.Backends {
		main[i] = s.tier(e, endpoints, b.Name, s.plan.standings[i])
	}
	out := []ordered{{s.plan.main.name, main}}
	for _, share := range s.plan.shares {
		out = append(out, ordered{share.cluster, leadBy(s.tier(e, endpoints, share.name, serves), main)})
	}
	return out
}

func (s *service) tier(e Exposure, endpoints map[string][]endpoint, name string, as standing) tier {
	return tier{name, as, endpoints[name], s.check.covers(e.Backends[name].Probe)}
}

// leadBy are tiers behind another one, which is not among them then.
func leadBy(first tier, behind []tier) []tier {
	out := []tier{first}
	for _, t := range behind {
		if t.name != first.name {
			out = append(out, t)
		}
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
