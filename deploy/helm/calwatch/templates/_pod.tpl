{{/*
The pod of one role. Given: root (the chart's context), role (all, intake or worker), component (for
its labels), settings (.Values.main or .Values.worker), workers (processes that judge; 0: none).
*/}}
{{- define "calwatch.pod" -}}
{{- $v := .root.Values }}
{{- $secret := include "calwatch.secret" .root }}
metadata:
  annotations:
    # A changed configuration starts the pods anew.
    checksum/config: {{ include "calwatch.configData" .root | sha256sum }}
    {{- with .settings.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "calwatch.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $v.terminationGracePeriodSeconds }}
  {{- with $v.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10123
    runAsGroup: 10123
    fsGroup: 10123
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- if include "calwatch.credentials" .root }}
  initContainers:
    # libpq takes no pgpass file that others than its owner may read, as files of a secret are.
    - name: credentials
      image: {{ include "calwatch.image" .root | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      command: ["/bin/sh", "-ec", "umask 277; cp -fL /run/calwatch-secret/* /run/calwatch/"]
      securityContext:
        {{- include "calwatch.containerSecurity" . | nindent 8 }}
      resources:
        requests: {cpu: 10m, memory: 16Mi}
        limits: {cpu: 100m, memory: 32Mi}
      volumeMounts:
        - {name: secret, mountPath: /run/calwatch-secret, readOnly: true}
        - {name: credentials, mountPath: /run/calwatch}
  {{- end }}
  containers:
    - name: calwatch
      image: {{ include "calwatch.image" .root | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      command: ["calwatch"]
      args: ["run", "--config", "/etc/calwatch/calwatch.yaml", "--role", {{ .role | quote }}]
      securityContext:
        {{- include "calwatch.containerSecurity" . | nindent 8 }}
      env:
        {{- include "calwatch.env" . | trim | nindent 8 }}
      ports:
        - {name: metrics, containerPort: {{ $v.metrics.port }}, protocol: TCP}
        {{- if and $v.web.enabled (ne .role "worker") }}
        - {name: http, containerPort: {{ $v.web.port }}, protocol: TCP}
        {{- end }}
      {{- with $v.probes }}
      startupProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 5
        timeoutSeconds: {{ .timeoutSeconds }}
        failureThreshold: {{ div .startSeconds 5 }}
      livenessProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: {{ .periodSeconds }}
        timeoutSeconds: {{ .timeoutSeconds }}
        failureThreshold: {{ .failures }}
      readinessProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: {{ .periodSeconds }}
        timeoutSeconds: {{ .timeoutSeconds }}
        failureThreshold: 1
      {{- end }}
      resources:
        {{- include "calwatch.resources" . | trim | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/calwatch, readOnly: true}
        - {name: state, mountPath: /var/lib/calwatch}
        - {name: tmp, mountPath: /tmp}
        {{- if and $v.calibrations.enabled .workers }}
        - {name: calibrations, mountPath: /var/cache/calwatch}
        {{- end }}
        {{- if include "calwatch.credentials" .root }}
        - {name: credentials, mountPath: /run/calwatch, readOnly: true}
        {{- end }}
        {{- if and $v.kafka.enabled $v.kafka.caSecret }}
        - {name: kafka-ca, mountPath: /etc/kafka-ca, readOnly: true}
        {{- end }}
        {{- with $v.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "calwatch.fullname" .root }}
    - name: tmp
      emptyDir: {sizeLimit: {{ $v.tmpSize }}}
    - name: state
      {{- if and (eq $v.state.volume "claim") (ne .role "worker") }}
      persistentVolumeClaim:
        claimName: {{ include "calwatch.fullname" .root }}
      {{- else }}
      emptyDir: {sizeLimit: {{ $v.state.size }}}
      {{- end }}
    {{- if and $v.calibrations.enabled .workers }}
    - name: calibrations
      {{- if eq $v.calibrations.volume "claim" }}
      persistentVolumeClaim:
        claimName: {{ $v.calibrations.claim }}
      {{- else if eq $v.calibrations.volume "ephemeral" }}
      ephemeral:
        volumeClaimTemplate:
          metadata:
            labels:
              {{- include "calwatch.selector" .root | nindent 14 }}
          spec:
            accessModes: [ReadWriteOnce]
            {{- with $v.calibrations.storageClass }}
            storageClassName: {{ . }}
            {{- end }}
            resources:
              requests:
                storage: {{ include "calwatch.calibrationsSize" .root }}
      {{- else }}
      emptyDir: {sizeLimit: {{ include "calwatch.calibrationsSize" .root }}}
      {{- end }}
    {{- end }}
    {{- if include "calwatch.credentials" .root }}
    - name: credentials
      emptyDir: {medium: Memory, sizeLimit: 1Mi}
    - name: secret
      secret:
        secretName: {{ $secret }}
        defaultMode: 0440
        items:
          {{- if $v.butler.s3Credentials }}
          - {key: aws-credentials.ini, path: aws-credentials.ini}
          {{- end }}
          {{- if $v.butler.pgCredentials }}
          - {key: postgres-credentials.txt, path: postgres-credentials.txt}
          {{- end }}
    {{- end }}
    {{- if and $v.kafka.enabled $v.kafka.caSecret }}
    - name: kafka-ca
      secret:
        secretName: {{ $v.kafka.caSecret }}
        items:
          - {key: ca.crt, path: ca.crt}
    {{- end }}
    {{- with $v.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .settings.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .settings.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .settings.affinity }}
  affinity:
    {{- toYaml .settings.affinity | nindent 4 }}
  {{- else if eq .role "worker" }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "calwatch.selector" .root | nindent 16 }}
                app.kubernetes.io/component: worker
  {{- end }}
{{- end }}

{{- define "calwatch.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* CPU and memory as the values have them, and the node's disk as the volumes need it. */}}
{{- define "calwatch.resources" -}}
{{- $v := .root.Values }}
{{- $calibrations := 0 }}
{{- if and $v.calibrations.enabled .workers (eq $v.calibrations.volume "emptyDir") }}
{{- $calibrations = include "calwatch.calibrationsSize" .root | include "calwatch.mebibytes" | int }}
{{- end }}
{{- $state := 0 }}
{{- if or (eq $v.state.volume "emptyDir") (eq .role "worker") }}
{{- $state = include "calwatch.mebibytes" $v.state.size | int }}
{{- end }}
{{- /* The log is on the node's disk, too. */}}
{{- $all := add $calibrations $state 1024 (include "calwatch.mebibytes" $v.tmpSize | int) }}
{{- $requests := dict "ephemeral-storage" (printf "%dMi" (add $calibrations 1024)) }}
{{- $limits := dict "ephemeral-storage" (printf "%dMi" $all) }}
{{- toYaml (dict "requests" (merge $requests .settings.resources.requests) "limits" (merge $limits .settings.resources.limits)) }}
{{- end }}

{{- define "calwatch.mebibytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- mul $number (get (dict "Mi" 1 "Gi" 1024 "Ti" 1048576) (regexFind "[A-Z]i$" .)) -}}
{{- end }}

{{/* A tenth more than the bound: an entry is made before another makes room. */}}
{{- define "calwatch.calibrationsSize" -}}
{{ printf "%dMi" (div (mul (int64 .Values.calibrations.bytes) 11) 10485760) }}
{{- end }}

{{/* The variables of a pod: secrets by reference, and what differs between roles. */}}
{{- define "calwatch.env" -}}
{{- $v := .root.Values }}
{{- $secret := include "calwatch.secret" .root }}
- {name: HOME, value: /tmp}
{{- if .workers }}
- {name: CALWATCH_WORKERS, value: {{ .workers | quote }}}
{{- end }}
{{- if and (eq $v.ledger.kind "postgresql") (not $v.ledger.url) }}
- name: CALWATCH_LEDGER
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: ledger-url}
{{- end }}
{{- if $v.kafka.enabled }}
- {name: KAFKA_BOOTSTRAP_SERVERS, value: {{ $v.kafka.bootstrapServers | quote }}}
- {name: SCHEMA_MANAGER_REGISTRY_URL, value: {{ $v.kafka.registryUrl | quote }}}
- {name: KAFKA_SECURITY_PROTOCOL, value: {{ $v.kafka.securityProtocol }}}
{{- if hasPrefix "SASL" $v.kafka.securityProtocol }}
- {name: KAFKA_SASL_MECHANISM, value: {{ $v.kafka.saslMechanism }}}
- {name: KAFKA_SASL_USERNAME, value: {{ include "calwatch.username" .root | quote }}}
- name: KAFKA_SASL_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: kafka-password}
{{- end }}
{{- if $v.kafka.caSecret }}
- {name: KAFKA_CLUSTER_CA_PATH, value: /etc/kafka-ca/ca.crt}
{{- end }}
{{- end }}
{{- if and $v.web.enabled $v.web.token (ne .role "worker") }}
- name: CALWATCH_WEB__TOKEN
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: web-token}
{{- end }}
{{- if ne .role "worker" }}
{{- range $name, $key := $v.secret.env }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ $key }}}
{{- end }}
{{- end }}
{{- if $v.butler.s3Credentials }}
- {name: AWS_SHARED_CREDENTIALS_FILE, value: /run/calwatch/aws-credentials.ini}
{{- end }}
{{- if $v.butler.pgCredentials }}
- {name: PGPASSFILE, value: /run/calwatch/postgres-credentials.txt}
{{- end }}
{{- with $v.butler.pgUser }}
- {name: PGUSER, value: {{ . | quote }}}
{{- end }}
{{- range $name, $value := merge dict $v.extraEnv $v.butler.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
