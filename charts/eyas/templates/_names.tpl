{{- define "eyas.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "eyas.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "eyas.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "eyas.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "eyas.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "eyas.selectorLabels" -}}
app.kubernetes.io/name: {{ include "eyas.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "eyas.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "eyas.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "eyas.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "eyas.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "eyas.image" -}}
{{- $image := .Values.image -}}
{{- $name := printf "%s/%s" $image.registry $image.repository | trimPrefix "/" -}}
{{- if $image.digest }}{{ printf "%s@%s" $name $image.digest }}
{{- else }}{{ printf "%s:%s" $name (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- /* The image of install and follow: the same one, unless another is named. */ -}}
{{- define "eyas.cliImage" -}}
{{- $image := .Values.falcoctl.image -}}
{{- if $image.repository }}
{{- printf "%s/%s:%s" (default .Values.image.registry $image.registry) $image.repository (default .Chart.AppVersion $image.tag) | trimPrefix "/" }}
{{- else }}
{{- include "eyas.image" . }}
{{- end }}
{{- end }}

{{- /* Neither root nor any capability: both only fetch files and talk to the control socket. */ -}}
{{- define "eyas.cliSecurityContext" -}}
runAsUser: 65532
runAsGroup: 65532
runAsNonRoot: true
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "eyas.sensorSecurityContext" -}}
{{- if .Values.containerSecurityContext }}
{{- toYaml .Values.containerSecurityContext }}
{{- else if not .Values.driver.modernEbpf.leastPrivileged }}
privileged: true
readOnlyRootFilesystem: true
{{- else }}
runAsUser: 0
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
  add: [BPF, PERFMON, SYS_PTRACE]
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- end }}

{{- define "eyas.proxyEnv" -}}
{{- with .Values.proxy.http }}
- {name: HTTP_PROXY, value: {{ . | quote }}}
{{- end }}
{{- with .Values.proxy.https }}
- {name: HTTPS_PROXY, value: {{ . | quote }}}
{{- end }}
{{- with index .Values.proxy "no" }}
- {name: NO_PROXY, value: {{ . | quote }}}
{{- end }}
{{- end }}

{{- define "eyas.cliEnv" -}}
{{- include "eyas.proxyEnv" . }}
- {name: HOME, value: /tmp}
{{- if .Values.registry.existingSecret }}
- {name: DOCKER_CONFIG, value: /etc/eyas/registry}
{{- end }}
{{- end }}

{{- define "eyas.cliMounts" -}}
- {name: config, mountPath: /etc/eyas/eyas.yaml, subPath: eyas.yaml, readOnly: true}
- {name: policy, mountPath: /etc/eyas/policy, readOnly: true}
- {name: keys, mountPath: /etc/eyas/keys, readOnly: true}
- {name: store, mountPath: /var/lib/eyas}
- {name: tmp, mountPath: /tmp}
{{- if .Values.registry.existingSecret }}
- {name: registry, mountPath: /etc/eyas/registry, readOnly: true}
{{- end }}
{{- end }}

{{- /* Stops rendering where a value asks for something that would silently not happen. */ -}}
{{- define "eyas.refuse" -}}
{{- if not (has .Values.driver.kind (list "auto" "modern_ebpf" "modern-bpf")) }}
{{- fail (printf "driver.kind `%s` does not exist here: use auto or modern_ebpf, the probe is built into the sensor" .Values.driver.kind) }}
{{- end }}
{{- if ne .Values.controller.kind "daemonset" }}
{{- fail (printf "controller.kind `%s` is not supported yet: use daemonset" .Values.controller.kind) }}
{{- end }}
{{- range $old := list "ebpf" "gvisor" }}
{{- if hasKey $.Values.driver $old }}
{{- fail (printf "driver.%s was removed: use driver.kind=modern_ebpf" $old) }}
{{- end }}
{{- end }}
{{- range $old := list "grpc" "grpc_output" }}
{{- if hasKey $.Values.falco $old }}
{{- fail (printf "falco.%s was removed: use the control socket or an HTTP output" $old) }}
{{- end }}
{{- end }}
{{- if and .Values.falcoctl.artifact.install.enabled (not .Values.falcoctl.config.artifact.install.refs) }}
{{- fail "falcoctl.config.artifact.install.refs is empty: name what to install, or set falcoctl.artifact.install.enabled=false" }}
{{- end }}
{{- end }}
