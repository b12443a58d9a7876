package workload

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const spelledOut = `
metadata:
  creationTimestamp: null
  labels: {app: greeter, pod-template-hash: 5d8c7b9f66}
  annotations: {headgate.dev/config: deadbeef}
spec:
  restartPolicy: Always
  dnsPolicy: ClusterFirst
  schedulerName: default-scheduler
  terminationGracePeriodSeconds: 30
  serviceAccountName: greeter
  serviceAccount: greeter
  securityContext: {}
  initContainers:
  - {name: sidecar, image: proxy@sha256:0000000000000000000000000000000000000000000000000000000000000000, restartPolicy: Always, imagePullPolicy: IfNotPresent, resources: {}, terminationMessagePath: /dev/termination-log, terminationMessagePolicy: File}
  containers:
  - name: greeter
    image: registry.example.com:5000/greeter:1.2.0
    imagePullPolicy: IfNotPresent
    resources: {}
    terminationMessagePath: /dev/termination-log
    terminationMessagePolicy: File
    ports: [{containerPort: 50051, protocol: TCP}]
    env: [{name: POD, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.name}}}]
    readinessProbe: {grpc: {port: 50051, service: ""}, timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3}
    livenessProbe: {httpGet: {path: /, port: 8080, scheme: HTTP}, timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3}
    lifecycle: {preStop: {httpGet: {path: /, port: 8080, scheme: HTTP}}}
  - {name: tool, image: tool, imagePullPolicy: Always, terminationMessagePath: /dev/termination-log, terminationMessagePolicy: File}
  volumes:
  - {name: config, configMap: {name: greeter, defaultMode: 420}}
  - {name: scratch, emptyDir: {}}
  - {name: host, hostPath: {path: /tmp, type: ""}}
  - {name: all, projected: {defaultMode: 420, sources: [{serviceAccountToken: {path: token, expirationSeconds: 3600}}, {downwardAPI: {items: [{path: name, fieldRef: {apiVersion: v1, fieldPath: metadata.name}}]}}]}}
`

const asWritten = `
metadata:
  labels: {app: greeter}
spec:
  serviceAccountName: greeter
  initContainers:
  - {name: sidecar, image: proxy@sha256:0000000000000000000000000000000000000000000000000000000000000000, restartPolicy: Always}
  containers:
  - name: greeter
    image: registry.example.com:5000/greeter:1.2.0
    ports: [{containerPort: 50051}]
    env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
    readinessProbe: {grpc: {port: 50051}}
    livenessProbe: {httpGet: {port: 8080}}
    lifecycle: {preStop: {httpGet: {port: 8080}}}
  - {name: tool, image: tool}
  volumes:
  - {name: config, configMap: {name: greeter}}
  - {name: scratch}
  - {name: host, hostPath: {path: /tmp}}
  - {name: all, projected: {sources: [{serviceAccountToken: {path: token}}, {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]}}
`

func TestRevisionDoesNotDependOnDefaults(t *testing.T) {
	const want = "5362ffc649" // It stands in the status of rollouts that are under way: another one would start them over.
	for name, text := range map[string]string{"as written": asWritten, "spelled out": spelledOut} {
		if got := revisionOf(t, template(t, text)); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
	}
}

// A change of anything that pods can notice is another revision.
func TestRevisionChangesWithTheTemplate(t *testing.T) {
	before := revisionOf(t, template(t, spelledOut))
	for name, change := range map[string]func(*corev1.PodTemplateSpec){
		"image":       func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Image += "-1" },
		"pull policy": func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].ImagePullPolicy = corev1.PullAlways },
		"order of env": func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers[0].Env = append([]corev1.EnvVar{{Name: "A"}}, p.Spec.Containers[0].Env...)
		},
		"probe's period": func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].ReadinessProbe.PeriodSeconds = 5 },
		"probe's service": func(p *corev1.PodTemplateSpec) {
			service := "readiness"
			p.Spec.Containers[0].ReadinessProbe.GRPC.Service = &service
		},
		"grace period": func(p *corev1.PodTemplateSpec) { *p.Spec.TerminationGracePeriodSeconds = 60 },
		"sidecar":      func(p *corev1.PodTemplateSpec) { p.Spec.InitContainers[0].RestartPolicy = nil },
		"service account": func(p *corev1.PodTemplateSpec) {
			p.Spec.ServiceAccountName, p.Spec.DeprecatedServiceAccount = "other", "other"
		},
		"volume":            func(p *corev1.PodTemplateSpec) { p.Spec.Volumes[0].ConfigMap.Name = "other" },
		"mode of a volume":  func(p *corev1.PodTemplateSpec) { *p.Spec.Volumes[0].ConfigMap.DefaultMode = 0o600 },
		"label":             func(p *corev1.PodTemplateSpec) { p.Labels["tier"] = "edge" },
		"a rollout restart": func(p *corev1.PodTemplateSpec) { p.Annotations["kubectl.kubernetes.io/restartedAt"] = "now" },
	} {
		changed := template(t, spelledOut)
		change(changed)
		if revisionOf(t, changed) == before {
			t.Errorf("%s: the revision is the same", name)
		}
	}
}

func TestRevisionLeavesTheTemplateAlone(t *testing.T) {
	p := template(t, spelledOut)
	revisionOf(t, p)
	if p.Labels[LabelTemplateHash] == "" || p.Annotations[AnnotationConfig] == "" || p.Spec.RestartPolicy == "" {
		t.Error("the template has changed")
	}
}

func TestDefaultPullPolicyFollowsTheTag(t *testing.T) {
	for image, want := range map[string]string{
		"greeter": "Always", "greeter:latest": "Always", "greeter:1": "IfNotPresent", "greeter@sha256:0": "IfNotPresent",
		"registry:5000/greeter": "Always", "registry:5000/greeter:1": "IfNotPresent", "greeter:latest@sha256:0": "Always",
	} {
		if got := defaultPullPolicy(image); got != want {
			t.Errorf("%s: %s, not %s", image, got, want)
		}
	}
}

func TestConfigNamesAreAllThatATemplateTakesConfigurationFrom(t *testing.T) {
	p := template(t, `
spec:
  imagePullSecrets: [{name: registry}]
  volumes:
  - {name: a, configMap: {name: volume}}
  - {name: b, secret: {secretName: certificate}}
  - {name: c, projected: {sources: [{configMap: {name: projected}}, {secret: {name: token}}]}}
  initContainers:
  - {name: init, envFrom: [{configMapRef: {name: init}}]}
  containers:
  - name: greeter
    envFrom: [{secretRef: {name: environment}}, {configMapRef: {name: volume}}]
    env:
    - {name: A, value: b}
    - {name: B, valueFrom: {configMapKeyRef: {name: single, key: k}}}
    - {name: C, valueFrom: {secretKeyRef: {name: password, key: k}}}
`)
	configMaps, secrets := ConfigNames(p)
	if want := []string{"init", "projected", "single", "volume"}; !slices.Equal(configMaps, want) {
		t.Errorf("ConfigMaps: %v, not %v", configMaps, want)
	}
	if want := []string{"certificate", "environment", "password", "token"}; !slices.Equal(secrets, want) {
		t.Errorf("Secrets: %v, not %v", secrets, want)
	}
}

func TestConfigHashIsOfContentsAlone(t *testing.T) {
	a := corev1.ConfigMap{Data: map[string]string{"k": "v", "l": "w"}}
	b := corev1.ConfigMap{BinaryData: map[string][]byte{"k": {0, 1}}}
	s := corev1.Secret{Data: map[string][]byte{"k": []byte("v")}}
	s.UID = "one"
	configA, configB := Config{Kind: "ConfigMap", Name: "a", Digest: ConfigMapDigest(&a)}, Config{Kind: "ConfigMap", Name: "b", Digest: ConfigMapDigest(&b)}
	secret := Config{Kind: "Secret", Name: "a", Digest: SecretDigest(&s)}
	before := ConfigHash([]Config{configA, secret, configB}, "salt")
	if len(before) != 8 {
		t.Fatalf("%q", before)
	}
	touched := a
	touched.ResourceVersion, touched.Annotations = "7", map[string]string{"a": "b"}
	again := s
	again.UID = "two"
	left := Config{Kind: "ConfigMap", Name: "c", Digest: "any", Left: true}
	for name, got := range map[string]string{
		"metadata":            ConfigHash([]Config{{Kind: "ConfigMap", Name: "a", Digest: ConfigMapDigest(&touched)}, secret, configB}, "salt"),
		"the order":           ConfigHash([]Config{configB, configA, secret}, "salt"),
		"a Secret made again": ConfigHash([]Config{configA, configB, {Kind: "Secret", Name: "a", Digest: SecretDigest(&again)}}, "salt"),
		"one that is left":    ConfigHash([]Config{configA, left, configB, secret}, "salt"),
	} {
		if got != before {
			t.Errorf("%s changes it: %s, %s", name, before, got)
		}
	}
	moved := a
	moved.Data = map[string]string{"k": "vl", "": "w"}
	for name, got := range map[string]string{
		"contents that moved":     ConfigHash([]Config{{Kind: "ConfigMap", Name: "a", Digest: ConfigMapDigest(&moved)}, configB, secret}, "salt"),
		"contents of another":     ConfigHash([]Config{{Kind: "ConfigMap", Name: "b", Digest: configA.Digest}, {Kind: "ConfigMap", Name: "a", Digest: configB.Digest}, secret}, "salt"),
		"one that is missing":     ConfigHash([]Config{configA, {Kind: "ConfigMap", Name: "b"}, secret}, "salt"),
		"one that is not named":   ConfigHash([]Config{configA, secret}, "salt"),
		"another salt":            ConfigHash([]Config{configA, configB, secret}, "pepper"),
		"nothing that is tracked": ConfigHash(nil, "salt"),
	} {
		if got == before {
			t.Errorf("%s: the same hash", name)
		}
	}
	if ConfigHash([]Config{{Kind: "ConfigMap", Name: "a"}}, "salt") == "" {
		t.Error("one that is missing hashes to nothing, and making it would pass for turning trackConfig on")
	}
	if ConfigHash([]Config{left}, "salt") != "" {
		t.Error("one that is left out makes a configuration")
	}
}

func template(t *testing.T, text string) *corev1.PodTemplateSpec {
	t.Helper()
	var out corev1.PodTemplateSpec
	if err := yaml.UnmarshalStrict([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func revisionOf(t *testing.T, p *corev1.PodTemplateSpec) string {
	t.Helper()
	revision, err := Revision(p, "")
	if err != nil {
		t.Fatal(err)
	}
	return revision
}
