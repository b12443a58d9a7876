package workload

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// ConfigNames are the ConfigMaps and Secrets that a pod template takes configuration from, in order of their names: volumes, single
// variables and whole environments. Secrets to pull images with are none.
func ConfigNames(template *corev1.PodTemplateSpec) (configMaps, secrets []string) {
	maps, hidden := map[string]bool{}, map[string]bool{}
	spec := &template.Spec
	for i := range spec.Volumes {
		volume := &spec.Volumes[i]
		if volume.ConfigMap != nil {
			maps[volume.ConfigMap.Name] = true
		}
		if volume.Secret != nil {
			hidden[volume.Secret.SecretName] = true
		}
		if volume.Projected != nil {
			addProjected(volume.Projected.Sources, maps, hidden)
		}
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			addEnvironment(&containers[i], maps, hidden)
		}
	}
	return sorted(maps), sorted(hidden)
}

func addProjected(sources []corev1.VolumeProjection, configMaps, secrets map[string]bool) {
	for _, source := range sources {
		if source.ConfigMap != nil {
			configMaps[source.ConfigMap.Name] = true
		}
		if source.Secret != nil {
			secrets[source.Secret.Name] = true
		}
	}
}

func addEnvironment(container *corev1.Container, configMaps, secrets map[string]bool) {
	for _, from := range container.EnvFrom {
		if from.ConfigMapRef != nil {
			configMaps[from.ConfigMapRef.Name] = true
		}
		if from.SecretRef != nil {
			secrets[from.SecretRef.Name] = true
		}
	}
	for _, variable := range container.Env {
		if variable.ValueFrom == nil {
			continue
		}
		if ref := variable.ValueFrom.ConfigMapKeyRef; ref != nil {
			configMaps[ref.Name] = true
		}
		if ref := variable.ValueFrom.SecretKeyRef; ref != nil {
			secrets[ref.Name] = true
		}
	}
}

func sorted(names map[string]bool) []string { return slices.Sorted(maps.Keys(names)) }

// Config is what is known of a ConfigMap or Secret: a digest of its contents. The contents themselves need not be kept.
type Config struct {
	// Kind is ConfigMap or Secret.
	Kind, Name string
	// Digest is of ConfigMapDigest or SecretDigest; empty: it does not exist.
	Digest string
	// Left: its annotation says that it does not belong to a revision.
	Left bool
}

// IsLeft says whether the annotations of an object leave it out of the configuration.
func IsLeft(annotations map[string]string) bool {
	return annotations[v1alpha1.AnnotationTrack] == "false"
}

// ConfigMapDigest is a hash of the contents, in hexadecimal digits.
func ConfigMapDigest(c *corev1.ConfigMap) string { return digest(c.Data, c.BinaryData) }

// SecretDigest is a hash of the contents, in hexadecimal digits. It is for memory alone: who knows it can try out guesses.
func SecretDigest(s *corev1.Secret) string { return digest(nil, s.Data) }

// ConfigHash is a hash of ConfigMaps and Secrets, in any order: 8 hexadecimal digits, or nothing without any. To be made or deleted
// changes it, as a change of contents does.
//
// The salt is the UID of the ExposedService. The hash stands in the status, and goes from there into events, metrics, and the labels and
// annotations of pods. Who reads it there cannot try out guesses of what a Secret holds, and nobody sees that two namespaces have the same.
// Who may read the ExposedService knows the salt, and can: a Secret that can be guessed is not safe from them. Nothing that they do
// not know stays the same when a Secret is made again, as tools do that copy Secrets, and equal contents are to be an equal revision.
func ConfigHash(configs []Config, salt string) string {
	parts := make([]string, 0, len(configs))
	for _, c := range configs {
		if !c.Left {
			parts = append(parts, c.Kind+"/"+c.Name+"="+c.Digest)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return shortHash(fmt.Append(nil, salt, parts), configBytes)
}

// digest is a hash of texts and bytes by key. Lengths keep one from running into the next.
func digest(texts map[string]string, bytes map[string][]byte) string {
	sum := sha256.New()
	write := func(key string, value []byte) { fmt.Fprintf(sum, "%d:%s=%d:%s;", len(key), key, len(value), value) }
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		write(key, []byte(texts[key]))
	}
	for _, key := range slices.Sorted(maps.Keys(bytes)) {
		write(key, bytes[key])
	}
	return hex.EncodeToString(sum.Sum(nil))
}
