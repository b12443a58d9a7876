package main

import (
	"io"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/xds/bootstrap"
)

// writeConfigMap prints the files of an Envoy as a ConfigMap that kubectl applies.
func writeConfigMap(out io.Writer, c bootstrap.Config, files map[string][]byte) error {
	data := make(map[string]string, len(files))
	for name, text := range files {
		data[name] = string(text)
	}
	text, err := yaml.Marshal(corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name + "-envoy"},
		Data:       data,
	})
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}
