package kube

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// mostSettled bounds what is remembered for one ExposedService, which has about ten objects.
const mostSettled = 64

// Settled remembers which live objects were found to be as they are to be, by the resource version that they had then,
// so that a run which changes nothing compares nothing. It also remembers which fields the cluster rewrites as they are
// applied. A restart forgets it, which costs a comparison each.
type Settled struct {
	seed maphash.Seed

	mu sync.Mutex
	of map[types.NamespacedName][]settled
}

// settled is what is known of one object.
type settled struct {
	// ref stands for its name.
	ref uint64
	// as is what was asked for, and the version of the live object that has it.
	as digest
	// rewritten is what was asked for, and what the cluster has made of it; zero: nothing else.
	rewritten digest
}

// NewSettled knows of no object yet.
func NewSettled() *Settled {
	return &Settled{seed: maphash.MakeSeed(), of: map[types.NamespacedName][]settled{}}
}

// Forget drops what is remembered for an ExposedService.
func (s *Settled) Forget(owner types.NamespacedName) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, owner)
}

func (s *Settled) has(owner *v1alpha1.ExposedService, ref gateway.Ref, as digest) bool {
	return s.known(owner, ref).as == as && as != digest{}
}

func (s *Settled) isRewritten(owner *v1alpha1.ExposedService, ref gateway.Ref, as digest) bool {
	return s.known(owner, ref).rewritten == as && as != digest{}
}

func (s *Settled) note(owner *v1alpha1.ExposedService, ref gateway.Ref, as digest) {
	s.change(owner, ref, func(known *settled) { known.as = as })
}

// noteRewritten says whether that is news.
func (s *Settled) noteRewritten(owner *v1alpha1.ExposedService, ref gateway.Ref, as digest) (news bool) {
	s.change(owner, ref, func(known *settled) { known.rewritten, news = as, known.rewritten != as })
	return news
}

func (s *Settled) known(owner *v1alpha1.ExposedService, ref gateway.Ref) settled {
	if s == nil {
		return settled{}
	}
	key := maphash.Comparable(s.seed, ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.of[client.ObjectKeyFromObject(owner)] {
		if known.ref == key {
			return known
		}
	}
	return settled{}
}

func (s *Settled) change(owner *v1alpha1.ExposedService, ref gateway.Ref, change func(*settled)) {
	if s == nil {
		return
	}
	key, name := maphash.Comparable(s.seed, ref), client.ObjectKeyFromObject(owner)
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.of[name]
	i := slices.IndexFunc(all, func(known settled) bool { return known.ref == key })
	if i < 0 {
		if len(all) >= mostSettled {
			all = slices.Delete(all, 0, 1)
		}
		all = append(all, settled{ref: key})
		i = len(all) - 1
	}
	change(&all[i])
	s.of[name] = all
}

// digest stands for what is asked for, alone or together with what is there.
type digest [16]byte

// digest of an object that is to be: all that its intent is made from.
func (i *Inventory) digest(object gateway.Object) (digest, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s %s\n", i.owner.Namespace, i.owner.Name, i.owner.UID)
	if err := json.NewEncoder(sum).Encode(object); err != nil {
		return digest{}, fmt.Errorf("hash %s %s: %w", object.GetObjectKind().GroupVersionKind().Kind, object.GetName(), err)
	}
	return shorten(sum), nil
}

// with adds which version of the object is there; the zero digest: none is.
func (d digest) with(live client.Object) digest {
	if live == nil {
		return digest{}
	}
	sum := sha256.New()
	_, _ = sum.Write(d[:])
	_, _ = io.WriteString(sum, string(live.GetUID())+" "+live.GetResourceVersion())
	return shorten(sum)
}

// rewritten stands for what is asked for, and what is there instead.
func (c change) rewritten(asked digest) digest {
	// The fields come from JSON, or are what becomes JSON.
	found, err := json.Marshal(c.found)
	if err != nil {
		return digest{}
	}
	sum := sha256.New()
	_, _ = sum.Write(asked[:])
	_, _ = sum.Write(found)
	return shorten(sum)
}

func shorten(sum hash.Hash) digest { return digest(sum.Sum(nil)[:len(digest{})]) }
