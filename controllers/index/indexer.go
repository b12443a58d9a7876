package index

import (
	"context"
	"fmt"
	"slices"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Indexer adds indexes to the informers of a cache, for client.MatchingFields. controller-runtime's own has every key twice, for
// look-ups in one namespace and in all, and a key is a third of a kilobyte with its set. Here each index is asked in one way only.
type Indexer struct{ informers cache.Informers }

var _ client.FieldIndexer = Indexer{}

// NewIndexer makes one.
func NewIndexer(informers cache.Informers) Indexer { return Indexer{informers} }

// inNamespace are the indexes that are asked for objects of one namespace, by a name in it. All others are asked without a namespace.
var inNamespace = []string{ByService, ByServiceImport, ByTargetGateway, ByManaged}

// IndexField implements client.FieldIndexer.
func (i Indexer) IndexField(ctx context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	informer, err := i.informers.GetInformer(ctx, object, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	return informer.AddIndexers(toolscache.Indexers{cacheIndex(field): func(raw any) ([]string, error) {
		object, ok := raw.(client.Object)
		if !ok {
			return nil, fmt.Errorf("index %s: a %T is no object", field, raw)
		}
		var keys []string
		for _, value := range extract(object) {
			keys = append(keys, cacheKey(field, object.GetNamespace(), value))
		}
		return keys, nil
	}})
}

// cacheIndex and cacheKey are how controller-runtime's cache looks up a field: its own names, for which it has no function that others
// could call. The tests on an API server hold them against a cache: without them nobody is found.
func cacheIndex(field string) string { return "field:" + field }

func cacheKey(field, namespace, value string) string {
	if !slices.Contains(inNamespace, field) {
		namespace = "__all_namespaces"
	}
	return namespace + "/" + value
}
