// Package packaging holds the tests of what is installed and read: the Helm chart, the kustomize
// bases, the samples and the documentation.
package packaging
