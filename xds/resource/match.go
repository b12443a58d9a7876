package resource

import (
	"fmt"
	"regexp"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/headgate/headgate/api/v1alpha1"
)

// matchesOf are the matches of the spec, in its order. The order does not matter: all lead to the same place.
func matchesOf(rules []v1alpha1.Rule) ([]*routev3.RouteMatch, []Problem) {
	if len(rules) == 0 {
		return []*routev3.RouteMatch{{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}}, nil
	}
	var out []*routev3.RouteMatch
	var problems []Problem
	for i, rule := range rules {
		for j, match := range rule.Matches {
			field := fmt.Sprintf("spec.rules[%d].matches[%d]", i, j)
			routeMatch, found := matchOf(field, match)
			out, problems = append(out, routeMatch), append(problems, found...)
		}
	}
	return out, problems
}

// matchOf says a match in paths: the path of a gRPC call is /service/method.
func matchOf(field string, match v1alpha1.Match) (*routev3.RouteMatch, []Problem) {
	out := &routev3.RouteMatch{}
	var problems []Problem
	expression := func(field, text string) *matcherv3.RegexMatcher {
		if _, err := regexp.Compile(text); err != nil {
			problems = append(problems, Problem{Reason: v1alpha1.ReasonNotAccepted, Message: fmt.Sprintf(
				"%s: %q is no RE2 expression (%v): correct it, or use type Exact", field, text, err)})
		}
		return &matcherv3.RegexMatcher{Regex: text}
	}
	switch {
	case match.Service == nil:
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/"}
	case match.Type == v1alpha1.MatchRegularExpression:
		// Each is checked by itself, so that the parentheses of one cannot close those around the other.
		path := "/(?:" + expression(field+".service", *match.Service).GetRegex() + ")/"
		if match.Method != nil {
			path += "(?:" + expression(field+".method", *match.Method).GetRegex() + ")"
		} else {
			path += "[^/]+"
		}
		out.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: path}}
	case match.Method == nil:
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/" + *match.Service + "/"}
	default:
		out.PathSpecifier = &routev3.RouteMatch_Path{Path: "/" + *match.Service + "/" + *match.Method}
	}
	for i, header := range match.Headers {
		value := &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: header.Value}}
		if header.Type == v1alpha1.MatchRegularExpression {
			value.MatchPattern = &matcherv3.StringMatcher_SafeRegex{
				SafeRegex: expression(fmt.Sprintf("%s.headers[%d].value", field, i), header.Value),
			}
		}
		out.Headers = append(out.Headers, &routev3.HeaderMatcher{
			Name: header.Name, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: value},
		})
	}
	return out, problems
}
