package rollout

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// micro is a time as the status holds it.
func micro(t time.Time) *metav1.MicroTime {
	return &metav1.MicroTime{Time: t.UTC().Truncate(time.Microsecond)}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sooner is the earlier of two times, of which the first may be zero: never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return earlier(a, b)
}

// clock is a time for people.
func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }
