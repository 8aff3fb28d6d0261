{{/* Name of everything that is made. */}}
{{- define "calwatch.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end }}

{{- define "calwatch.selector" -}}
app.kubernetes.io/name: calwatch
app.kubernetes.io/instance: {{ include "calwatch.fullname" . }}
{{- end }}

{{- define "calwatch.labels" -}}
{{ include "calwatch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "calwatch.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "calwatch.secret" -}}
{{ .Values.secret.name | default (include "calwatch.fullname" .) }}
{{- end }}

{{- define "calwatch.username" -}}
{{ .Values.kafka.username | default (include "calwatch.fullname" .) }}
{{- end }}

{{- define "calwatch.group" -}}
{{ .Values.kafka.group | default (include "calwatch.fullname" .) }}
{{- end }}

{{- define "calwatch.jobsTopic" -}}
{{ .Values.kafka.jobsTopic | default (printf "%s.jobs" (include "calwatch.fullname" .)) }}
{{- end }}

{{- define "calwatch.prefix" -}}
{{ dig "kafka" "prefix" "lsst.cp.calwatch" .Values.config }}
{{- end }}

{{/* The SAL channel of the configuration, as YAML; empty if there is none. */}}
{{- define "calwatch.sal" -}}
{{- range dig "alarms" "channels" list .Values.config -}}
{{- if eq .type "sal" -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What the SAL topics begin with. */}}
{{- define "calwatch.salPrefix" -}}
{{- with include "calwatch.sal" . | fromYaml -}}
lsst.{{ .subname | default "sal" }}.{{ .component | default "CalWatch" }}
{{- end -}}
{{- end }}

{{/* Whether a file of the secret has to be copied to where only its owner may read it. */}}
{{- define "calwatch.credentials" -}}
{{- if or .Values.butler.s3Credentials .Values.butler.pgCredentials -}}true{{- end -}}
{{- end }}

{{/* A name that Kubernetes takes, for a Kafka topic. */}}
{{- define "calwatch.topicResource" -}}
{{ . | lower | replace "_" "-" }}
{{- end }}

{{/* What goes together with other values, and is told before Kubernetes would find out. */}}
{{- define "calwatch.checks" -}}
{{- if and (eq .Values.mode "fleet") (ne .Values.ledger.kind "postgresql") }}
{{- fail "ledger.kind: a fleet shares one ledger, so mode: fleet needs postgresql" }}
{{- end }}
{{- if and (eq .Values.mode "fleet") (not .Values.kafka.enabled) }}
{{- fail "kafka.enabled: a fleet hands out jobs through Kafka, so mode: fleet needs it" }}
{{- end }}
{{- if and .Values.ledger.url (not .Values.butler.pgCredentials) }}
{{- fail "ledger.url: its password is read from postgres-credentials.txt, so set butler.pgCredentials" }}
{{- end }}
{{- if and .Values.kafka.enabled (not .Values.kafka.eventTopics) (dig "kafka" "events" true .Values.config) }}
{{- fail "kafka.eventTopics: is empty; give the values of a camera, or set config.kafka.events to false" }}
{{- end }}
{{- if and (eq .Values.calibrations.volume "claim") (not .Values.calibrations.claim) }}
{{- fail "calibrations.claim: calibrations.volume is claim, but none is named" }}
{{- end }}
{{- if and (eq .Values.mode "fleet") (eq .Values.calibrations.volume "claim") }}
{{- fail "calibrations.volume: locks on these files hold on one node only, so a fleet needs emptyDir or ephemeral" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.host: is empty" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.web.enabled) }}
{{- fail "ingress.enabled: there is no page without web.enabled" }}
{{- end }}
{{- with .Values.worker.autoscaling }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- fail "worker.autoscaling.minReplicas: is more than maxReplicas" }}
{{- end }}
{{- if gt (int .maxReplicas) (int $.Values.kafka.jobsPartitions) }}
{{- fail "worker.autoscaling.maxReplicas: is more than kafka.jobsPartitions, and the others would have nothing to do" }}
{{- end }}
{{- end }}
{{- range dig "alarms" "channels" list .Values.config }}
{{- if .urls }}
{{- fail "config.alarms.channels: urls hold passwords, and everybody can read a ConfigMap; name the variable in url_env and its key in secret.env" }}
{{- end }}
{{- end }}
{{- $sasl := hasPrefix "SASL" .Values.kafka.securityProtocol }}
{{- if and .Values.worker.autoscaling.enabled (eq .Values.mode "fleet") (not $sasl) (ne .Values.kafka.securityProtocol "PLAINTEXT") }}
{{- fail "worker.autoscaling.enabled: client certificates are not passed on to KEDA; use SASL" }}
{{- end }}
{{- end }}

{{/* The daemon's configuration: what the values say, and what has to agree with the pods. */}}
{{- define "calwatch.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $_ := set $config "metrics_port" (int .Values.metrics.port) }}
{{- if .Values.web.enabled }}
{{- $_ := set $config "web" (dict "port" (int .Values.web.port) "host" "0.0.0.0") }}
{{- end }}
{{- if eq .Values.ledger.kind "sqlite" }}
{{- $_ := set $config "ledger" "sqlite:////var/lib/calwatch/ledger.db" }}
{{- else if .Values.ledger.url }}
{{- $_ := set $config "ledger" .Values.ledger.url }}
{{- end }}
{{- if .Values.calibrations.enabled }}
{{- $_ := set $config "calibration_folder" "/var/cache/calwatch" }}
{{- $_ := set $config "calibration_folder_bytes" (int64 .Values.calibrations.bytes) }}
{{- end }}
{{- if .Values.kafka.enabled }}
{{- $kafka := dict "group" (include "calwatch.group" .) "jobs_topic" (include "calwatch.jobsTopic" .) "jobs_partitions" (int .Values.kafka.jobsPartitions) }}
{{- $_ := set $config "kafka" (merge $kafka ($config.kafka | default dict)) }}
{{- end }}
{{- if .Values.ingress.enabled }}
{{- $page := dict "page" (printf "https://%s" .Values.ingress.host) }}
{{- $_ := set $config "alarms" (merge $page ($config.alarms | default dict)) }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* All files in /etc/calwatch. */}}
{{- define "calwatch.configData" -}}
calwatch.yaml: |
  {{- include "calwatch.config" . | nindent 2 }}
{{- range $name, $content := .Values.extraFiles }}
{{ $name }}: |
  {{- $content | nindent 2 }}
{{- end }}
{{- end }}
