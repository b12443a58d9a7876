package kube

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/gateway"
)

type fields = map[string]any

func TestDifferences(t *testing.T) {
	for name, c := range map[string]struct {
		kind          string
		desired, live fields
		want          []string
	}{
		"equal":                           {desired: fields{"spec": fields{"a": "x"}}, live: fields{"spec": fields{"a": "x"}}},
		"foreign fields do not matter":    {desired: fields{"a": fields{"b": int64(1)}}, live: fields{"a": fields{"b": int64(1), "c": "more"}, "d": true}},
		"a changed value":                 {desired: fields{"spec": fields{"a": "x"}}, live: fields{"spec": fields{"a": "y"}}, want: []string{"spec.a"}},
		"a missing value":                 {desired: fields{"spec": fields{"a": "x"}}, live: fields{"spec": fields{}}, want: []string{"spec.a"}},
		"a missing object":                {desired: fields{"spec": fields{"a": fields{"b": "x"}}}, live: fields{"spec": fields{}}, want: []string{"spec.a"}},
		"an object that became a value":   {desired: fields{"a": fields{"b": "x"}}, live: fields{"a": "x"}, want: []string{"a"}},
		"false is not missing":            {desired: fields{"a": false}, live: fields{}, want: []string{"a"}},
		"numbers compare by value":        {desired: fields{"a": int64(5), "b": 2.5}, live: fields{"a": float64(5), "b": 2.5}},
		"a number is not its text":        {desired: fields{"a": int64(5)}, live: fields{"a": "5"}, want: []string{"a"}},
		"null asks for nothing":           {desired: fields{"a": nil}, live: fields{"a": "x"}},
		"an empty list is an absent one":  {desired: fields{"a": []any{}}, live: fields{}},
		"an empty list is not a full one": {desired: fields{"a": []any{}}, live: fields{"a": []any{"x"}}, want: []string{"a"}},
		"lists compare by position": {
			desired: fields{"a": []any{fields{"x": int64(1)}, fields{"x": int64(2)}}},
			live:    fields{"a": []any{fields{"x": int64(1), "default": true}, fields{"x": int64(3)}}},
			want:    []string{"a[1].x"},
		},
		"a longer list differs as a whole": {
			desired: fields{"a": []any{"x"}}, live: fields{"a": []any{"x", "y"}}, want: []string{"a"},
		},
		"ports of a Service go by number and protocol": {
			kind:    gateway.KindService,
			desired: fields{"spec": fields{"ports": []any{fields{"port": int64(443), "name": "grpc"}}}},
			live: fields{"spec": fields{"ports": []any{
				fields{"port": int64(443), "protocol": "UDP", "name": "foreign"},
				fields{"port": int64(443), "protocol": "TCP", "name": "grpc", "nodePort": int64(30000)},
			}}},
		},
		"a changed port of a Service": {
			kind:    gateway.KindService,
			desired: fields{"spec": fields{"ports": []any{fields{"port": int64(443), "name": "grpc"}}}},
			live:    fields{"spec": fields{"ports": []any{fields{"port": int64(443), "protocol": "TCP", "name": "other"}}}},
			want:    []string{"spec.ports[443/TCP].name"},
		},
		"a missing port of a Service": {
			kind:    gateway.KindService,
			desired: fields{"spec": fields{"ports": []any{fields{"port": int64(443)}}}},
			live:    fields{"spec": fields{"ports": []any{fields{"port": int64(80), "protocol": "TCP"}}}},
			want:    []string{"spec.ports[443/TCP]"},
		},
		"a selector has one owner": {
			kind:    gateway.KindService,
			desired: fields{"spec": fields{"selector": fields{"app": "x"}}},
			live:    fields{"spec": fields{"selector": fields{"app": "x", "more": "y"}}},
			want:    []string{"spec.selector.more"},
		},
		"listeners of a Gateway go by name": {
			kind:    gateway.KindGateway,
			desired: fields{"spec": fields{"listeners": []any{fields{"name": "grpc", "port": int64(443)}}}},
			live: fields{"spec": fields{"listeners": []any{
				fields{"name": "foreign", "port": int64(80)}, fields{"name": "grpc", "port": int64(8443)},
			}}},
			want: []string{"spec.listeners[grpc].port"},
		},
		"owners go by UID": {
			desired: fields{"metadata": fields{"ownerReferences": []any{fields{"uid": "1", "controller": true}}}},
			live:    fields{"metadata": fields{"ownerReferences": []any{fields{"uid": "2"}, fields{"uid": "1", "controller": true}}}},
		},
		"keys with dots are bracketed": {
			desired: fields{"metadata": fields{"labels": fields{"example.com/a": "x"}}}, live: fields{"metadata": fields{"labels": fields{}}},
			want: []string{"metadata.labels[example.com/a]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Differences(c.kind, c.desired, c.live); !slices.Equal(got, c.want) {
				t.Errorf("differences are %v, want %v", got, c.want)
			}
		})
	}
}

// TestDesiredIsASubsetOfItselfWithAdditions: whatever others add to maps, nothing is to be put back;
// and whatever they change, something is.
func TestDesiredIsASubsetOfItselfWithAdditions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		desired := anyObject(3).Draw(t, "desired")
		live, _ := add(t, runtime.DeepCopyJSON(desired)).(fields)
		if paths := Differences("", desired, live); len(paths) > 0 {
			t.Fatalf("%v differs from itself with additions, %v, in %v", desired, live, paths)
		}
		if leaf := leaves(desired); len(leaf) > 0 {
			path := rapid.SampledFrom(leaf).Draw(t, "changed")
			changed := runtime.DeepCopyJSON(live)
			replace(changed, path, "something else entirely")
			if paths := Differences("", desired, changed); len(paths) == 0 {
				t.Fatalf("%v was changed in %v and nothing differs from %v", changed, path, desired)
			}
		}
	})
}

func anyObject(depth int) *rapid.Generator[fields] {
	return rapid.Custom(func(t *rapid.T) fields {
		out := fields{}
		for range rapid.IntRange(0, 4).Draw(t, "size") {
			out[rapid.StringMatching(`[a-e]`).Draw(t, "key")] = anyValue(depth).Draw(t, "value")
		}
		return out
	})
}

func anyValue(depth int) *rapid.Generator[any] {
	scalars := rapid.OneOf(
		rapid.StringMatching(`[x-z]{0,2}`).AsAny(), rapid.Int64Range(-3, 3).AsAny(), rapid.Bool().AsAny(), rapid.Float64Range(-1, 1).AsAny(),
	)
	if depth == 0 {
		return scalars
	}
	return rapid.OneOf(scalars, anyObject(depth-1).AsAny(), rapid.Map(rapid.SliceOfN(anyValue(depth-1), 0, 3), func(list []any) any { return list }))
}

// add puts fields into maps, at every depth.
func add(t *rapid.T, value any) any {
	switch v := value.(type) {
	case fields:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			v[key] = add(t, v[key])
		}
		if rapid.Bool().Draw(t, "add") {
			v["added-"+rapid.StringMatching(`[a-c]`).Draw(t, "new key")] = anyValue(1).Draw(t, "new value")
		}
	case []any:
		for i := range v {
			v[i] = add(t, v[i])
		}
	}
	return value
}

// leaves are the paths of all scalars, as lists of keys and indexes.
func leaves(value any) [][]any {
	var out [][]any
	var walk func(path []any, value any)
	walk = func(path []any, value any) {
		switch v := value.(type) {
		case fields:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(append(slices.Clone(path), key), v[key])
			}
		case []any:
			for i := range v {
				walk(append(slices.Clone(path), i), v[i])
			}
		default:
			out = append(out, path)
		}
	}
	walk(nil, value)
	return out
}

func replace(value any, path []any, with any) {
	for i, step := range path {
		last := i == len(path)-1
		switch key := step.(type) {
		case string:
			m := value.(fields)
			if last {
				m[key] = with
			}
			value = m[key]
		case int:
			l := value.([]any)
			if last {
				l[key] = with
			}
			value = l[key]
		default:
			panic(fmt.Sprint(step))
		}
	}
}
