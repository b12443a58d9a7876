package v1alpha1_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }

const minimal = `
gateway: {className: envoy-gateway}
backends: [{name: primary, service: {name: greeter, port: 50051}}]
`

// with is the minimal spec with some of its fields replaced, or removed by null.
func with(fields string) string {
	spec := map[string]any{}
	mustUnmarshal(minimal, &spec)
	changed := map[string]any{}
	mustUnmarshal(fields, &changed)
	for name, value := range changed {
		if value == nil {
			delete(spec, name)
		} else {
			spec[name] = value
		}
	}
	text, err := yaml.Marshal(spec)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func mustUnmarshal(text string, into any) {
	if err := yaml.Unmarshal([]byte(text), into); err != nil {
		panic(fmt.Sprintf("%v in %s", err, text))
	}
}

// withBackends is the minimal spec with n backends.
// asking asks a Prometheus server for calls and errors.
func asking(prometheus string) string {
	return with("failover: {errors: {maxPercent: '5', source: Prometheus, prometheus: {" + prometheus + "}}}")
}

func withBackends(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("{name: b%d, service: {name: s%d, port: 1}}", i, i))
	}
	return with("backends: [" + strings.Join(list, ", ") + "]")
}

func override(kind, patch string) string {
	return with("overrides: [{kind: " + kind + ", patch: " + patch + "}]")
}

// rollout is the minimal spec with a rollout of a Deployment, unless the fields name another target.
func rollout(fields string) string {
	if !strings.Contains(fields, "workloadRef") {
		fields = "workloadRef: {name: greeter}, " + fields
	}
	return with("rollout: {" + fields + "}")
}

func analysis(fields string) string { return rollout("analysis: {" + fields + "}") }

func rule(match string) string { return with("rules: [{matches: [" + match + "]}]") }

// TestBadInputIsRefused applies what users get wrong to the real API server, with strict validation
// as kubectl asks for it. Each refusal names the field and says what to do.
func TestBadInputIsRefused(t *testing.T) {
	kube := apiserver.Client(t)
	namespace := apiserver.Namespace(t, kube)
	tests := map[string]struct {
		name string // of the object; "greeter" when empty
		spec string
		want []string
	}{
		"unknown field":                {spec: with("hostname: a.example.com"), want: []string{`unknown field "spec.hostname"`}},
		"unknown field of a backend":   {spec: with("backends: [{name: a, service: {name: s, port: 1, weight: 5}}]"), want: []string{`spec.backends[0].service.weight`}},
		"no backends":                  {spec: with("backends: null"), want: []string{"spec.backends", "Required"}},
		"empty backends":               {spec: with("backends: []"), want: []string{"spec.backends", "at least 1"}},
		"nine backends":                {spec: withBackends(9), want: []string{"spec.backends", "at most 8"}},
		"duplicate names of backends":  {spec: with("backends: [{name: a, service: {name: s, port: 1}}, {name: a, service: {name: t, port: 1}}]"), want: []string{"spec.backends[1]", "Duplicate"}},
		"a backup that is the primary": {spec: with("backends: [{name: a, service: {name: s, port: 1}}, {name: b, service: {name: s, port: 1}}]"), want: []string{"spec.backends", "remove one"}},
		"a backend of both kinds":      {spec: with("backends: [{name: a, service: {name: s, port: 1}, fqdn: {hostname: a.example.com, port: 1}}]"), want: []string{"spec.backends[0]", "exactly one of service, serviceImport and fqdn"}},
		"a backend of no kind":         {spec: with("backends: [{name: a}]"), want: []string{"spec.backends[0]", "exactly one of service, serviceImport and fqdn"}},
		"a backend's name in capitals": {spec: with("backends: [{name: Primary, service: {name: s, port: 1}}]"), want: []string{"spec.backends[0].name", "lower-case"}},
		"a backend's name too long":    {spec: with("backends: [{name: a-name-of-17-char, service: {name: s, port: 1}}, {name: a-name-of-17-chars, service: {name: t, port: 1}}]"), want: []string{"spec.backends[1].name", "16"}},
		"port 0":                       {spec: with("backends: [{name: a, service: {name: s, port: 0}}]"), want: []string{"spec.backends[0].service.port", "greater than or equal to 1"}},
		"port 65536":                   {spec: with("backends: [{name: a, service: {name: s, port: 65536}}]"), want: []string{"spec.backends[0].service.port", "less than or equal to 65535"}},
		"port as text":                 {spec: with("backends: [{name: a, service: {name: s, port: grpc}}]"), want: []string{"spec.backends[0].service.port", "integer"}},
		"no port":                      {spec: with("backends: [{name: a, service: {name: s}}]"), want: []string{"spec.backends[0].service.port", "Required"}},
		"an fqdn that is an address":   {spec: with("backends: [{name: a, fqdn: {hostname: 203.0.113.7, port: 1}}]"), want: []string{"spec.backends[0].fqdn.hostname", "Service without a selector"}},
		"an fqdn with a wildcard":      {spec: with("backends: [{name: a, fqdn: {hostname: '*.example.com', port: 1}}]"), want: []string{"spec.backends[0].fqdn.hostname", "full DNS name"}},

		"neither gateway nor anything else": {spec: with("gateway: null"), want: []string{"gateway or xds is required", "gateway.className", "gateway.parentRef", "set xds"}},
		"an xds port out of range":          {spec: with("xds: {port: 65536}"), want: []string{"spec.xds.port", "less than or equal to 65535"}},
		"an xds port of 0":                  {spec: with("xds: {port: 0}"), want: []string{"spec.xds.port", "greater than or equal to 1"}},
		"an unknown field of xds":           {spec: with("xds: {listener: 9090}"), want: []string{`unknown field "spec.xds.listener"`}},
		"an empty gateway":                  {spec: with("gateway: {}"), want: []string{"spec.gateway", "one of className and parentRef is required"}},
		"both className and parentRef":      {spec: with("gateway: {className: a, parentRef: {name: b}}"), want: []string{"spec.gateway", "must not both be set"}},
		"listener with parentRef":           {spec: with("gateway: {parentRef: {name: b}, listener: {port: 80}}"), want: []string{"spec.gateway", "listener must not be set with parentRef", "sectionName"}},
		"visibility with parentRef":         {spec: with("gateway: {parentRef: {name: b}, visibility: Internal}"), want: []string{"spec.gateway", "visibility must not be set with parentRef"}},
		"proxy with parentRef":              {spec: with("gateway: {parentRef: {name: b}, proxy: {replicas: 2}}"), want: []string{"spec.gateway", "proxy must not be set with parentRef"}},
		"unknown visibility":                {spec: with("gateway: {className: a, visibility: Private}"), want: []string{"spec.gateway.visibility", `"Public", "Internal"`}},
		"no replicas":                       {spec: with("gateway: {className: a, proxy: {replicas: 0}}"), want: []string{"spec.gateway.proxy.replicas", "greater than or equal to 1"}},
		"both bounds of a PDB":              {spec: with("gateway: {className: a, proxy: {podDisruptionBudget: {minAvailable: 1, maxUnavailable: 1}}}"), want: []string{"podDisruptionBudget", "exactly one"}},
		"TLS without certificates":          {spec: with("gateway: {className: a, listener: {tls: {certificateRefs: []}}}"), want: []string{"spec.gateway.listener.tls.certificateRefs", "at least 1"}},
		"listener port out of range":        {spec: with("gateway: {className: a, listener: {port: 70000}}"), want: []string{"spec.gateway.listener.port", "65535"}},

		"a host name that is an IPv4 address": {spec: with("hostnames: [192.0.2.7]"), want: []string{"spec.hostnames", "not IP addresses"}},
		"a host name that is an IPv6 address": {spec: with("hostnames: ['2001:db8::7']"), want: []string{"spec.hostnames", "not IP addresses"}},
		"a host name with a port":             {spec: with("hostnames: ['a.example.com:443']"), want: []string{"spec.hostnames", "host:port"}},
		"a host name in capitals":             {spec: with("hostnames: [A.example.com]"), want: []string{"spec.hostnames[0]", "lower-case DNS name"}},
		"a URL as host name":                  {spec: with("hostnames: [a.example.com/b]"), want: []string{"spec.hostnames[0]", "without scheme, port or path"}},
		"the same host name twice":            {spec: with("hostnames: [a.example.com, a.example.com]"), want: []string{"spec.hostnames[1]", "Duplicate"}},

		"an empty match":               {spec: rule("{}"), want: []string{"spec.rules[0].matches[0]", "must name a service, a method or headers"}},
		"no matches":                   {spec: with("rules: [{matches: []}]"), want: []string{"spec.rules[0].matches", "at least 1"}},
		"a method without its service": {spec: rule("{method: SayHello}"), want: []string{"spec.rules[0].matches[0]", "method needs service", "helloworld.Greeter"}},
		"a path as service":            {spec: rule("{service: /helloworld.Greeter}"), want: []string{"spec.rules[0].matches[0]", "no slash"}},
		"a path as method":             {spec: rule("{service: helloworld.Greeter, method: /SayHello}"), want: []string{"spec.rules[0].matches[0]", "bare name of a method"}},
		"an unknown type of match":     {spec: rule("{service: a.B, type: Prefix}"), want: []string{"spec.rules[0].matches[0].type", `"Exact", "RegularExpression"`}},
		"a header in capitals":         {spec: rule("{headers: [{name: X-Tenant, value: gold}]}"), want: []string{"headers[0].name", "lower case"}},
		"a header without value":       {spec: rule("{headers: [{name: x-tenant, value: ''}]}"), want: []string{"headers[0].value", "at least 1"}},
		"65 matches":                   {spec: with("rules: [" + strings.Repeat("{matches: ["+strings.Repeat("{service: a.B},", 13)+"]},", 5) + "]"), want: []string{"spec", "at most 64 matches"}},

		"a duration without unit":      {spec: with("traffic: {requestTimeout: '30'}"), want: []string{"spec.traffic.requestTimeout", "such as 250ms, 30s or 1m30s"}},
		"a duration with a fraction":   {spec: with("traffic: {requestTimeout: 1.5s}"), want: []string{"spec.traffic.requestTimeout", "such as 250ms"}},
		"a negative duration":          {spec: with("traffic: {connectTimeout: -1s}"), want: []string{"spec.traffic.connectTimeout", "such as 250ms"}},
		"a number as duration":         {spec: with("traffic: {connectTimeout: 5}"), want: []string{"spec.traffic.connectTimeout", "string"}},
		"connecting in no time":        {spec: with("traffic: {connectTimeout: 0s}"), want: []string{"spec.traffic.connectTimeout", "longer than 0s"}},
		"checks without a pause":       {spec: with("traffic: {healthCheck: {interval: 0s}}"), want: []string{"spec.traffic.healthCheck.interval", "longer than 0s"}},
		"checks without time":          {spec: with("traffic: {healthCheck: {timeout: 0h0m0s0ms}}"), want: []string{"spec.traffic.healthCheck.timeout", "longer than 0s"}},
		"ejections without a pause":    {spec: with("traffic: {outlierDetection: {interval: 0ms}}"), want: []string{"spec.traffic.outlierDetection.interval", "longer than 0s"}},
		"ejections for no time":        {spec: with("traffic: {outlierDetection: {baseEjectionTime: 00s}}"), want: []string{"spec.traffic.outlierDetection.baseEjectionTime", "longer than 0s"}},
		"too many retries":             {spec: with("traffic: {retry: {attempts: 21}}"), want: []string{"spec.traffic.retry.attempts", "less than or equal to 20"}},
		"a per-try timeout, not twice": {spec: with("traffic: {retry: {perTryTimeout: 1s}}"), want: []string{"spec.traffic.retry", "perTryTimeout needs idempotent: true"}},
		"a try as long as the call": {
			spec: with("traffic: {requestTimeout: 1s, retry: {idempotent: true, perTryTimeout: 1000ms}}"),
			want: []string{"spec.traffic", "retry.perTryTimeout must be shorter than requestTimeout", "lower perTryTimeout"},
		},
		"a try longer than the call": {
			spec: with("traffic: {requestTimeout: 500ms, retry: {idempotent: true, perTryTimeout: 1m}}"),
			want: []string{"spec.traffic", "retry.perTryTimeout must be shorter than requestTimeout"},
		},
		"a retry that may run twice":    {spec: with("traffic: {retry: {retryOn: [reset]}}"), want: []string{"spec.traffic.retry", "unless idempotent is true"}},
		"an unknown retry trigger":      {spec: with("traffic: {retry: {retryOn: [5xx]}}"), want: []string{"spec.traffic.retry.retryOn[0]", "connect-failure"}},
		"a budget over 100 %":           {spec: with("traffic: {circuitBreaker: {retryBudget: {percent: 101}}}"), want: []string{"retryBudget.percent", "less than or equal to 100"}},
		"a negative share":              {spec: with("traffic: {outlierDetection: {maxEjectionPercent: -1}}"), want: []string{"maxEjectionPercent", "greater than or equal to 0"}},
		"no connections":                {spec: with("traffic: {circuitBreaker: {maxConnections: 0}}"), want: []string{"maxConnections", "greater than or equal to 1"}},
		"a checked service with Auto":   {spec: with("traffic: {healthCheck: {service: readiness}}"), want: []string{"spec.traffic.healthCheck", "set mode to Always"}},
		"an unknown mode of checks":     {spec: with("traffic: {healthCheck: {mode: Sometimes}}"), want: []string{"spec.traffic.healthCheck.mode", `"Auto", "Always", "Never"`}},
		"a hash header without hashing": {spec: with("traffic: {loadBalancer: {type: Random, hashHeader: x-user}}"), want: []string{"spec.traffic.loadBalancer", "hashHeader needs type: ConsistentHash"}},
		"slow start without order":      {spec: with("traffic: {loadBalancer: {type: Random, slowStart: 10s}}"), want: []string{"spec.traffic.loadBalancer", "slowStart needs type"}},

		"a pin that is no backend":          {spec: with("failover: {pin: elsewhere}"), want: []string{"failover.pin must be the name of one of spec.backends"}},
		"a ramp that falls":                 {spec: with("failover: {recovery: {ramp: [50, 10]}}"), want: []string{"spec.failover.recovery", "ramp must rise"}},
		"a ramp that stands still":          {spec: with("failover: {recovery: {ramp: [10, 10]}}"), want: []string{"spec.failover.recovery", "ramp must rise"}},
		"a ramp over 100 %":                 {spec: with("failover: {recovery: {ramp: [10, 101]}}"), want: []string{"spec.failover.recovery", "percentages from 1 to 100"}},
		"an empty ramp":                     {spec: with("failover: {recovery: {ramp: []}}"), want: []string{"spec.failover.recovery.ramp", "at least 1"}},
		"a recovery below a second":         {spec: with("failover: {recovery: {healthyFor: 500ms}}"), want: []string{"spec.failover.recovery.healthyFor", "at least 1s"}},
		"a ramp's step below a second":      {spec: with("failover: {recovery: {rampInterval: 0s}}"), want: []string{"spec.failover.recovery.rampInterval", "at least 1s"}},
		"a ready share of 0":                {spec: with("failover: {minReadyPercent: 0}"), want: []string{"spec.failover.minReadyPercent", "greater than or equal to 1"}},
		"a ready share of 101":              {spec: with("failover: {minReadyPercent: 101}"), want: []string{"spec.failover.minReadyPercent", "less than or equal to 100"}},
		"an error bound of 100 %":           {spec: with("failover: {errors: {maxPercent: '100'}}"), want: []string{"spec.failover.errors.maxPercent", "above 0 and below 100"}},
		"an error bound of 0 %":             {spec: with("failover: {errors: {maxPercent: '0.0'}}"), want: []string{"spec.failover.errors.maxPercent", "above 0 and below 100"}},
		"an error bound with a sign":        {spec: with("failover: {errors: {maxPercent: 5%}}"), want: []string{"spec.failover.errors.maxPercent", "decimal number in quotes"}},
		"an error bound as a number":        {spec: with("failover: {errors: {maxPercent: 5}}"), want: []string{"spec.failover.errors.maxPercent", "string"}},
		"load reports without xds":          {spec: with("failover: {errors: {maxPercent: '5', source: LoadReports}}"), want: []string{"spec", "failover.errors.source LoadReports", "set xds"}},
		"errors by Envoy, without gateway":  {spec: with("{gateway: null, xds: {}, failover: {errors: {maxPercent: '5', source: Envoy}}}"), want: []string{"spec", "failover.errors.source Envoy", "set gateway"}},
		"Prometheus without an address":     {spec: with("failover: {errors: {maxPercent: '5', source: Prometheus}}"), want: []string{"spec.failover", "errors.prometheus is required"}},
		"Prometheus without a scheme":       {spec: with("failover: {errors: {maxPercent: '5', prometheus: {address: 'prometheus:9090', calls: a, errors: b}}}"), want: []string{"spec.failover.errors.prometheus.address", "http://"}},
		"Prometheus nowhere":                {spec: asking("calls: a, errors: b"), want: []string{"spec.failover.errors.prometheus", "set either server", "or address"}},
		"Prometheus at two places":          {spec: asking("server: metrics, address: 'https://p:9090', calls: a, errors: b"), want: []string{"spec.failover.errors.prometheus", "set either server", "or address"}},
		"Prometheus at an empty address":    {spec: asking("address: '', calls: a, errors: b"), want: []string{"spec.failover.errors.prometheus.address"}},
		"Prometheus at a name of a host":    {spec: asking("server: prometheus.monitoring, calls: a, errors: b"), want: []string{"spec.failover.errors.prometheus.server", "name of a server of the platform"}},
		"a token for the platform's":        {spec: asking("server: metrics, calls: a, errors: b, bearerTokenSecretRef: {name: s, key: k}"), want: []string{"spec.failover.errors.prometheus", "remove bearerTokenSecretRef and caSecretRef"}},
		"a CA for the platform's":           {spec: asking("server: metrics, calls: a, errors: b, caSecretRef: {name: s, key: k}"), want: []string{"spec.failover.errors.prometheus", "remove bearerTokenSecretRef and caSecretRef"}},
		"a token in the clear":              {spec: asking("address: 'http://p:9090', calls: a, errors: b, bearerTokenSecretRef: {name: s, key: k}"), want: []string{"spec.failover.errors.prometheus", "bearerTokenSecretRef is sent to https:// addresses only", "set address"}},
		"a token of a rollout in the clear": {spec: analysis("prometheus: {address: 'http://p:9090', calls: a, errors: b, bearerTokenSecretRef: {name: s, key: k}}"), want: []string{"spec.rollout.analysis.prometheus", "bearerTokenSecretRef is sent to https:// addresses only"}},
		"a rollout's Prometheus nowhere":    {spec: analysis("prometheus: {calls: a, errors: b}"), want: []string{"spec.rollout.analysis.prometheus", "set either server"}},
		"a rollout's CA for the platform's": {spec: analysis("prometheus: {server: m, calls: a, errors: b, caSecretRef: {name: s, key: k}}"), want: []string{"spec.rollout.analysis.prometheus", "remove bearerTokenSecretRef and caSecretRef"}},
		"no switches at all":                {spec: with("failover: {maxSwitchesPerHour: 0}"), want: []string{"spec.failover.maxSwitchesPerHour", "greater than or equal to 1"}},
		"an unknown strategy":               {spec: with("failover: {strategy: Random}"), want: []string{"spec.failover.strategy", `"Auto", "Priorities", "Weights"`}},

		"a rollout of nothing":             {spec: with("rollout: {}"), want: []string{"spec.rollout", "exactly one of workloadRef and canary"}},
		"a rollout of both kinds":          {spec: with("rollout: {workloadRef: {name: a}, canary: {service: {name: b, port: 1}}, revision: '1'}"), want: []string{"spec.rollout", "exactly one of workloadRef and canary"}},
		"a canary without revision":        {spec: with("rollout: {canary: {service: {name: b, port: 1}}}"), want: []string{"spec.rollout", "revision is required with canary"}},
		"a revision without canary":        {spec: with("rollout: {workloadRef: {name: a}, revision: '1'}"), want: []string{"spec.rollout", "must not be set without it"}},
		"a revision that is no label":      {spec: with("rollout: {canary: {service: {name: b, port: 1}}, revision: 'a b'}"), want: []string{"spec.rollout.revision", "such as 2.4.0"}},
		"a canary that is the primary":     {spec: with("rollout: {canary: {service: {name: greeter, port: 50051}}, revision: '1'}"), want: []string{"spec", "rollout.canary.service must differ"}},
		"a canary that is the backup":      {spec: with("backends: [{name: a, service: {name: s, port: 1}}, {name: b, service: {name: t, namespace: eu, port: 1}}]\nrollout: {canary: {service: {name: t, namespace: eu, port: 1}}, revision: '1'}"), want: []string{"spec", "rollout.canary.service must differ"}},
		"a canary with tracked config":     {spec: with("rollout: {canary: {service: {name: b, port: 1}}, revision: '1', trackConfig: true}"), want: []string{"spec.rollout", "trackConfig needs workloadRef"}},
		"a workload of another kind":       {spec: rollout("workloadRef: {kind: StatefulSet, name: a}"), want: []string{"spec.rollout.workloadRef.kind", `"Deployment"`}},
		"a workload with too long a name":  {spec: rollout("workloadRef: {name: " + strings.Repeat("a", 64) + "}"), want: []string{"spec.rollout.workloadRef.name", "63"}},
		"a rollout of an fqdn":             {spec: with("backends: [{name: a, fqdn: {hostname: a.example.com, port: 1}}]\nrollout: {workloadRef: {name: a}}"), want: []string{"first backend, which must be a service"}},
		"a rollout elsewhere":              {spec: with("backends: [{name: a, service: {name: s, namespace: eu, port: 1}}]\nrollout: {workloadRef: {name: a}}"), want: []string{"remove backends[0].service.namespace"}},
		"a backend called canary":          {spec: with("backends: [{name: a, service: {name: s, port: 1}}, {name: canary, service: {name: t, port: 1}}]\nrollout: {workloadRef: {name: a}}"), want: []string{"must not be called canary"}},
		"no steps at all":                  {spec: rollout("steps: []"), want: []string{"spec.rollout.steps", "at least 1"}},
		"21 steps":                         {spec: rollout("steps: [" + strings.Repeat("{weight: 1},", 21) + "]"), want: []string{"spec.rollout.steps", "at most 20"}},
		"steps that fall":                  {spec: rollout("steps: [{weight: 10}, {weight: '9.5'}]"), want: []string{"spec.rollout.steps", "must rise"}},
		"steps of equal weight":            {spec: rollout("steps: [{weight: 10}, {weight: '10.0'}]"), want: []string{"spec.rollout.steps", "must rise"}},
		"a first step of 100 %":            {spec: rollout("steps: [{weight: 100}]"), want: []string{"spec.rollout.steps", "must begin below 100"}},
		"a step of 0 %":                    {spec: rollout("steps: [{weight: 0}]"), want: []string{"spec.rollout.steps[0].weight", "above 0 and up to 100"}},
		"a step of 101 %":                  {spec: rollout("steps: [{weight: 101}]"), want: []string{"spec.rollout.steps[0].weight", "above 0 and up to 100"}},
		"a step of 100.5 %":                {spec: rollout("steps: [{weight: '100.5'}]"), want: []string{"spec.rollout.steps[0].weight", "above 0 and up to 100"}},
		"a step of five places":            {spec: rollout("steps: [{weight: '0.00001'}]"), want: []string{"spec.rollout.steps[0].weight", "up to four places"}},
		"a step with a sign":               {spec: rollout("steps: [{weight: 10%}]"), want: []string{"spec.rollout.steps[0].weight", "decimal number in quotes"}},
		"a step that holds for no time":    {spec: rollout("steps: [{weight: 1, hold: 0s}]"), want: []string{"spec.rollout.steps[0].hold", "at least 1s"}},
		"a step with another approval":     {spec: rollout("steps: [{weight: 1, approval: Maybe}]"), want: []string{"spec.rollout.steps[0].approval", `"Required"`}},
		"an unknown source of calls":       {spec: analysis("source: Datadog"), want: []string{"spec.rollout.analysis.source", `"Prometheus"`}},
		"Envoy's statistics of no Gateway": {spec: with("{gateway: null, xds: {}, rollout: {workloadRef: {name: a}, analysis: {source: Envoy}}}"), want: []string{"spec", "rollout.analysis.source Envoy", "set gateway"}},
		"load reports of nobody":           {spec: analysis("source: LoadReports"), want: []string{"spec", "rollout.analysis.source LoadReports", "set xds"}},
		"Prometheus without its queries":   {spec: analysis("source: Prometheus"), want: []string{"spec.rollout.analysis", "prometheus is required"}},
		"pods without a port":              {spec: analysis("source: Workload"), want: []string{"spec.rollout.analysis", "workload is required"}},
		"pods' metrics at no port":         {spec: analysis("workload: {port: 0}"), want: []string{"workload.port", "from 1 to 65535"}},
		"pods' metrics at a port's IP":     {spec: analysis("workload: {port: '10.0.0.1'}"), want: []string{"workload.port", "such as metrics"}},
		"pods' metrics at a URL":           {spec: analysis("workload: {port: 80, path: 'http://a'}"), want: []string{"workload.path", "starts with /"}},
		"pods' metrics by a query":         {spec: analysis("workload: {port: 80, calls: 'sum(a)'}"), want: []string{"workload.calls", "name of a metric"}},
		"an empty query for calls begun":   {spec: analysis("prometheus: {address: 'https://p:9090', calls: a, errors: b, begun: ''}"), want: []string{"prometheus.begun"}},
		"pods' latencies by a query":       {spec: analysis("workload: {port: 80, latencies: 'a{b=\"c\"}'}"), want: []string{"workload.latencies", "name of a metric"}},
		"a label that is none":             {spec: analysis("workload: {port: 80, codeLabel: 'a:b'}"), want: []string{"workload.codeLabel", "name of a label"}},
		"false rollbacks of 0":             {spec: analysis("falseRollbacks: '0.0'"), want: []string{"spec.rollout.analysis.falseRollbacks", "above 0 and below 0.5"}},
		"false rollbacks of a half":        {spec: analysis("falseRollbacks: '0.5'"), want: []string{"spec.rollout.analysis.falseRollbacks", "above 0 and below 0.5"}},
		"false rollbacks in percent":       {spec: analysis("falseRollbacks: 1%"), want: []string{"spec.rollout.analysis.falseRollbacks", "decimal number in quotes"}},
		"an unknown policy of doubt":       {spec: analysis("whenUndecided: Guess"), want: []string{"spec.rollout.analysis.whenUndecided", `"Hold", "Advance", "RollBack"`}},
		"a longest hold of no time":        {spec: analysis("maxHold: 0s"), want: []string{"spec.rollout.analysis.maxHold", "at least 1s"}},
		"a ratio below 1":                  {spec: analysis("errors: {tolerate: {ratio: '0.9'}}"), want: []string{"errors.tolerate.ratio", "from 1 to 10"}},
		"a tolerance of 100 %":             {spec: analysis("errors: {tolerate: {percent: '100'}}"), want: []string{"errors.tolerate.percent", "below 100"}},
		"nothing to prove":                 {spec: analysis("errors: {prove: {percent: '0'}}"), want: []string{"errors.prove", "percent must be above 0, such as"}},
		"proof by a ratio alone":           {spec: analysis("errors: {prove: {ratio: '3', percent: '0.0000'}}"), want: []string{"errors.prove", "exactly alike can never be proved"}},
		"a first weight beside steps":      {spec: rollout("maxFirstWeight: 10, steps: [{weight: 10}]"), want: []string{"spec.rollout", "maxFirstWeight must not be set with steps"}},
		"a first weight of 60 %":           {spec: rollout("maxFirstWeight: 60"), want: []string{"spec.rollout.maxFirstWeight", "above 0 and up to 50"}},
		"a first weight of 50.1 %":         {spec: rollout("maxFirstWeight: '50.1'"), want: []string{"spec.rollout.maxFirstWeight", "above 0 and up to 50"}},
		"a first weight of 0 %":            {spec: rollout("maxFirstWeight: 0"), want: []string{"spec.rollout.maxFirstWeight", "above 0 and up to 50"}},
		"a first weight with a sign":       {spec: rollout("maxFirstWeight: 10%"), want: []string{"spec.rollout.maxFirstWeight", "decimal number in quotes"}},
		"a canary's error bound of 0 %":    {spec: analysis("errors: {maxPercent: '0'}"), want: []string{"errors.maxPercent", "above 0 and below 100"}},
		"an unknown code":                  {spec: analysis("errors: {codes: [OK]}"), want: []string{"errors.codes[0]", `"DeadlineExceeded"`}},
		"a slowdown over 100 %":            {spec: analysis("latency: {slowdownPercent: 101}"), want: []string{"latency.slowdownPercent", "100"}},
		"a webhook without a scheme":       {spec: analysis("webhooks: [{name: a, url: gates.example.com}]"), want: []string{"webhooks[0].url", "must be a URL"}},
		"two webhooks of one name":         {spec: analysis("webhooks: [{name: a, url: 'https://a'}, {name: a, url: 'https://b'}]"), want: []string{"webhooks[1]", "Duplicate"}},
		"a webhook's timeout over 1m":      {spec: analysis("webhooks: [{name: a, url: 'https://a', timeout: 61s}]"), want: []string{"webhooks[0].timeout", "must be at most 1m"}},
		"a webhook's timeout without unit": {spec: analysis("webhooks: [{name: a, url: 'https://a', timeout: '10'}]"), want: []string{"webhooks[0].timeout", "such as 250ms"}},

		"an override that is a list":    {spec: override("Gateway", "[]"), want: []string{"spec.overrides[0].patch", "object"}},
		"an override that is a text":    {spec: override("Gateway", "no"), want: []string{"spec.overrides[0].patch", "object"}},
		"an override of what is ours":   {spec: override("Service", "{}"), want: []string{"spec.overrides[0].kind", `"Gateway"`}},
		"two overrides of one kind":     {spec: with("overrides: [{kind: Gateway, patch: {}}, {kind: Gateway, patch: {}}]"), want: []string{"spec.overrides[1]", "Duplicate"}},
		"an override of the name":       {spec: override("Gateway", "{metadata: {name: other}}"), want: []string{`unknown field "spec.overrides[0].patch.metadata.name"`}},
		"an override of the owner":      {spec: override("Gateway", "{metadata: {ownerReferences: []}}"), want: []string{"spec.overrides[0].patch.metadata.ownerReferences"}},
		"an override of the kind":       {spec: override("Gateway", "{kind: Pod}"), want: []string{`unknown field "spec.overrides[0].patch.kind"`}},
		"an override of the backends":   {spec: override("GRPCRoute", "{spec: {rules: []}}"), want: []string{"spec.overrides[0]", "patch.spec.rules must not be set", "spec.backends"}},
		"an override of the parents":    {spec: override("GRPCRoute", "{spec: {parentRefs: []}}"), want: []string{"patch.spec.parentRefs must not be set"}},
		"an override of the hosts":      {spec: override("GRPCRoute", "{spec: {hostnames: [bank.example.com]}}"), want: []string{"patch.spec.hostnames must not be set", "spec.hostnames"}},
		"an override of the address":    {spec: override("Gateway", "{spec: {addresses: [{value: 10.0.0.1}]}}"), want: []string{"patch.spec.addresses must not be set", "spec.gateway.parentRef"}},
		"an override of the finalizers": {spec: override("GRPCRoute", "{metadata: {finalizers: [a.b/c]}}"), want: []string{`unknown field "spec.overrides[0].patch.metadata.finalizers"`}},
		"an override of the target":     {spec: override("BackendTrafficPolicy", "{spec: {targetRefs: []}}"), want: []string{"targetRefs", "must not be set"}},
		"an override of the class":      {spec: override("Gateway", "{spec: {gatewayClassName: a}}"), want: []string{"patch.spec.gatewayClassName must not be set"}},
		"an override of the parameters": {spec: override("Gateway", "{spec: {infrastructure: {parametersRef: {name: a}}}}"), want: []string{"parametersRef must not be set"}},
		"an override of the patches":    {spec: override("EnvoyPatchPolicy", "{spec: {jsonPatches: []}}"), want: []string{"patch.spec.jsonPatches must not be set"}},

		"a name of 63 characters":     {name: strings.Repeat("a", 63), spec: minimal, want: []string{"metadata.name must be at most 40 characters", "shorter name"}},
		"a name of 41 characters":     {name: strings.Repeat("a", 41), spec: minimal, want: []string{"metadata.name must be at most 40 characters"}},
		"a name with a dot":           {name: "greeter.v1", spec: minimal, want: []string{"metadata.name", "without dots"}},
		"a name that starts with a 1": {name: "1greeter", spec: minimal, want: []string{"metadata.name must start with a lower-case letter"}},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			object := exposedService(namespace, test.name, test.spec)
			err := kube.Create(context.Background(), object, client.DryRunAll)
			if err == nil {
				t.Fatal("it was taken")
			}
			t.Log(err)
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
}

// TestGoodInputIsTaken is the other half: what looks unusual and is right.
func TestGoodInputIsTaken(t *testing.T) {
	kube := apiserver.Client(t)
	namespace := apiserver.Namespace(t, kube)
	tests := map[string]struct{ name, spec string }{
		"the least":                          {spec: minimal},
		"a name of 40 characters":            {name: strings.Repeat("a", 40), spec: minimal},
		"eight backends":                     {spec: withBackends(8)},
		"errors by load reports":             {spec: with("gateway: null\nxds: {}\nfailover: {errors: {maxPercent: '5', source: LoadReports}}")},
		"another namespace's twin":           {spec: with("backends: [{name: a, service: {name: s, port: 1}}, {name: b, service: {name: s, namespace: eu, port: 1}}]")},
		"two ports of one Service":           {spec: with("backends: [{name: a, service: {name: s, port: 1}}, {name: b, service: {name: s, port: 2}}]")},
		"a wildcard host":                    {spec: with("hostnames: ['*.example.com', localhost]")},
		"a rule of headers alone":            {spec: rule("{headers: [{name: x-tenant, value: 'gold|silver', type: RegularExpression}]}")},
		"any service by expression":          {spec: rule("{type: RegularExpression, service: '.+', method: 'Get.*'}")},
		"64 matches":                         {spec: with("rules: [" + strings.Repeat("{matches: ["+strings.Repeat("{service: a.B},", 16)+"]},", 4) + "]")},
		"no retries":                         {spec: with("traffic: {retry: {attempts: 0}}")},
		"everything may run twice":           {spec: with("traffic: {retry: {idempotent: true, perTryTimeout: 1s500ms, retryOn: [reset, unavailable]}}")},
		"an override with unknown":           {spec: override("BackendTrafficPolicy", "{metadata: {labels: {a: b}}, spec: {http2: {maxConcurrentStreams: 5}, loadBalancer: null}}")},
		"all of failover":                    {spec: with("failover: {strategy: Auto, minReadyPercent: 50, errors: {maxPercent: '0.5'}, recovery: {healthyFor: 1m, ramp: [1, 10, 100], rampInterval: 1500ms}, maxSwitchesPerHour: 3, pin: primary}")},
		"the least rollout":                  {spec: rollout("")},
		"a canary on another port":           {spec: with("rollout: {canary: {service: {name: greeter, port: 50052}}, revision: '2'}")},
		"the platform's Prometheus":          {spec: asking("server: metrics-2, calls: a, errors: b")},
		"a Prometheus without TLS":           {spec: asking("address: 'http://p:9090', calls: a, errors: b, caSecretRef: {name: s, key: k}")},
		"a token over TLS":                   {spec: asking("address: 'https://p:9090', calls: a, errors: b, bearerTokenSecretRef: {name: s, key: k}, caSecretRef: {name: s, key: k}")},
		"the platform's, for a rollout":      {spec: analysis("prometheus: {server: metrics, calls: a, errors: b}")},
		"Envoy's own statistics":             {spec: with("failover: {errors: {maxPercent: '5', source: Envoy}}")},
		"load reports of clients":            {spec: with("{gateway: null, xds: {}, rollout: {workloadRef: {name: a}, analysis: {source: LoadReports}}, failover: {errors: {maxPercent: '5', source: LoadReports}}}")},
		"a try shorter than the call":        {spec: with("traffic: {requestTimeout: 1m1s, retry: {idempotent: true, perTryTimeout: 1m}}")},
		"a try, and no bound of the call":    {spec: with("traffic: {requestTimeout: 0s, retry: {idempotent: true, perTryTimeout: 1s}}")},
		"no bounds, where there may be none": {spec: with("traffic: {requestTimeout: 0s, retry: {idempotent: true, perTryTimeout: 0s}, loadBalancer: {slowStart: 0s}}")},
		"a rollout of a canary":              {spec: with("rollout: {canary: {service: {name: c, port: 1}}, revision: 2.4.0, paused: true}")},
		"a rollout of all sizes":             {spec: rollout("steps: [{weight: '0.0001', hold: 1m}, {weight: 1}, {weight: '12.5', approval: Required}, {weight: 100}], trackConfig: true")},
		"all of the pods' metrics":           {spec: analysis("source: Workload, workload: {port: metrics, path: /stats, calls: 'a:b_c', codeLabel: code, latencies: t}")},
		"a first weight of a half":           {spec: rollout("maxFirstWeight: 50")},
		"a first weight of 0.5 %":            {spec: rollout("maxFirstWeight: '0.5', paused: true")},
		"a proof of a ratio":                 {spec: analysis("errors: {prove: {ratio: '1'}}")},
		"a proof of a percentage":            {spec: analysis("errors: {prove: {percent: '0.0001'}}")},
		"the pods' metrics by number":        {spec: analysis("workload: {port: 65535}")},
		"a webhook's timeout of 1m":          {spec: analysis("webhooks: [{name: a, url: 'https://a', timeout: 1m}, {name: b, url: 'https://b', timeout: 59s999ms}]")},
		"all of an analysis":                 {spec: analysis("source: Prometheus, prometheus: {address: 'https://p:9090', calls: a, errors: b, begun: d, latencies: c}, errors: {tolerate: {ratio: '1', percent: '0'}, prove: {ratio: '3', percent: '1'}, maxPercent: '5', codes: [Internal, NotFound]}, latency: {slowdownPercent: 0}, falseRollbacks: '0.499', whenUndecided: Advance, maxHold: 30m, warmUp: 0s, mustHaveTraffic: true, webhooks: [{name: a, url: 'https://gates.example.com/x', timeout: 3s, secretRef: {name: s, key: k}, caBundle: QQ==}]")},
		"a Service of other clusters":        {spec: with("backends: [{name: a, service: {name: s, port: 1}}, {name: b, serviceImport: {name: s, port: 1}}]")},
		"a PDB in percent":                   {spec: with("gateway: {className: a, proxy: {podDisruptionBudget: {maxUnavailable: 50%}}}")},
		"xds alone":                          {spec: with("{gateway: null, xds: {port: 9090}}")},
		"xds for gRPC clients alone":         {spec: with("{gateway: null, xds: {}}")},
		"a gateway and xds":                  {spec: with("xds: {port: 9090}")},
		"a shared Gateway elsewhere":         {spec: with("gateway: {parentRef: {name: public, namespace: infra, sectionName: grpc}}")},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			if err := kube.Create(context.Background(), exposedService(namespace, test.name, test.spec), client.DryRunAll); err != nil {
				t.Error(err)
			}
		})
	}
}

// exposedService is built without our types, as a user's YAML is.
func exposedService(namespace, name, spec string) *unstructured.Unstructured {
	if name == "" {
		name = "greeter"
	}
	object := &unstructured.Unstructured{Object: map[string]any{}}
	fields := map[string]any{}
	mustUnmarshal(spec, &fields)
	object.Object["spec"] = fields
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: "headgate.dev", Version: "v1alpha1", Kind: "ExposedService"})
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}
