package exposure

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
)

// claimant is an ExposedService that wants calls of a Gateway, with what it has of them.
type claimant struct {
	exs *v1alpha1.ExposedService
	// kind is that of a route which somebody has written by hand, and which exs stands for; empty: it is an ExposedService.
	kind string
	// wants is what its spec claims.
	wants refs.Claims
	// route is its live route; nil: it has none, or one that the Gateway's controller refuses.
	route *gwapiv1.GRPCRoute
	// has is what the route claims, and granted what it was given.
	has, granted refs.Claims
	// waits: calls that it wants are those of somebody else.
	waits bool
	// owned are the host names that the platform has given to its namespace ([gateway.ParseHostPatterns]).
	owned []string
}

// newClaimant reads what an ExposedService has from its route.
func newClaimant(exs *v1alpha1.ExposedService, wants refs.Claims, live gateway.Live) claimant {
	out := claimant{exs: exs, wants: wants}
	if live.Route != nil && !live.RouteRefused() {
		out.route, out.has = live.Route, refs.ClaimsOfRoute(live.Route)
	}
	return out
}

// holds says whether it has the calls of a claim that it shares with another.
func (c claimant) holds(claim refs.Claim) bool {
	for _, claims := range []refs.Claims{c.has, c.granted} {
		_, host := slices.BinarySearch(claims.Hosts, claim.Host)
		_, match := slices.BinarySearch(claims.Matches, claim.Match)
		if host && match {
			return true
		}
	}
	return false
}

// mayCome: nothing is known that keeps it from taking what it wants. Who is refused by the API server, by the Gateway, or for a
// fault in its spec, keeps nobody waiting.
func (c claimant) mayCome() bool {
	if c.exs.DeletionTimestamp != nil || c.waits {
		return false
	}
	for _, conditionType := range []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionExposed} {
		said := meta.FindStatusCondition(c.exs.Status.Conditions, conditionType)
		if said == nil || said.Status != metav1.ConditionFalse || said.ObservedGeneration != c.exs.Generation {
			continue
		}
		if !c.waited() {
			return false
		}
	}
	return true
}

// waited: the last that was said of it is that it waits for calls of somebody else.
func (c claimant) waited() bool {
	said := meta.FindStatusCondition(c.exs.Status.Conditions, v1alpha1.ConditionAccepted)
	return said != nil && said.Status == metav1.ConditionFalse && said.Reason == string(v1alpha1.ReasonRouteConflict)
}

// givesWay finds a claim that one has to leave to another, and says why. Whoever has the calls keeps them; where nobody
// has them, the older one comes first, if nothing keeps it from coming; where both have routes, Gateway API prefers the
// older route. A host that the platform has given to the namespace gives way to equal claims alone.
func givesWay(c, rival claimant) (contest refs.Contest, why string, gives bool) {
	for _, contest := range slices.Concat(c.wants.Contests(rival.wants), c.wants.Contests(rival.has), c.wants.Contests(rival.granted)) {
		if contest.Mine != contest.Its && gateway.OwnsHost(c.owned, contest.Mine.Host) {
			continue
		}
		switch mine, its := c.holds(contest.Mine), rival.holds(contest.Its); {
		case mine && its && comesBefore(rival, c):
			return contest, "whose route is older,", true
		case mine:
		case its:
			return contest, "which has it already,", true
		case refs.ByAge(rival.exs, c.exs) < 0 && rival.mayCome():
			return contest, "which is older,", true
		}
	}
	return refs.Contest{}, "", false
}

// comesBefore: of two that both have the same calls, one whose route is there comes before one that was only granted
// them, then the older route.
func comesBefore(a, b claimant) bool {
	switch {
	case a.route == nil && b.route == nil:
		return refs.ByAge(a.exs, b.exs) < 0
	case a.route == nil || b.route == nil:
		return a.route != nil
	}
	return refs.ByAge(a.route, b.route) < 0
}

// routeConflict finds the first of the rivals, by age, to whom calls are to be left.
func routeConflict(c claimant, rivals []claimant) *gateway.Problem {
	rivals = slices.SortedFunc(slices.Values(rivals), func(a, b claimant) int {
		return cmp.Or(refs.ByAge(a.exs, b.exs), cmp.Compare(a.exs.UID, b.exs.UID))
	})
	for _, rival := range rivals {
		contest, why, gives := givesWay(c, rival)
		if !gives {
			continue
		}
		who := fmt.Sprintf("%s %s/%s, %s", cmp.Or(rival.kind, "ExposedService"), rival.exs.Namespace, rival.exs.Name, why)
		host, match := inWords(contest.Mine)
		if contest.Mine == contest.Its {
			return &gateway.Problem{Reason: v1alpha1.ReasonRouteConflict, Message: fmt.Sprintf(
				"%s has the same %s and %s on Gateway %s: change spec.hostnames or spec.rules of one of them, or delete one", who, host, match, c.wants.Gateway)}
		}
		itsHost, itsMatch := inWords(contest.Its)
		return &gateway.Problem{Reason: v1alpha1.ReasonRouteConflict, Message: fmt.Sprintf(
			"%s is of another namespace, and its %s with its %s overlaps with the %s and %s here on Gateway %s: change spec.hostnames or spec.rules, "+
				"or ask the cluster's owners to give the host to namespace %s (its annotation %s)",
			who, itsHost, itsMatch, host, match, c.wants.Gateway, c.exs.Namespace, v1alpha1.AnnotationHostnames)}
	}
	return nil
}

// inWords says what a claim is for.
func inWords(claim refs.Claim) (host, match string) {
	host, match = "host "+claim.Host, "match "+claim.Match
	if claim.Host == "" {
		host = "claim to every host"
	}
	if claim.Match == "" {
		match = "claim to every call"
	}
	return host, match
}

// claimCalls refuses to expose what has to be left to another ExposedService: Gateway API gives the calls to the oldest
// route and says nothing to the others, so Headgate does.
func (r *run) claimCalls(ctx context.Context) {
	key := client.ObjectKeyFromObject(r.exs)
	if !r.followsGateway() {
		r.Facts.Wake.Wake(r.grants.release(key)...)
		return
	}
	wants := r.Claims.Of(r.exs).Without(r.found.Hostnames.Foreign(r.exs))
	own := newClaimant(r.exs, wants, r.live)
	own.owned = r.found.Hostnames.Own
	rivals, err := r.rivals(ctx)
	if err != nil {
		r.exposing.Fail(fmt.Errorf("look for rivals on Gateway %s: %w", own.wants.Gateway, err))
		return
	}
	refused := r.live.Route != nil && own.route == nil
	problem, freed := r.grants.claim(own, rivals, !r.expansion.Blocked && !(refused && refs.ClaimsOfRoute(r.live.Route).Cover(own.wants)))
	r.Facts.Wake.Wake(freed...)
	if problem == nil {
		return
	}
	if keeps := withoutTaken(own.route, r.found.Hostnames); keeps != nil {
		// It serves already, and goes on with the calls that it has.
		r.expansion = r.expansion.Claiming(keeps).With(*problem)
		return
	}
	r.expansion = r.expansion.Without(gateway.RouteRef(r.exs), *problem)
	if refused {
		// No call meets the route. If the Gateway took it one day, it would take the calls from whoever has them now.
		r.exposing.Fail(r.inventory.Remove(ctx, kube.KindRoute, r.live.Route))
	}
}

// withoutTaken is a route without the host names that belong to another namespace; nil: it has no others.
func withoutTaken(route *gwapiv1.GRPCRoute, owned gateway.HostOwnership) *gwapiv1.GRPCRoute {
	switch {
	case route == nil, len(route.Spec.Hostnames) == 0 && owned.Taken(""):
		return nil
	case len(route.Spec.Hostnames) == 0:
		return route
	}
	out := route.DeepCopy()
	out.Spec.Hostnames = slices.DeleteFunc(out.Spec.Hostnames, func(host gwapiv1.Hostname) bool { return owned.Taken(string(host)) })
	if len(out.Spec.Hostnames) == 0 {
		return nil
	}
	return out
}

// releaseUnused takes back what was given to an ExposedService that could not make use of it.
func (r *run) releaseUnused() {
	if !r.followsGateway() {
		return
	}
	route := r.dataPlane().Route
	if r.expansion.Blocked || route == nil || !refs.ClaimsOfRoute(route).Cover(r.Claims.Of(r.exs)) {
		r.Facts.Wake.Wake(r.grants.release(client.ObjectKeyFromObject(r.exs))...)
	}
}

// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=get;list;watch

// rivals are those who claim some of the same calls, or have routes that do, though their specs do not any more, and routes that somebody of
// another namespace has written by hand.
func (r *run) rivals(ctx context.Context) ([]claimant, error) {
	found, err := r.Claims.Rivals(ctx, r.Client, r.exs)
	if err != nil {
		return nil, err
	}
	owners, foreign, err := r.takers(ctx)
	if err != nil {
		return nil, err
	}
	for _, owner := range owners {
		if !slices.ContainsFunc(found, func(exs *v1alpha1.ExposedService) bool { return exs.UID == owner.UID }) {
			found = append(found, owner)
		}
	}
	out := foreign
	for _, exs := range found {
		rival, err := r.readClaimant(ctx, exs)
		if err != nil {
			return nil, err
		}
		if rival.waited() && refs.ByAge(exs, r.exs) < 0 {
			if rival.waits, err = r.waits(ctx, rival); err != nil {
				return nil, err
			}
		}
		out = append(out, rival)
	}
	return out, nil
}

// takers are who has routes that take some of the calls: the ExposedServices that they were made for, and those who have written theirs by hand.
func (r *run) takers(ctx context.Context) (owners []*v1alpha1.ExposedService, foreign []claimant, err error) {
	for _, k := range []kube.Kind{kube.KindRoute, kube.KindHTTPRoute} {
		if !r.Kinds.Has(k) {
			continue
		}
		routes, err := r.Claims.Routes(ctx, r.Client, r.exs, k)
		if err != nil {
			return nil, nil, err
		}
		for _, route := range routes {
			owner, err := r.ownerOf(ctx, route)
			switch {
			case err != nil:
				return nil, nil, err
			case owner == nil:
				foreign = append(foreign, r.byHand(k.GVK.Kind, route)...)
			case owner.UID != r.exs.UID:
				owners = append(owners, owner)
			}
		}
	}
	return owners, foreign, nil
}

// ownerOf is the ExposedService that a route was made for; nil: somebody has written it, or its ExposedService is gone. Labels alone prove
// nothing.
func (r *run) ownerOf(ctx context.Context, route client.Object) (*v1alpha1.ExposedService, error) {
	if _, isOne := route.(*gwapiv1.GRPCRoute); !isOne {
		return nil, nil // Headgate makes no others.
	}
	exs, err := kube.Get[v1alpha1.ExposedService](ctx, r.Client, client.ObjectKeyFromObject(route))
	if err != nil || exs == nil || !isOurs(route, exs) {
		return nil, err
	}
	return exs, nil
}

func isOurs(route client.Object, exs *v1alpha1.ExposedService) bool {
	return slices.Contains([]kube.Ownership{kube.Ours, kube.Adoptable}, kube.OwnershipOf(route, exs))
}

// byHand is who claims calls by a route that somebody has written, unless the Gateway refuses it. In the own namespace that is the
// business of those who write there.
func (r *run) byHand(kind string, route client.Object) []claimant {
	if route.GetNamespace() == r.exs.Namespace {
		return nil
	}
	metadata := metav1.ObjectMeta{Namespace: route.GetNamespace(), Name: route.GetName(), CreationTimestamp: route.GetCreationTimestamp()}
	var out []claimant
	for _, claims := range refs.ClaimsOfObject(route) {
		if claims.Gateway == refs.Gateway(r.exs).String() && !isRefused(route, claims.Gateway) {
			out = append(out, claimant{
				kind: kind, exs: &v1alpha1.ExposedService{ObjectMeta: metadata}, route: &gwapiv1.GRPCRoute{ObjectMeta: metadata}, wants: claims, has: claims,
			})
		}
	}
	return out
}

// isRefused says whether a Gateway takes no calls for a route as it is now.
func isRefused(route client.Object, of string) bool {
	var parents []gwapiv1.RouteParentStatus
	switch route := route.(type) {
	case *gwapiv1.GRPCRoute:
		parents = route.Status.Parents
	case *gwapiv1.HTTPRoute:
		parents = route.Status.Parents
	}
	return slices.ContainsFunc(parents, func(parent gwapiv1.RouteParentStatus) bool {
		name := string(ptr.Deref(parent.ParentRef.Namespace, gwapiv1.Namespace(route.GetNamespace()))) + "/" + string(parent.ParentRef.Name)
		accepted := meta.FindStatusCondition(parent.Conditions, string(gwapiv1.RouteConditionAccepted))
		return name == of && accepted != nil && accepted.Status == metav1.ConditionFalse && accepted.ObservedGeneration == route.GetGeneration()
	})
}

// waits says whether calls that a rival wants are those of somebody else than the one who asks.
func (r *run) waits(ctx context.Context, rival claimant) (bool, error) {
	others, err := r.Claims.Rivals(ctx, r.Client, rival.exs)
	if err != nil {
		return false, err
	}
	for _, exs := range others {
		if exs.UID == r.exs.UID {
			continue
		}
		other, err := r.readClaimant(ctx, exs)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(rival.wants.Contests(other.wants), func(c refs.Contest) bool { return other.holds(c.Its) && !rival.holds(c.Mine) }) {
			return true, nil
		}
	}
	return false, nil
}

// readClaimant reads the route of another ExposedService on the same Gateway.
func (r *run) readClaimant(ctx context.Context, exs *v1alpha1.ExposedService) (claimant, error) {
	route, err := kube.Get[gwapiv1.GRPCRoute](ctx, r.Client, client.ObjectKeyFromObject(exs))
	if err != nil {
		return claimant{}, err
	}
	if route != nil && !isOurs(route, exs) {
		route = nil
	}
	return newClaimant(exs, r.Claims.Of(exs), gateway.Live{Controller: r.live.Controller, Route: route}), nil
}
