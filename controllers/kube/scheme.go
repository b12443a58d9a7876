package kube

import (
	"errors"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	gwapiv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	mcsv1alpha1 "sigs.k8s.io/mcs-api/pkg/apis/v1alpha1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/peers"
)

// NewScheme holds every type that the controllers read or write, and no other.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, metav1.Unversioned)
	peers.AddToScheme(scheme)
	err := errors.Join(
		corev1.AddToScheme(scheme),
		appsv1.AddToScheme(scheme),
		policyv1.AddToScheme(scheme),
		discoveryv1.AddToScheme(scheme),
		networkingv1.AddToScheme(scheme),
		gwapiv1.Install(scheme),
		gwapiv1beta1.Install(scheme),
		egv1a1.AddToScheme(scheme),
		mcsv1alpha1.Install(scheme),
		v1alpha1.AddToScheme(scheme),
	)
	return scheme, err
}
