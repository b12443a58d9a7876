package main

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/headgate/headgate/api/v1alpha1"
)

// readExposedService reads one, and says what to do when that fails.
func readExposedService(ctx context.Context, config *rest.Config, namespace, name string) (*v1alpha1.ExposedService, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.GroupVersion = &v1alpha1.GroupVersion
	config.APIPath = "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, err
	}
	var exs v1alpha1.ExposedService
	err = client.Get().Namespace(namespace).Resource("exposedservices").Name(name).Do(ctx).Into(&exs)
	switch {
	case err == nil:
		return &exs, nil
	case apierrors.IsNotFound(err) && nameless(err):
		return nil, errors.New("this cluster does not know ExposedServices: install Headgate, or choose another cluster with --context")
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("there is no ExposedService %s in namespace %s: see kubectl get exposedservices -A, and give the namespace with -n", name, namespace)
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("you may not read ExposedService %s/%s: ask for a role that allows to get exposedservices.%s in namespace %s",
			namespace, name, v1alpha1.GroupVersion.Group, namespace)
	}
	return nil, fmt.Errorf("reading ExposedService %s/%s: %w", namespace, name, err)
}

// nameless says whether it is the resource that was not found, rather than the object.
func nameless(err error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && (status.ErrStatus.Details == nil || status.ErrStatus.Details.Name == "")
}

// servable says why such a client would get nothing.
func servable(exs *v1alpha1.ExposedService, kind string) error {
	patch := func(value string) string {
		return fmt.Sprintf(`kubectl patch exposedservice %s -n %s --type merge -p '{"spec":{"xds":%s}}'`, exs.Name, exs.Namespace, value)
	}
	switch {
	case exs.Spec.XDS == nil && kind == kindEnvoy:
		return fmt.Errorf("ExposedService %s/%s has no spec.xds, and Headgate serves it to nobody. Turn it on:\n  %s", exs.Namespace, exs.Name, patch(`{"port":9090}`))
	case exs.Spec.XDS == nil:
		return fmt.Errorf("ExposedService %s/%s has no spec.xds, and Headgate serves it to nobody. Turn it on:\n  %s", exs.Namespace, exs.Name, patch(`{}`))
	case exs.Spec.XDS.Port == nil && kind == kindEnvoy:
		return fmt.Errorf("ExposedService %s/%s has no spec.xds.port, so that an Envoy would listen nowhere. Set it:\n  %s", exs.Namespace, exs.Name, patch(`{"port":9090}`))
	}
	return nil
}

// warnings are what is wrong and may be put right while the client waits.
func warnings(exs *v1alpha1.ExposedService) []string {
	var out []string
	if accepted := meta.FindStatusCondition(exs.Status.Conditions, v1alpha1.ConditionAccepted); accepted != nil && accepted.Status == metav1.ConditionFalse {
		out = append(out, fmt.Sprintf("ExposedService %s/%s is not accepted (%s): %s", exs.Namespace, exs.Name, accepted.Reason, accepted.Message))
	}
	return out
}
