package kube

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/headgate/headgate/gateway"
)

// What the API server forbids is told in its own words and tried again seldom; it is no error of Headgate's.
func TestWhatIsForbiddenIsAFailureAndNoError(t *testing.T) {
	service := &corev1.Service{
		TypeMeta: metav1.TypeMeta{Kind: "Service"}, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "svc"},
	}
	var s Step
	s.Refused(gateway.PartRollout, service, apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "svc", errors.New("exceeded quota: small")))
	if len(s.Failures) != 1 || !s.Failures[0].Final || s.Failures[0].Part != gateway.PartRollout || len(s.Errs) > 0 || s.Again != RefusalRetry {
		t.Fatalf("it is taken as %+v", s)
	}
	for _, words := range []string{"Service shop/svc", "exceeded quota: small"} {
		if !strings.Contains(s.Failures[0].Message, words) {
			t.Errorf("it does not say %q: %s", words, s.Failures[0].Message)
		}
	}
}
