package controllers

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// taken is a lease that somebody else holds and renews for ever.
type taken struct{}

func (taken) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	now := metav1.Now()
	record := &resourcelock.LeaderElectionRecord{
		HolderIdentity: "somebody else", LeaseDurationSeconds: 3600, AcquireTime: now, RenewTime: now,
	}
	return record, []byte(now.String()), nil
}
func (taken) Create(context.Context, resourcelock.LeaderElectionRecord) error { return nil }
func (taken) Update(context.Context, resourcelock.LeaderElectionRecord) error { return nil }
func (taken) RecordEvent(string)                                              {}
func (taken) Identity() string                                                { return "this one" }
func (taken) Describe() string                                                { return "taken" }
