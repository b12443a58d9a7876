package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A quota that forbids the canary is told in the API server's words, and when it is gone the rollout goes on.
func TestACanaryThatAQuotaForbidsIsSaidAndMadeLater(t *testing.T) {
	s := newShop(t)
	s.open()
	s.expose()
	one := corev1.ResourceList{"count/deployments.apps": resource.MustParse("1")}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "small", Namespace: s.namespace}, Spec: corev1.ResourceQuotaSpec{Hard: one}}
	s.create(quota)
	// No test has the controller that counts what is used.
	quota.Status = corev1.ResourceQuotaStatus{Hard: one, Used: one}
	if err := s.kube.Status().Update(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	s.ship("app:2")
	s.eventually("a condition says so", func() error {
		if err := s.read(s.exs); err != nil {
			return err
		}
		if !slices.ContainsFunc(s.exs.Status.Conditions, func(c metav1.Condition) bool {
			return strings.Contains(c.Message, shopCanary) && strings.Contains(c.Message, "exceeded quota: small")
		}) {
			return fmt.Errorf("conditions are %+v", s.exs.Status.Conditions)
		}
		return nil
	})
	s.delete(quota)
	s.promoted("app:2")
}
