package deployments

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// trackedConfig is what is known of the configuration that belongs to a revision.
type trackedConfig struct {
	// hash is of the configuration as it is now; empty: none is tracked.
	hash string
	// why says why it is not known; empty: it is.
	why string
	// stable is what pods are taken to run whose template does not say: they are from before the first
	// promotion.
	stable string
}

// readConfig follows the ConfigMaps and Secrets that the pod template names, with trackConfig.
func (f *Follower) readConfig(exs *v1alpha1.ExposedService, state State) trackedConfig {
	key := client.ObjectKeyFromObject(exs)
	spec, d := exs.Spec.Rollout, state.deployment
	if spec == nil || !ptr.Deref(spec.TrackConfig, false) || d == nil || state.rival != nil {
		f.Config.forget(key)
		return trackedConfig{}
	}
	named := configRefs(d)
	f.Config.follow(key, named)
	configs, why := f.Config.configs(named)
	out := trackedConfig{hash: workload.ConfigHash(configs, string(exs.UID)), why: why, stable: stableConfig(exs)}
	if why != "" {
		out.hash = ""
	}
	return out
}

func configRefs(d *appsv1.Deployment) []configRef {
	configMaps, secrets := workload.ConfigNames(&d.Spec.Template)
	out := make([]configRef, 0, len(configMaps)+len(secrets))
	for _, name := range configMaps {
		out = append(out, configRef{kindNameConfigMap, types.NamespacedName{Namespace: d.Namespace, Name: name}})
	}
	for _, name := range secrets {
		out = append(out, configRef{kindNameSecret, types.NamespacedName{Namespace: d.Namespace, Name: name}})
	}
	return out
}

func stableConfig(exs *v1alpha1.ExposedService) string {
	if exs.Status.Rollout == nil {
		return ""
	}
	return rollout.ConfigOf(exs.Status.Rollout.Stable)
}

// of is the configuration that the pods of a template were started with.
func (c trackedConfig) of(template *corev1.PodTemplateSpec) string {
	switch said := template.Annotations[workload.AnnotationConfig]; {
	case c.hash == "":
		return ""
	case said != "":
		return said
	case c.stable != "":
		return c.stable
	}
	return c.hash
}
