package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/test/scene"
)

// Headgate's requests are counted by the API server itself, exactly and without asking Headgate: a
// FlowSchema gives each kind of request a counter, apiserver_flowcontrol_dispatched_requests_total,
// and leaves it on the priority level where service accounts are anyway. This also counts writes that
// change nothing, which leave no trace in the objects. Watches are not counted.
const (
	schemaWrites = "headgate-bench-idle-writes"
	schemaEvents = "headgate-bench-idle-events"
	schemaLease  = "headgate-bench-idle-lease"
	schemaReads  = "headgate-bench-idle-reads"
)

// schemaNames are in the order in which they are tried.
var schemaNames = []string{schemaEvents, schemaLease, schemaReads, schemaWrites}

const (
	priorityLevel = "workload-low"
	// precedence is before that of the schemas for all service accounts.
	precedence = 1000
	// serviceAccount is the one that the chart makes.
	serviceAccount = "headgate"
	counterName    = "apiserver_flowcontrol_dispatched_requests_total"
)

var (
	writingVerbs = []string{"create", "update", "patch", "delete", "deletecollection"}
	readingVerbs = []string{"get", "list"}
)

func schemas() []*flowcontrolv1.FlowSchema {
	all := []string{flowcontrolv1.ResourceAll}
	return []*flowcontrolv1.FlowSchema{
		countingSchema(0, schemaEvents, writingVerbs, []string{"events.k8s.io"}, all),
		countingSchema(1, schemaLease, append(readingVerbs, writingVerbs...), []string{"coordination.k8s.io"}, all),
		countingSchema(2, schemaReads, readingVerbs, all, all),
		countingSchema(3, schemaWrites, writingVerbs, all, all),
	}
}

func countingSchema(order int32, name string, verbs, groups, resources []string) *flowcontrolv1.FlowSchema {
	return &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: flowcontrolv1.FlowSchemaSpec{
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: priorityLevel},
			MatchingPrecedence:         precedence + order,
			DistinguisherMethod:        &flowcontrolv1.FlowDistinguisherMethod{Type: flowcontrolv1.FlowDistinguisherMethodByUserType},
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects: []flowcontrolv1.Subject{{
					Kind:           flowcontrolv1.SubjectKindServiceAccount,
					ServiceAccount: &flowcontrolv1.ServiceAccountSubject{Namespace: scene.HeadgateNamespace, Name: serviceAccount},
				}},
				ResourceRules: []flowcontrolv1.ResourcePolicyRule{{
					Verbs: verbs, APIGroups: groups, Resources: resources, ClusterScope: true, Namespaces: []string{flowcontrolv1.NamespaceEvery},
				}},
			}},
		},
	}
}

// countRequests makes the schemas, and waits until the API server goes by them: Headgate's replicas
// look at their lease every few seconds.
func (b *bench) countRequests(ctx context.Context) error {
	for _, schema := range schemas() {
		if err := b.Put(ctx, schema); err != nil {
			return err
		}
	}
	before, err := b.requests(ctx)
	if err != nil {
		return err
	}
	return until(ctx, settleTime, "the API server to count Headgate's requests", func(ctx context.Context) error {
		now, err := b.requests(ctx)
		if err == nil && now[schemaLease] == before[schemaLease] {
			err = fmt.Errorf("%w: no look at the lease has been counted", errNotYet)
		}
		return err
	})
}

// requests are the counters, by schema.
func (b *bench) requests(ctx context.Context) (map[string]float64, error) {
	families, err := b.metrics(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, metric := range families[counterName].GetMetric() {
		out[labelOf(metric, "flow_schema")] += metric.GetCounter().GetValue()
	}
	return out, nil
}

var errRestarted = errors.New("the API server's counters have begun anew, as after a restart")

// countedBetween is the difference of two looks at the counters of Headgate.
func countedBetween(before, after map[string]float64) (map[string]int, error) {
	out := map[string]int{}
	for _, name := range schemaNames {
		if after[name] < before[name] {
			return nil, errRestarted
		}
		out[name] = int(after[name] - before[name])
	}
	return out, nil
}

// metrics reads a page of metrics through the API server.
func (b *bench) metrics(ctx context.Context, path string) (map[string]*dto.MetricFamily, error) {
	body, err := b.fetch(ctx, path)
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	return families, nil
}

func labelOf(metric *dto.Metric, name string) string {
	for _, label := range metric.GetLabel() {
		if label.GetName() == name {
			return ptr.Deref(label.Value, "")
		}
	}
	return ""
}

// timeOf is the timestamp that a sample carries.
func timeOf(metric *dto.Metric) time.Time { return time.UnixMilli(metric.GetTimestampMs()) }
