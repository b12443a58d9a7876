package load

import (
	"regexp"
	"strings"
)

// OtherGroup is the group of pods that no prefix matches.
const OtherGroup = "other"

// deploymentPod matches the pods of a Deployment: its name, the hash of the template
// and five characters, both in the alphabet that Kubernetes draws names from
// (k8s.io/apimachinery/pkg/util/rand).
var deploymentPod = regexp.MustCompile(`^(.+)-[bcdfghjklmnpqrstvwxz2456789]{1,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$`)

// GroupByDeployment is a Config.Group that names the Deployment of a pod. Pods that
// are not named like a Deployment's are groups of their own.
func GroupByDeployment(pod string) string {
	if match := deploymentPod.FindStringSubmatch(pod); match != nil {
		return match[1]
	}
	return pod
}

// GroupByPrefix returns a Config.Group by prefixes of pod names: prefix to group. The
// longest prefix that matches wins; a pod without one is in OtherGroup.
func GroupByPrefix(groups map[string]string) func(pod string) string {
	return func(pod string) string {
		longest, group := -1, OtherGroup
		for prefix, name := range groups {
			if strings.HasPrefix(pod, prefix) && len(prefix) > longest {
				longest, group = len(prefix), name
			}
		}
		return group
	}
}
