package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/headgate/headgate/gateway"
)

// How the API server merges the fields that Headgate writes, where that is not "maps by key, lists
// as a whole" (the listType and mapType of the kinds' schemas). Paths hold no indexes.
type mergeRule struct {
	// keys: a list whose elements are found by these fields.
	keys []string
	// defaults are what the API server puts where a key is left out.
	defaults map[string]string
	// exact: a map that has one owner, so that a foreign key in it is a change.
	exact bool
}

var commonMergeRules = map[string]mergeRule{
	"metadata.ownerReferences": {keys: []string{"uid"}},
}

var mergeRules = map[string]map[string]mergeRule{
	gateway.KindService: {
		"spec.ports":    {keys: []string{"port", "protocol"}, defaults: map[string]string{"protocol": string(corev1.ProtocolTCP)}},
		"spec.selector": {exact: true},
	},
	gateway.KindGateway: {
		"spec.listeners": {keys: []string{"name"}},
	},
}

// Differences returns the paths of the fields that the desired object has and the live one lacks or
// has otherwise, sorted. Whatever else the live object has is not looked at: defaults of the API
// server, and fields of others. Both are objects as JSON has them (map[string]any).
func Differences(kindName string, desired, live map[string]any) []string {
	return slices.Sorted(maps.Keys(differences(kindName, desired, live)))
}

// differences are the same paths, with what the live object has there; nil: nothing.
func differences(kindName string, desired, live map[string]any) map[string]any {
	c := comparison{rules: mergeRules[kindName], found: map[string]any{}}
	c.compareMaps("", "", desired, live)
	return c.found
}

type comparison struct {
	rules map[string]mergeRule
	found map[string]any
}

func (c *comparison) rule(path string) mergeRule {
	if rule, ok := c.rules[path]; ok {
		return rule
	}
	return commonMergeRules[path]
}

func (c *comparison) differs(path string, live any) { c.found[path] = live }

// compare takes the path twice: as it is shown, with indexes, and as rules are found, without.
func (c *comparison) compare(shown, path string, desired, live any) {
	switch want := desired.(type) {
	case nil:
		// A null asks for nothing.
	case map[string]any:
		have, ok := live.(map[string]any)
		if !ok {
			c.differs(shown, live)
			return
		}
		c.compareMaps(shown, path, want, have)
	case []any:
		have, ok := live.([]any)
		if !ok && (live != nil || len(want) > 0) {
			c.differs(shown, live)
			return
		}
		c.compareLists(shown, path, want, have)
	default:
		if !equalScalars(desired, live) {
			c.differs(shown, live)
		}
	}
}

func (c *comparison) compareMaps(shown, path string, desired, live map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(desired)) {
		c.compare(joinPath(shown, key), joinPath(path, key), desired[key], live[key])
	}
	if !c.rule(path).exact {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(live)) {
		if _, ok := desired[key]; !ok {
			c.differs(joinPath(shown, key), live[key])
		}
	}
}

func (c *comparison) compareLists(shown, path string, desired, live []any) {
	rule := c.rule(path)
	if len(rule.keys) == 0 && len(desired) != len(live) {
		c.differs(shown, live)
		return
	}
	for i, want := range desired {
		if len(rule.keys) == 0 {
			c.compare(fmt.Sprintf("%s[%d]", shown, i), path, want, live[i])
			continue
		}
		key := rule.keyOf(want)
		element := fmt.Sprintf("%s[%s]", shown, key)
		j := slices.IndexFunc(live, func(have any) bool { return rule.keyOf(have) == key })
		if j < 0 {
			c.differs(element, nil)
			continue
		}
		c.compare(element, path, want, live[j])
	}
}

// keyOf is the values of an element's key fields, such as "443/TCP".
func (r mergeRule) keyOf(element any) string {
	fields, _ := element.(map[string]any)
	values := make([]string, 0, len(r.keys))
	for _, key := range r.keys {
		value, ok := fields[key]
		if !ok {
			value = r.defaults[key]
		}
		values = append(values, fmt.Sprint(value))
	}
	return strings.Join(values, "/")
}

// equalScalars compares numbers by value: 5 and 5.0 are written alike in JSON.
func equalScalars(a, b any) bool {
	x, isNumber := number(a)
	if !isNumber {
		return a == b
	}
	y, isNumber := number(b)
	return isNumber && x == y
}

func number(value any) (float64, bool) {
	switch n := value.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

func joinPath(path, key string) string {
	if strings.ContainsAny(key, "./") {
		key = "[" + key + "]"
	} else if path != "" {
		key = "." + key
	}
	return path + key
}
