{{- define "millrace.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name }}{{ end }}
{{- end }}

{{/* Short enough for the longest of our names to be a label. */}}
{{- define "millrace.fullname" -}}
{{- include "millrace.name" . | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "millrace.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "millrace.labels" -}}
{{ include "millrace.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "millrace.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{/* The job's file as the processes are told it. */}}
{{- define "millrace.job" -}}
{{- if .Values.job.source }}/app/jobs/mounted/{{ base .Values.job.file }}{{ else }}{{ .Values.job.file }}{{ end }}
{{- end }}

{{- define "millrace.env" -}}
{{- $values := .root.Values -}}
- { name: LOG_FORMAT, value: json }
- { name: LOG_LEVEL, value: {{ $values.logLevel | quote }} }
- { name: MILLRACE_ALIVE_FILE, value: /tmp/alive }
{{- with $values.job.as }}
- { name: MILLRACE_AS, value: {{ . | quote }} }
{{- end }}
{{- if $values.redis.secret.name }}
- name: REDIS_URL
  valueFrom:
    secretKeyRef: { name: {{ $values.redis.secret.name | quote }}, key: {{ $values.redis.secret.key | quote }} }
{{- else }}
- { name: REDIS_URL, value: {{ $values.redis.url | quote }} }
{{- end }}
{{- with $values.redis.shards }}
- { name: REDIS_SHARDS, value: {{ . | quote }} }
{{- end }}
{{- if .kafka }}
- { name: KAFKA_BROKERS, value: {{ $values.kafka.brokers | quote }} }
- { name: KAFKA_SSL, value: {{ $values.kafka.ssl | quote }} }
{{- with $values.kafka.sasl }}
{{- if .mechanism }}
- { name: KAFKA_SASL_MECHANISM, value: {{ .mechanism | quote }} }
- name: KAFKA_SASL_USERNAME
  valueFrom:
    secretKeyRef: { name: {{ .secret.name | quote }}, key: {{ .secret.usernameKey | quote }} }
- name: KAFKA_SASL_PASSWORD
  valueFrom:
    secretKeyRef: { name: {{ .secret.name | quote }}, key: {{ .secret.passwordKey | quote }} }
{{- end }}
{{- end }}
{{- end }}
{{- if .http }}
# Without it nobody but the pod itself could pause the job or change its limits.
- name: MILLRACE_TOKEN
  valueFrom:
    secretKeyRef: { name: {{ $values.token.secret.name | quote }}, key: {{ $values.token.secret.key | quote }} }
{{- end }}
{{- range $name, $value := .extra }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- range $name, $value := $values.env }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- end }}

{{/*
A pod of one process. root, component, args; kafka: whether it talks to Kafka; extra: its environment;
account: its service account; token: whether it talks to Kubernetes; settings: its part of the values;
http: whether it serves.
*/}}
{{- define "millrace.pod" -}}
{{- $values := .root.Values -}}
metadata:
  labels:
    {{- include "millrace.labels" . | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .component }}
    {{- if $values.job.source }}
    millrace.dev/job-source: {{ sha256sum $values.job.source | trunc 16 | quote }}
    {{- end }}
    {{- if eq .component "executor" }}
    # It holds nothing that is not in Redis: a node may be given up for it.
    cluster-autoscaler.kubernetes.io/safe-to-evict: "true"
    {{- end }}
    {{- with $values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ .account }}
  automountServiceAccountToken: {{ .token | default false }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .settings.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    runAsGroup: 1000
    seccompProfile: { type: RuntimeDefault }
  {{- with $values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $values.affinity }}
  affinity: {{- toYaml $values.affinity | nindent 4 }}
  {{- else }}
  # Two of a kind rather on two nodes.
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "millrace.selector" . | nindent 10 }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "millrace.image" .root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args: {{ toJson .args }}
      env:
        {{- include "millrace.env" . | nindent 8 }}
      {{- with $values.envFrom }}
      envFrom: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if .http }}
      ports:
        - { name: http, containerPort: 8080 }
      # Also while Kafka or Redis is away: the page is what says so. Whether the job could run is /readyz.
      readinessProbe:
        httpGet: { path: /healthz, port: http }
        periodSeconds: 5
      livenessProbe:
        httpGet: { path: /healthz, port: http }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      {{- else }}
      # From its first heartbeat on, which Redis has seen.
      readinessProbe:
        exec: { command: [test, -e, /tmp/alive] }
        periodSeconds: 5
      # Each heartbeat writes the file (once a second): older than 30 s, three times, and its thread hangs.
      # Before the first one it waits for Redis, which is no reason to start it again.
      livenessProbe:
        exec:
          command:
            - sh
            - -c
            - '[ ! -e /tmp/alive ] || [ $(( $(date +%s) - $(stat -c %Y /tmp/alive) )) -lt 30 ]'
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      {{- end }}
      # The end of its log is why it ended, which the supervisor tells.
      terminationMessagePolicy: FallbackToLogsOnError
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      resources: {{- toYaml .settings.resources | nindent 8 }}
      volumeMounts:
        - { name: tmp, mountPath: /tmp }
        {{- if $values.job.source }}
        - { name: job, mountPath: /app/jobs/mounted, readOnly: true }
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: { sizeLimit: 16Mi }
    {{- if $values.job.source }}
    - name: job
      configMap: { name: {{ include "millrace.fullname" .root }}-job }
    {{- end }}
{{- end }}

{{/* A Deployment of such a pod; strategy and replicas besides. */}}
{{- define "millrace.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "millrace.fullname" .root }}-{{ .component }}
  labels:
    {{- include "millrace.labels" . | nindent 4 }}
spec:
  {{- if not (kindIs "invalid" .replicas) }}
  replicas: {{ .replicas }}
  {{- end }}
  {{- with .minReadySeconds }}
  minReadySeconds: {{ . }}
  {{- end }}
  {{- with .strategy }}
  strategy: {{- toYaml . | nindent 4 }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "millrace.selector" . | nindent 6 }}
  template:
    {{- include "millrace.pod" . | nindent 4 }}
{{- end }}
