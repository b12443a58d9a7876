package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pods are those of a controller.
func (b *bench) pods(ctx context.Context, s seat) ([]corev1.Pod, error) {
	var deployment appsv1.Deployment
	if err := b.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.deployment}, &deployment); err != nil {
		return nil, err
	}
	var pods corev1.PodList
	err := b.List(ctx, &pods, client.InNamespace(s.namespace), client.MatchingLabels(deployment.Spec.Selector.MatchLabels))
	return pods.Items, err
}

// leader is the pod that does the work: the holder of the Lease, or the only one.
func (b *bench) leader(ctx context.Context, s seat) (corev1.Pod, error) {
	pods, err := b.pods(ctx, s)
	if err != nil {
		return corev1.Pod{}, err
	}
	holder := ""
	if s.lease != "" {
		var lease coordinationv1.Lease
		if err := b.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.lease}, &lease); err != nil {
			return corev1.Pod{}, err
		}
		// The holder is the pod's name, "_", and something unique.
		holder, _, _ = strings.Cut(ptr.Deref(lease.Spec.HolderIdentity, ""), "_")
	}
	for _, pod := range pods {
		if pod.DeletionTimestamp.IsZero() && (s.lease == "" || pod.Name == holder) {
			return pod, nil
		}
	}
	return corev1.Pod{}, fmt.Errorf("%w: none of %d pods of %s leads", errNotYet, len(pods), s.deployment)
}

// renew replaces all pods of a controller in good order, and waits until a new one leads.
func (b *bench) renew(ctx context.Context, s seat) error {
	pods, err := b.pods(ctx, s)
	if err != nil {
		return err
	}
	old := map[string]bool{}
	for i := range pods {
		old[pods[i].Name] = true
		if err := b.Delete(ctx, &pods[i]); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return until(ctx, settleTime, "a new leader of "+s.deployment, func(ctx context.Context) error {
		pod, err := b.leader(ctx, s)
		if err != nil {
			return err
		}
		if old[pod.Name] {
			return fmt.Errorf("%w: %s leads", errNotYet, pod.Name)
		}
		return b.UntilReady(ctx, s.namespace, s.deployment)
	})
}

// kill sends SIGKILL to the processes of the pod that leads. The local cluster's processes are this machine's.
func (b *bench) kill(ctx context.Context, s seat) error {
	pod, err := b.leader(ctx, s)
	if err != nil {
		return err
	}
	processes, err := processesOf(string(pod.UID))
	if err != nil {
		return err
	}
	if len(processes) == 0 {
		return fmt.Errorf("no process of pod %s runs on this machine: this scenario needs the local cluster", pod.Name)
	}
	for _, process := range processes {
		if err := syscall.Kill(process, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d of pod %s: %w", process, pod.Name, err)
		}
	}
	return nil
}

// processesOf are the processes in the cgroups of a pod, without the one that holds its sandbox.
func processesOf(pod string) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return nil, err
	}
	var out []int
	for _, file := range files {
		groups, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The systemd driver writes underscores.
		if !strings.Contains(strings.ReplaceAll(string(groups), "_", "-"), pod) {
			continue
		}
		home := filepath.Dir(file)
		name, err := os.ReadFile(filepath.Join(home, "comm"))
		if err != nil || strings.TrimSpace(string(name)) == "pause" {
			continue
		}
		process, err := strconv.Atoi(filepath.Base(home))
		if err != nil {
			return nil, err
		}
		out = append(out, process)
	}
	return out, nil
}
