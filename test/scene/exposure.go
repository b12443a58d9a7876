package scene

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/test/grpcapp/load"
)

// Host is the host name under which the sample service is exposed.
const Host = "greeter.example.com"

// ClassName is the GatewayClass of the local cluster.
const ClassName = "envoy-gateway"

// ExposedService exposes applications, in order of preference, through a Gateway of its own. Calls
// may run twice, as those of the sample application may.
func ExposedService(namespace, name string, apps ...string) *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	exs.Spec.Hostnames = []v1alpha1.Hostname{Host}
	exs.Spec.Gateway = &v1alpha1.Gateway{ClassName: ptr.To(ClassName)}
	exs.Spec.Traffic = &v1alpha1.Traffic{Retry: &v1alpha1.Retry{Idempotent: ptr.To(true)}}
	for _, app := range apps {
		exs.Spec.Backends = append(exs.Spec.Backends, v1alpha1.Backend{
			Name: app, Service: &v1alpha1.ServiceBackend{Name: app, Port: GRPCPort},
		})
	}
	return exs
}

// Change changes the spec of an ExposedService and returns the new generation.
func (c *Cluster) Change(ctx context.Context, exs *v1alpha1.ExposedService, change func(*v1alpha1.ExposedServiceSpec)) error {
	return Until(ctx, "a change of "+exs.Name, func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(exs), exs); err != nil {
			return err
		}
		change(&exs.Spec)
		return c.Update(ctx, exs)
	})
}

// UntilCondition waits until a condition of the newest generation has the status and, unless it is
// empty, the reason.
func (c *Cluster) UntilCondition(
	ctx context.Context, exs *v1alpha1.ExposedService, condition string, status metav1.ConditionStatus, reason v1alpha1.Reason,
) (*metav1.Condition, error) {
	var have *metav1.Condition
	err := Until(ctx, fmt.Sprintf("condition %s=%s %s of %s", condition, status, reason, exs.Name), func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(exs), exs); err != nil {
			return err
		}
		have = meta.FindStatusCondition(exs.Status.Conditions, condition)
		if have == nil || have.ObservedGeneration < exs.Generation || have.Status != status || reason != "" && have.Reason != string(reason) {
			text, _ := json.Marshal(exs.Status) //nolint:errchkjson // a status is always JSON
			return fmt.Errorf("%w: %s", errNotYet, text)
		}
		return nil
	})
	return have, err
}

// UntilExposed waits until calls can be made and have all that failover needs: Ready, and, where
// there is a backup, an Envoy that could turn to every one of its addresses.
func (c *Cluster) UntilExposed(ctx context.Context, exs *v1alpha1.ExposedService) error {
	if _, err := c.UntilCondition(ctx, exs, v1alpha1.ConditionReady, metav1.ConditionTrue, ""); err != nil {
		return err
	}
	if len(exs.Spec.Backends) == 1 {
		return nil
	}
	if _, err := c.UntilCondition(ctx, exs, v1alpha1.ConditionPriorityFailover, metav1.ConditionTrue, ""); err != nil {
		return err
	}
	return c.untilStandsBy(ctx, exs)
}

// untilStandsBy waits until Envoy finds the pods and the ClusterIP of the fallback healthy.
func (c *Cluster) untilStandsBy(ctx context.Context, exs *v1alpha1.ExposedService) error {
	service := &corev1.Service{}
	key := client.ObjectKey{Namespace: exs.Namespace, Name: gateway.ServiceName(exs, exs.Status.Failover.Fallback)}
	if err := c.Get(ctx, key, service); err != nil {
		return err
	}
	return c.untilEndpoints(ctx, exs, "the fallback of "+exs.Name+" to stand by, with "+service.Spec.ClusterIP, func(endpoints []EnvoyEndpoint) bool {
		waits := func(e EnvoyEndpoint) bool { return e.Priority > 0 && e.Health != healthy }
		isService := func(e EnvoyEndpoint) bool { return strings.HasPrefix(e.Address, service.Spec.ClusterIP+":") }
		return !slices.ContainsFunc(endpoints, waits) && slices.ContainsFunc(endpoints, isService)
	})
}

// UntilNoneHealthy waits until no endpoint of an ExposedService passes Envoy's health check.
func (c *Cluster) UntilNoneHealthy(ctx context.Context, exs *v1alpha1.ExposedService) error {
	return c.untilEndpoints(ctx, exs, "no endpoint of "+exs.Name+" to be healthy", func(endpoints []EnvoyEndpoint) bool {
		return !slices.ContainsFunc(endpoints, func(e EnvoyEndpoint) bool { return e.Health == healthy })
	})
}

// UntilStandbyHealthy waits until so many endpoints of an ExposedService that stand by pass Envoy's health check, and no more.
func (c *Cluster) UntilStandbyHealthy(ctx context.Context, exs *v1alpha1.ExposedService, want int) error {
	return c.untilEndpoints(ctx, exs, fmt.Sprintf("%d endpoints that stand by for %s to be healthy", want, exs.Name), func(endpoints []EnvoyEndpoint) bool {
		found := 0
		for _, e := range endpoints {
			if e.Priority == 1 && e.Health == healthy {
				found++
			}
		}
		return found == want
	})
}

// untilEndpoints waits until the endpoints of an ExposedService are in Envoy as they should be.
func (c *Cluster) untilEndpoints(ctx context.Context, exs *v1alpha1.ExposedService, what string, right func([]EnvoyEndpoint) bool) error {
	return UntilWithin(ctx, Patience, standByInterval, what, func(ctx context.Context) error {
		_, endpoints, err := c.EnvoyEndpoints(ctx, exs)
		if err == nil && !right(endpoints) {
			err = fmt.Errorf("%w: %+v", errNotYet, endpoints)
		}
		return err
	})
}

// standByInterval is longer than that of other waits, because each look opens a way into Envoy's pod.
const standByInterval = 250 * time.Millisecond

// Address is where clients connect, as host:port.
func Address(exs *v1alpha1.ExposedService) (string, error) {
	if len(exs.Status.Addresses) == 0 {
		return "", fmt.Errorf("ExposedService %s has no address", exs.Name)
	}
	port := "80"
	if listener := exs.Spec.Gateway.Listener; listener != nil {
		if listener.TLS != nil {
			port = "443"
		}
		if listener.Port != nil {
			port = fmt.Sprint(*listener.Port)
		}
	}
	return net.JoinHostPort(exs.Status.Addresses[0].Value, port), nil
}

// Load is the configuration of live calls to an ExposedService.
func Load(exs *v1alpha1.ExposedService, rate float64) (load.Config, error) {
	address, err := Address(exs)
	if err != nil {
		return load.Config{}, err
	}
	return load.Config{
		Target: address, Rate: rate, Authority: Host, Group: load.GroupByDeployment,
		Timeout: callTimeout, MaxInFlight: inFlight(rate),
	}, nil
}

// callTimeout is long enough that a busy machine delays calls and does not fail them: the delay is in the report.
const callTimeout = 10 * time.Second

// inFlight bounds the calls under way to those of a tenth of a second, many times what a machine with processors to spare has. One that
// cannot answer at the rate answers later, instead of taking on more and more calls until none has an answer within its deadline.
func inFlight(rate float64) int { return max(10, int(rate/10)) }

// UntilAnswered waits until a round of calls of its own, over connections of its own, has no failure. Whoever
// counts the calls to an address that is new begins with it: a route or a listener that has just been accepted
// may still be on its way to Envoy.
func UntilAnswered(ctx context.Context, config load.Config) error {
	config.Rate, config.Duration = 50, time.Second
	return Until(ctx, "answers of "+config.Target, func(ctx context.Context) error {
		live, err := load.Start(ctx, config)
		if err != nil {
			return err
		}
		if report := live.Wait(); report.Failed > 0 {
			return errors.New(report.Summary())
		}
		return nil
	})
}

// Answered waits until so many more calls have been answered by pods of an application, whose
// pods' names start with its own.
func Answered(ctx context.Context, run *load.Run, app string, calls int) error {
	_, seen := run.Recent(0)
	return Until(ctx, fmt.Sprintf("%d answers of %s", calls, app), func(context.Context) error {
		recent, _ := run.Recent(seen)
		got := 0
		for pod, count := range recent.ByPod {
			if strings.HasPrefix(pod, app+"-") {
				got += count - recent.FailedByPod[pod]
			}
		}
		if got < calls {
			return fmt.Errorf("%w: %d of them, in all %v", errNotYet, got, recent.ByPod)
		}
		return nil
	})
}

// Alone waits until so many calls in a row have been answered by an application and none of them failed, and returns when that was so: the
// route that leads there alone has arrived, however long a busy machine took.
func Alone(ctx context.Context, run *load.Run, app string, calls int) (time.Time, error) {
	_, seen := run.Recent(0)
	err := Until(ctx, fmt.Sprintf("%d answers in a row of %s", calls, app), func(context.Context) error {
		recent, all := run.Recent(seen)
		others := recent.Failed
		for pod, count := range recent.ByPod {
			if !strings.HasPrefix(pod, app+"-") {
				others += count
			}
		}
		if others > 0 {
			seen = all
			return fmt.Errorf("%w: %d of the last %d were of others, or failed", errNotYet, others, recent.Calls)
		}
		if recent.Calls < calls {
			return fmt.Errorf("%w: %d", errNotYet, recent.Calls)
		}
		return nil
	})
	return time.Now(), err
}
