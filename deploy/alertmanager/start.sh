#!/bin/sh
# Adds the addresses of alerts.env to alertmanager.yml, then replaces itself with Alertmanager, which reads no variables.
set -eu
umask 077 # the configuration holds passwords
config=${TMPDIR:-/tmp}/alertmanager.yml

quote() { # a string of YAML
  printf "'%s'" "$(printf %s "$1" | sed "s/'/''/g")"
}

{
  cat "$(dirname "$0")/alertmanager.yml"
  printf 'receivers:\n  - name: people\n'
  if [ -n "${ALERT_EMAIL_TO:-}" ]; then
    : "${ALERT_SMTP_HOST:?is missing in alerts.env: the mail server and its port, such as smtp.example.org:587}"
    printf '    email_configs:\n      - send_resolved: true\n'
    printf '        to: %s\n' "$(quote "$ALERT_EMAIL_TO")"
    printf '        from: %s\n' "$(quote "${ALERT_EMAIL_FROM:-$ALERT_EMAIL_TO}")"
    printf '        smarthost: %s\n' "$(quote "$ALERT_SMTP_HOST")"
    printf '        auth_username: %s\n' "$(quote "${ALERT_SMTP_USER:-}")"
    printf '        auth_password: %s\n' "$(quote "${ALERT_SMTP_PASSWORD:-}")"
    printf '        require_tls: %s\n' "$(quote "${ALERT_SMTP_TLS:-true}" | tr -d "'")"
  fi
  if [ -n "${ALERT_SLACK_WEBHOOK:-}" ]; then
    printf '    slack_configs:\n      - send_resolved: true\n'
    printf '        api_url: %s\n' "$(quote "$ALERT_SLACK_WEBHOOK")"
    cat <<'END'
        title: '{{ .Status | toUpper }}: {{ .GroupLabels.alertname }} ({{ .CommonLabels.severity }})'
        text: "{{ range .Alerts }}{{ .Annotations.description }} <{{ .Annotations.runbook_url }}|Runbook>\n{{ end }}"
END
  fi
  if [ -n "${ALERT_WEBHOOK_URL:-}" ]; then
    printf '    webhook_configs:\n      - send_resolved: true\n'
    printf '        url: %s\n' "$(quote "$ALERT_WEBHOOK_URL")"
  fi
} >"$config"

if [ -z "${ALERT_EMAIL_TO:-}${ALERT_SLACK_WEBHOOK:-}${ALERT_WEBHOOK_URL:-}" ]; then
  echo "alerts.env names no address: alerts are shown, but sent to nobody" >&2
fi
unset ALERT_SMTP_PASSWORD ALERT_SLACK_WEBHOOK ALERT_WEBHOOK_URL
exec alertmanager --config.file="$config" "$@"
