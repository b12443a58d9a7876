package main

import (
	"context"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/scene"
)

// leader is the pod that leads.
func (b *bench) leader(ctx context.Context) (string, error) {
	var lease coordinationv1.Lease
	if err := b.Get(ctx, client.ObjectKey{Namespace: scene.HeadgateNamespace, Name: "headgate"}, &lease); err != nil {
		return "", err
	}
	pod, _, _ := strings.Cut(ptr.Deref(lease.Spec.HolderIdentity, ""), "_")
	return pod, nil
}
