{{- define "headgate.xds.name" -}}
{{- printf "%s-xds" (include "headgate.fullname" .) }}
{{- end }}

{{/* The Secret with the server's certificate and its key. */}}
{{- define "headgate.xds.serverSecret" -}}
{{- default (printf "%s-tls" (include "headgate.xds.name" .)) .Values.xds.certificates.secretName }}
{{- end }}

{{/* The clients' authority. Its name is from when it was that of both sides. */}}
{{- define "headgate.xds.authoritySecret" -}}
{{- printf "%s-ca" (include "headgate.xds.name" .) }}
{{- end }}

{{- define "headgate.xds.serverAuthoritySecret" -}}
{{- printf "%s-server-ca" (include "headgate.xds.name" .) }}
{{- end }}

{{/* The Secret with the certificates of the authorities that sign the clients' certificates, in clientCAKey. */}}
{{- define "headgate.xds.clientCASecret" -}}
{{- $certificates := .Values.xds.certificates }}
{{- if $certificates.clientCASecretName }}
{{- $certificates.clientCASecretName }}
{{- else if and $certificates.certManager.enabled (not $certificates.certManager.issuerRef.name) }}
{{- include "headgate.xds.authoritySecret" . }}
{{- else }}
{{- include "headgate.xds.serverSecret" . }}
{{- end }}
{{- end }}

{{/* Whether cert-manager has the clients' authority sign the server's certificate still. Where one authority served both sides, clients trust it
alone: they have to be told of the other first. */}}
{{- define "headgate.xds.sharedAuthority" -}}
{{- $asked := .Values.xds.certificates.certManager.serverAuthority }}
{{- if eq $asked "Auto" }}
{{- $served := lookup "cert-manager.io/v1" "Certificate" .Release.Namespace (include "headgate.xds.name" .) }}
{{- eq (dig "spec" "issuerRef" "name" "" $served) (include "headgate.xds.name" .) }}
{{- else }}
{{- eq $asked "Shared" }}
{{- end }}
{{- end }}

{{/* Whether Headgate makes the certificates itself. */}}
{{- define "headgate.xds.ownAuthority" -}}
{{- and .Values.xds.enabled (not .Values.xds.certificates.secretName) (not .Values.xds.certificates.certManager.enabled) }}
{{- end }}

{{- define "headgate.xds.dnsNames" -}}
{{- $name := printf "%s.%s" (include "headgate.xds.name" .) .Release.Namespace }}
{{- $names := list $name (printf "%s.svc" $name) (printf "%s.svc.%s" $name .Values.clusterDomain) }}
{{- concat $names .Values.xds.certificates.dnsNames | toYaml }}
{{- end }}

{{/* Not the labels of the operator's pods: its Service and its NetworkPolicy must not take these for them. */}}
{{- define "headgate.xds.certificatesLabels" -}}
app.kubernetes.io/name: {{ include "headgate.name" . }}-certificates
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: certificates
app.kubernetes.io/part-of: headgate
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* A ServiceAccount that may make Secrets, and read and change three by name. */}}
{{- define "headgate.xds.certificatesAccount" }}
{{- $root := .root }}
{{- $metadata := dict "name" .name "namespace" $root.Release.Namespace "labels" (include "headgate.xds.certificatesLabels" $root | fromYaml) }}
{{- with .annotations }}{{ $_ := set $metadata "annotations" . }}{{ end }}
apiVersion: v1
kind: ServiceAccount
metadata: {{- toYaml $metadata | nindent 2 }}
automountServiceAccountToken: false
{{- if $root.Values.rbac.create }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{- toYaml $metadata | nindent 2 }}
rules:
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
  - {{ include "headgate.xds.authoritySecret" $root }}
  - {{ include "headgate.xds.serverAuthoritySecret" $root }}
  - {{ include "headgate.xds.serverSecret" $root }}
  verbs: [get, update]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{- toYaml $metadata | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
- kind: ServiceAccount
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
{{- end }}
{{- end }}

{{/* The template of the pod that makes and renews the certificates. */}}
{{- define "headgate.xds.certificatesPod" -}}
{{- $root := .root -}}
template:
  metadata:
    labels: {{- include "headgate.xds.certificatesLabels" $root | nindent 6 }}
  spec:
    restartPolicy: Never
    serviceAccountName: {{ .name }}
    automountServiceAccountToken: true
    enableServiceLinks: false
    {{- with $root.Values.imagePullSecrets }}
    imagePullSecrets: {{- toYaml . | nindent 4 }}
    {{- end }}
    securityContext:
      runAsNonRoot: true
      runAsUser: 65532
      runAsGroup: 65532
      seccompProfile:
        type: RuntimeDefault
    containers:
    - name: certificates
      image: {{ include "headgate.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
      - certificates
      - --namespace={{ $root.Release.Namespace }}
      - --authority-secret={{ include "headgate.xds.authoritySecret" $root }}
      - --server-authority-secret={{ include "headgate.xds.serverAuthoritySecret" $root }}
      - --server-secret={{ include "headgate.xds.serverSecret" $root }}
      - --separate-after={{ $root.Values.xds.certificates.separateAfter }}
      - --dns-names={{ join "," (include "headgate.xds.dnsNames" $root | fromYamlArray) }}
      resources:
        requests:
          cpu: 10m
          memory: 32Mi
        limits:
          memory: 64Mi
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
    {{- with $root.Values.nodeSelector }}
    nodeSelector: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $root.Values.tolerations }}
    tolerations: {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
