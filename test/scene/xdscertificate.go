package scene

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// xdsCA is the key of a client's Secret with the authority that signs the server's certificate.
const xdsCA = "ca.crt"

// xdsClientSecret is the Secret of the xDS clients of a namespace.
const xdsClientSecret = "xds-client"

// XDSCertificate is the certificate that `kubectl headgate certificate` issues to the xDS clients of a namespace, by the
// chart's own authority: a Secret that has not been made yet.
func XDSCertificate(ctx context.Context, namespace string) (*corev1.Secret, error) {
	printed, err := plugin(ctx, "certificate", xdsClientSecret, "--namespace", namespace)
	if err != nil {
		return nil, err
	}
	out := &corev1.Secret{}
	if err := yaml.UnmarshalStrict(printed, out); err != nil {
		return nil, fmt.Errorf("what kubectl headgate certificate printed: %w", err)
	}
	return out, nil
}
