package workload

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// AnnotationConfig is put on the Deployment's pod template with trackConfig: it makes a rolling update of changed configuration.
const AnnotationConfig = "headgate.dev/config"

// LabelTemplateHash is what Kubernetes adds to the pod templates of ReplicaSets.
const LabelTemplateHash = "pod-template-hash"

const (
	// templateBytes is how much of a template's hash is in a revision: 10 hexadecimal digits. A Deployment sees a few thousand
	// templates in its life, of which two are alike with a probability below one in a hundred thousand.
	templateBytes = 5
	configBytes   = 4
)

// Revision names a pod template: a hash that is the same for all templates that the API server takes for the same. It does not
// matter whether defaults are spelled out, so that another version of the API server, or a ReplicaSet's copy of the template, has the
// same revision. With a config hash (of ConfigHash) that is added after a dash.
func Revision(template *corev1.PodTemplateSpec, config string) (string, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(template)
	if err != nil {
		return "", fmt.Errorf("convert a pod template: %w", err)
	}
	withoutDefaults(fields)
	// Maps are written in the order of their keys.
	text, err := json.Marshal(fields)
	if err != nil {
		return "", fmt.Errorf("write a pod template as JSON: %w", err)
	}
	revision := shortHash(text, templateBytes)
	if config != "" {
		revision += "-" + config
	}
	return revision, nil
}

func shortHash(text []byte, bytes int) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:bytes])
}
