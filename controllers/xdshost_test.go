package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// dns answers every look-up with the same, or fails.
type dns []string

// LookupHost implements facts.Resolver.
func (d dns) LookupHost(context.Context, string) ([]string, error) {
	if len(d) == 0 {
		return nil, errors.New("the DNS server is down")
	}
	return d, nil
}

func resolvingBy(resolver dns) operatorOption {
	return func(config *Config, _ *transport) { config.Resolver = resolver }
}

func behindHost(exs *v1alpha1.ExposedService) {
	exs.Spec.Backends[0] = v1alpha1.Backend{Name: "eu", FQDN: &v1alpha1.FQDNBackend{Hostname: "eu.example.com", Port: 443}}
}

// A replica that starts while DNS fails serves a host where it was when it was last resolved, and nobody leaves it.
func TestAHostOverXDSStaysWhereItWasWhenDNSFailsAfterARestart(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t).withBackends(), newXDSPKI(t)
	option, address := servingXDS(t, p, "replica-a")
	former := w.startOperator(option, resolvingBy(dns{"203.0.113.7", "203.0.113.8"}))
	exs := w.exposedService("greeter", overXDS(9090), behindHost)
	w.create(exs)
	c := p.connect(w, address, "envoy-1", nil)
	const known = "0 203.0.113.7 HEALTHY, 0 203.0.113.8 HEALTHY, 1 10.1.1.1 HEALTHY, 1 10.1.1.2 HEALTHY"
	c.until("the host is served", func() bool { return c.health(mainCluster(w)) == known })
	w.eventually("it is remembered where it is", func() error {
		if err := w.read(exs); err != nil {
			return err
		}
		if len(exs.Status.Backends) == 0 || exs.Status.Backends[0].Host == nil || exs.Status.Backends[0].Host.Hostname != "eu.example.com" ||
			!slices.Equal(exs.Status.Backends[0].Host.Addresses, []string{"203.0.113.7", "203.0.113.8"}) {
			return fmt.Errorf("status.backends are %+v", exs.Status.Backends)
		}
		return nil
	})
	former.stop()

	option, address = servingXDS(t, p, "replica-b")
	o := w.startOperator(option, resolvingBy(nil))
	c = p.connect(w, address, "envoy-1", nil)
	c.until("the host is served as before", func() bool { return c.health(mainCluster(w)) == known })
	w.untilReady(exs)
	w.untilQuiet(o)
	if err := w.read(exs); err != nil || exs.Status.Active != "eu" {
		t.Errorf("%q serves (%v)", exs.Status.Active, err)
	}
}

// A host of which nobody knows an address is not up: calls have no way there.
func TestAHostOverXDSThatWasNeverResolvedIsNotUp(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t).withBackends(), newXDSPKI(t)
	option, _ := servingXDS(t, p, "replica-a")
	w.startOperator(option, resolvingBy(nil))
	exs := w.exposedService("greeter", overXDS(9090), behindHost)
	w.create(exs)
	w.eventually("the backup serves", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionFailedOver, metav1.ConditionTrue, v1alpha1.ReasonBackupServes)
	})
	if b := exs.Status.Backends[0]; b.Health != v1alpha1.BackendDown || b.Host != nil {
		t.Errorf("the host's status is %+v", b)
	}
}
