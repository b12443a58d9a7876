// Package clusterips says which IP addresses are those of the cluster itself: of its Pods, its Services and its nodes. What users name by a
// host must not lead there.
package clusterips
