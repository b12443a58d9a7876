{{/* The flag for a Prometheus server of the platform. */}}
{{- define "headgate.prometheus.argument" -}}
--prometheus={{ .name }}={{ .url }}
{{- with .namespaceLabel }},label={{ . }}{{ end }}
{{- if .tokenSecret }},token-file=/etc/headgate/prometheus/{{ .name }}/token{{ end }}
{{- if or .caSecret .caConfigMap }},ca-file=/etc/headgate/prometheus/{{ .name }}/ca.crt{{ end }}
{{- end }}

{{/* The files of these servers, as sources of a projected volume; empty: there are none. */}}
{{- define "headgate.prometheus.files" -}}
{{- $sources := list }}
{{- range .Values.prometheus.servers }}
{{- $name := .name }}
{{- with .tokenSecret }}
{{- $sources = append $sources (dict "secret" (dict "name" .name "items" (list (dict "key" .key "path" (printf "%s/token" $name))))) }}
{{- end }}
{{- with .caSecret }}
{{- $sources = append $sources (dict "secret" (dict "name" .name "items" (list (dict "key" .key "path" (printf "%s/ca.crt" $name))))) }}
{{- end }}
{{- with .caConfigMap }}
{{- $sources = append $sources (dict "configMap" (dict "name" .name "items" (list (dict "key" .key "path" (printf "%s/ca.crt" $name))))) }}
{{- end }}
{{- end }}
{{- if $sources }}{{ toYaml $sources }}{{ end }}
{{- end }}
