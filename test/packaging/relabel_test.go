package packaging

import (
	"os"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// TestEnvoysStatisticsGetTheNamespaceOfTheExposedService by the rule that docs/failover.md has, and nobody else's get another one.
func TestEnvoysStatisticsGetTheNamespaceOfTheExposedService(t *testing.T) {
	page, err := os.ReadFile(repository("docs", "failover.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(page), "```yaml\nmetric_relabel_configs:\n")
	block, _, ended := strings.Cut(block, "```")
	if !found || !ended {
		t.Fatal("the page has no metric_relabel_configs")
	}
	var rules []*relabel.Config
	if err := yaml.Unmarshal([]byte(block), &rules); err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		if err := rule.Validate(model.UTF8Validation); err != nil {
			t.Fatal(err)
		}
	}
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}}
	for cluster, want := range map[string]string{
		gateway.ClusterName(exs):                "shop",
		gateway.ClusterName(exs) + "/backend/1": "shop",
		"grpcroute/shop/with":                   "shop", // Of a name with a dot Envoy keeps what is before it.
		"xds_cluster":                           "envoy-gateway-system",
		"":                                      "envoy-gateway-system",
		"other-grpcroute/shop/greeter/rule/0":   "envoy-gateway-system",
	} {
		series := labels.NewBuilder(labels.FromStrings("namespace", "envoy-gateway-system", "envoy_cluster_name", cluster))
		kept := relabel.ProcessBuilder(series, rules...)
		if got := series.Get("namespace"); !kept || got != want {
			t.Errorf("%q belongs to %q, want %q", cluster, got, want)
		}
	}
}
