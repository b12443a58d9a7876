package meter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/scene"
)

// An operator's requests are counted by the API server itself, exactly and without asking the operator: a
// FlowSchema gives each kind of request a counter, apiserver_flowcontrol_dispatched_requests_total,
// and leaves it on the priority level where service accounts are anyway. This also counts writes that
// change nothing, which leave no trace in the objects. Watches are not counted.

// Kind is a kind of request that is counted.
type Kind string

// The kinds, in the order in which a request is tried.
const (
	Events Kind = "events"
	Lease  Kind = "lease"
	Reads  Kind = "reads"
	Writes Kind = "writes"
)

var kinds = []Kind{Events, Lease, Reads, Writes}

const (
	priorityLevel = "workload-low"
	// precedence is before that of the schemas for all service accounts.
	precedence  = 1000
	counterName = "apiserver_flowcontrol_dispatched_requests_total"
	// countTime bounds the wait for the API server to go by the schemas.
	countTime = time.Minute
	// lookInterval is how often is asked for what is waited for.
	lookInterval = time.Second
)

var (
	writingVerbs = []string{"create", "update", "patch", "delete", "deletecollection"}
	readingVerbs = []string{"get", "list"}
)

// schemaName is that of the schema for a kind of request.
func (m *Meter) schemaName(kind Kind) string {
	return strings.Join([]string{"headgate-bench", m.Namespace, string(kind)}, "-")
}

func (m *Meter) schemas() []*flowcontrolv1.FlowSchema {
	all := []string{flowcontrolv1.ResourceAll}
	return []*flowcontrolv1.FlowSchema{
		m.schema(0, Events, writingVerbs, []string{"", "events.k8s.io"}, []string{"events"}),
		m.schema(1, Lease, append(readingVerbs, writingVerbs...), []string{"coordination.k8s.io"}, all),
		m.schema(2, Reads, readingVerbs, all, all),
		m.schema(3, Writes, writingVerbs, all, all),
	}
}

func (m *Meter) schema(order int32, kind Kind, verbs, groups, resources []string) *flowcontrolv1.FlowSchema {
	return &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: m.schemaName(kind)},
		Spec: flowcontrolv1.FlowSchemaSpec{
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: priorityLevel},
			MatchingPrecedence:         precedence + order,
			DistinguisherMethod:        &flowcontrolv1.FlowDistinguisherMethod{Type: flowcontrolv1.FlowDistinguisherMethodByUserType},
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects: []flowcontrolv1.Subject{{
					Kind:           flowcontrolv1.SubjectKindServiceAccount,
					ServiceAccount: &flowcontrolv1.ServiceAccountSubject{Namespace: m.Namespace, Name: m.Account},
				}},
				ResourceRules: []flowcontrolv1.ResourcePolicyRule{{
					Verbs: verbs, APIGroups: groups, Resources: resources, ClusterScope: true, Namespaces: []string{flowcontrolv1.NamespaceEvery},
				}},
			}},
		},
	}
}

// CountRequests makes the schemas, and waits until the API server goes by them, which a look in the operator's
// name shows.
func (m *Meter) CountRequests(ctx context.Context) error {
	for _, schema := range m.schemas() {
		if err := m.cluster.Put(ctx, schema); err != nil {
			return err
		}
	}
	config := rest.CopyConfig(m.rest)
	config.Impersonate.UserName = "system:serviceaccount:" + m.Namespace + ":" + m.Account
	config.Impersonate.Groups = []string{"system:serviceaccounts", "system:serviceaccounts:" + m.Namespace, "system:authenticated"}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	before, err := m.Requests(ctx)
	if err != nil {
		return err
	}
	return scene.UntilWithin(ctx, countTime, lookInterval, "the API server to count the requests of "+config.Impersonate.UserName, func(ctx context.Context) error {
		// Whether the account may look is all the same.
		_, _ = core.CoreV1().Namespaces().Get(ctx, m.Namespace, metav1.GetOptions{}) //nolint:errcheck // as said
		now, err := m.Requests(ctx)
		if err == nil && now[Reads] == before[Reads] {
			err = fmt.Errorf("%w: none has been counted", errNotYet)
		}
		return err
	})
}

// StopCounting removes the schemas.
func (m *Meter) StopCounting(ctx context.Context) error {
	var failed []error
	for _, schema := range m.schemas() {
		failed = append(failed, client.IgnoreNotFound(m.cluster.Delete(ctx, schema)))
	}
	return errors.Join(failed...)
}

// Requests is how many there were since the API server started.
func (m *Meter) Requests(ctx context.Context) (map[Kind]float64, error) {
	families, err := m.metrics(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	out := map[Kind]float64{}
	for _, metric := range families[counterName].GetMetric() {
		for _, kind := range kinds {
			if labelOf(metric, "flow_schema") == m.schemaName(kind) {
				out[kind] += metric.GetCounter().GetValue()
			}
		}
	}
	return out, nil
}

var errRestarted = errors.New("the API server's counters have begun anew, as after a restart")

// Between is the difference of two results of Requests.
func Between(before, after map[Kind]float64) (map[Kind]int, error) {
	out := map[Kind]int{}
	for _, kind := range kinds {
		if after[kind] < before[kind] {
			return nil, errRestarted
		}
		out[kind] = int(after[kind] - before[kind])
	}
	return out, nil
}
