{{- define "roomcast.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 45 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 45 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "roomcast.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "roomcast.labels" -}}
{{ include "roomcast.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "roomcast.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "roomcast.claim" -}}
{{ .Values.persistence.existingClaim | default (include "roomcast.name" .) }}
{{- end }}

{{/* Whether nothing is kept here: models and readings are elsewhere. */}}
{{- define "roomcast.stateless" -}}
{{- if and .Values.models.existingSecret .Values.store.postgres.existingSecret }}yes{{ end }}
{{- end }}

{{/* Whether all that mount the volume must be on one node. */}}
{{- define "roomcast.oneNode" -}}
{{- if include "roomcast.stateless" . }}{{ else if not (has "ReadWriteMany" .Values.persistence.accessModes) }}yes{{ end }}
{{- end }}

{{/* Whether there may be but one server at a time: a SQLite file, or an MQTT session that has a single owner. */}}
{{- define "roomcast.single" -}}
{{- if or (not .Values.store.postgres.existingSecret) .Values.sources.mqtt .Values.publish.mqtt }}yes{{ end }}
{{- end }}

{{/* What the schema cannot say because it needs several values. */}}
{{- define "roomcast.check" -}}
{{- if and (gt (int .Values.replicas) 1) (include "roomcast.single" .) }}
{{- fail "several replicas need store.postgres.existingSecret, and neither sources.mqtt nor publish.mqtt: an MQTT session has one owner" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (include "roomcast.oneNode" .) }}
{{- fail "several replicas need models.existingSecret, or persistence.accessModes: [ReadWriteMany]" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.enabled needs ingress.host" }}
{{- end }}
{{- end }}

{{/* Where readings are: a variable for the server's store, another for the input of the retraining. */}}
{{- define "roomcast.store" -}}
{{- if .Values.store.postgres.existingSecret }}
valueFrom:
  secretKeyRef:
    name: {{ .Values.store.postgres.existingSecret }}
    key: {{ .Values.store.postgres.key }}
{{- else }}
value: /var/lib/roomcast/readings.db
{{- end }}
{{- end }}

{{- define "roomcast.siteEnv" -}}
- name: ROOMCAST_MODELS
{{- if .Values.models.existingSecret }}
  valueFrom:
    secretKeyRef:
      name: {{ .Values.models.existingSecret }}
      key: {{ .Values.models.key }}
{{- else }}
  value: /var/lib/roomcast/models
{{- end }}
{{- with .Values.models.env }}
{{ toYaml . }}
{{- end }}
- name: ROOMCAST_TIMEZONE
  value: {{ .Values.site.timezone | quote }}
{{- if .Values.site.holidays }}
- name: ROOMCAST_HOLIDAYS
  value: /etc/roomcast/holidays.csv
{{- end }}
{{- end }}

{{- define "roomcast.mounts" -}}
- name: data
  mountPath: /var/lib/roomcast
- name: tmp
  mountPath: /tmp
{{- if .Values.site.holidays }}
- name: site
  mountPath: /etc/roomcast
  readOnly: true
{{- end }}
{{- end }}

{{- define "roomcast.volumes" -}}
- name: data
{{- if include "roomcast.stateless" . }}
  emptyDir:
    sizeLimit: 1Gi
{{- else }}
  persistentVolumeClaim:
    claimName: {{ include "roomcast.claim" . }}
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
{{- if .Values.site.holidays }}
- name: site
  configMap:
    name: {{ include "roomcast.name" . }}-site
{{- end }}
{{- end }}

{{/* Where all that mount the volume must be on one node, it is the server's. */}}
{{- define "roomcast.besideServer" -}}
{{- if include "roomcast.oneNode" . }}
affinity:
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "roomcast.selector" . | nindent 12 }}
            app.kubernetes.io/component: server
{{- end }}
{{- end }}

{{/* The user is the image's; the group owns the volume, changed only where its root has another. */}}
{{- define "roomcast.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "roomcast.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "roomcast.scheduling" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
