package controllers

import (
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// scope is one run of Reconcile: what was read, what was decided, and what became of it.
type scope struct {
	log logr.Logger
	// exs is a copy; its status is the one that was read.
	exs *v1alpha1.ExposedService
	// live holds the objects that belong to exs or have a name that it needs, by what they are.
	live map[gateway.Ref]client.Object
	// facts are what the expansion was made from.
	facts gateway.Facts
	// rollout is what is known of the rollout, if there is one.
	rollout rolloutScope
	// expansion is what is to be.
	expansion gateway.Expansion
	// failures are objects that could not be applied.
	failures []gateway.Failure
	// waitsFor are names that are taken: when they become free, exs is looked at again.
	waitsFor []gateway.Ref
	// errs are errors of the system that did not end the run; they make it run again.
	errs []error
	// again is when to run again although nothing has changed; 0: never.
	again time.Duration
	// decided: a decision was taken in this run.
	decided bool
	// conflicted: an object was changed under our hands; the run is repeated at once, quietly.
	conflicted bool
}

// runAgain asks for another run after d, or sooner if that was asked for.
func (s *scope) runAgain(d time.Duration) {
	if s.again == 0 || d < s.again {
		s.again = d
	}
}

// wants says whether the expansion has the object, to apply or to keep.
func (s *scope) wants(ref gateway.Ref) bool {
	for _, object := range s.expansion.Objects {
		if k, ok := kindOf(object); ok && k.ref(object) == ref {
			return true
		}
	}
	return slices.Contains(s.expansion.Kept, ref)
}

// dataPlane gathers the objects whose statuses the data plane's controller writes. Those of others
// that merely have a name that is needed are left out; a shared Gateway is not.
func (s *scope) dataPlane() gateway.Live {
	belonging := map[gateway.Ref]client.Object{}
	for ref, object := range s.live {
		if ownership := ownershipOf(object, s.exs); ownership == ours || ownership == adoptable {
			belonging[ref] = object
		}
	}
	return gateway.LiveOf(s.exs, s.facts, belonging)
}

// keepLive returns a function that remembers objects of one kind.
func (s *scope) keepLive(k kind) func(runtime.Object) error {
	return func(item runtime.Object) error {
		object, ok := item.(client.Object)
		if !ok {
			return fmt.Errorf("%T is not an object", item)
		}
		s.live[k.ref(object)] = object
		return nil
	}
}
