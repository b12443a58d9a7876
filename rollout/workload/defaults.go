package workload

import (
	"reflect"
	"strings"
)

// fields is a JSON object.
type fields = map[string]any

// withoutDefaults removes from a pod template what the API server adds to it by itself, and what Kubernetes and Headgate put on it.
// The defaults are those of the core/v1 API; a template that spells one out means the same.
func withoutDefaults(template fields) {
	withoutNulls(template)
	if metadata, ok := template["metadata"].(fields); ok {
		removeKey(metadata, "labels", LabelTemplateHash)
		removeKey(metadata, "annotations", AnnotationCanaryOf)
		removeKey(metadata, "annotations", AnnotationConfig)
	}
	dropEmpty(template, "metadata")

	spec, ok := template["spec"].(fields)
	if !ok {
		return
	}
	for key, value := range map[string]any{
		"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
		"terminationGracePeriodSeconds": int64(30), "enableServiceLinks": true,
	} {
		dropDefault(spec, key, value)
	}
	dropDefault(spec, "serviceAccount", spec["serviceAccountName"]) // the old name of the same field
	dropEmpty(spec, "securityContext")
	for _, list := range []string{"containers", "initContainers"} {
		for _, container := range objects(spec[list]) {
			containerWithoutDefaults(container)
		}
	}
	for _, volume := range objects(spec["volumes"]) {
		volumeWithoutDefaults(volume)
	}
}

func containerWithoutDefaults(container fields) {
	dropDefault(container, "terminationMessagePath", "/dev/termination-log")
	dropDefault(container, "terminationMessagePolicy", "File")
	image, _ := container["image"].(string)
	dropDefault(container, "imagePullPolicy", defaultPullPolicy(image))
	dropEmpty(container, "resources")
	for _, port := range objects(container["ports"]) {
		dropDefault(port, "protocol", "TCP")
	}
	for _, variable := range objects(container["env"]) {
		if from, ok := variable["valueFrom"].(fields); ok {
			fieldRefWithoutDefaults(from)
		}
	}
	for _, name := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
		if probe, ok := container[name].(fields); ok {
			probeWithoutDefaults(probe)
		}
	}
	if lifecycle, ok := container["lifecycle"].(fields); ok {
		for _, hook := range []string{"postStart", "preStop"} {
			if handler, ok := lifecycle[hook].(fields); ok {
				httpWithoutDefaults(handler)
			}
		}
	}
}

func probeWithoutDefaults(probe fields) {
	for key, value := range map[string]int64{"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3} {
		dropDefault(probe, key, value)
	}
	if grpc, ok := probe["grpc"].(fields); ok {
		dropDefault(grpc, "service", "")
	}
	httpWithoutDefaults(probe)
}

func httpWithoutDefaults(handler fields) {
	if get, ok := handler["httpGet"].(fields); ok {
		dropDefault(get, "scheme", "HTTP")
		dropDefault(get, "path", "/")
	}
}

func fieldRefWithoutDefaults(from fields) {
	if ref, ok := from["fieldRef"].(fields); ok {
		dropDefault(ref, "apiVersion", "v1")
	}
}

func volumeWithoutDefaults(volume fields) {
	const defaultMode = int64(0o644)
	for _, source := range []string{"configMap", "secret", "downwardAPI", "projected"} {
		if s, ok := volume[source].(fields); ok {
			dropDefault(s, "defaultMode", defaultMode)
			for _, item := range objects(s["items"]) {
				fieldRefWithoutDefaults(item)
			}
		}
	}
	if projected, ok := volume["projected"].(fields); ok {
		for _, source := range objects(projected["sources"]) {
			projectionWithoutDefaults(source)
		}
	}
	if path, ok := volume["hostPath"].(fields); ok {
		dropDefault(path, "type", "")
	}
	// A volume without a source is an empty directory.
	if empty, ok := volume["emptyDir"].(fields); ok && len(empty) == 0 {
		delete(volume, "emptyDir")
	}
}

func projectionWithoutDefaults(source fields) {
	if token, ok := source["serviceAccountToken"].(fields); ok {
		dropDefault(token, "expirationSeconds", int64(3600))
	}
	if downward, ok := source["downwardAPI"].(fields); ok {
		for _, item := range objects(downward["items"]) {
			fieldRefWithoutDefaults(item)
		}
	}
}

// defaultPullPolicy is Always for the tag latest, and for images without tag and digest.
func defaultPullPolicy(image string) string {
	name, _, digest := strings.Cut(image, "@")
	tag := ""
	if at := strings.LastIndex(name, ":"); at > strings.LastIndex(name, "/") {
		tag = name[at+1:]
	}
	if tag == "latest" || tag == "" && !digest {
		return "Always"
	}
	return "IfNotPresent"
}

// withoutNulls removes fields that are null, which means the same as not being there.
func withoutNulls(value any) {
	switch v := value.(type) {
	case fields:
		for key, inner := range v {
			if inner == nil {
				delete(v, key)
				continue
			}
			withoutNulls(inner)
		}
	case []any:
		for _, inner := range v {
			withoutNulls(inner)
		}
	}
}

func dropDefault(in fields, key string, value any) {
	if have, ok := in[key]; ok && reflect.DeepEqual(have, value) {
		delete(in, key)
	}
}

// dropEmpty removes an object without fields where it means the same as none.
func dropEmpty(in fields, key string) {
	if object, ok := in[key].(fields); ok && len(object) == 0 {
		delete(in, key)
	}
}

func removeKey(in fields, object, key string) {
	if inner, ok := in[object].(fields); ok {
		delete(inner, key)
		dropEmpty(in, object)
	}
}

// objects are the members of a list of objects.
func objects(list any) []fields {
	items, ok := list.([]any)
	if !ok {
		return nil
	}
	var out []fields
	for _, item := range items {
		if object, ok := item.(fields); ok {
			out = append(out, object)
		}
	}
	return out
}
