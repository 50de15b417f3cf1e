#!/usr/bin/env bash
# Usage: scripts/watch.sh staging|production MINUTES [--url=URL] [--interval=SECONDS]
#
# Watches the service levels of the last five minutes for so long, and fails as soon as the error rate passes its alert
# threshold (shared/service_levels.py), or the figures cannot be had three times in a row.
#
#   --url=URL            ask this gateway, instead of the operators' one
#   --interval=SECONDS   between two looks (30)
#
# OPERATOR_TOKEN, or gcloud's account, says who asks.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

words=()
url=
interval=30
for word in "$@"; do
  case "$word" in
    --help) usage; exit ;;
    --url=*) url=${word#*=}; url=${url%/} ;;
    --interval=*) interval=${word#*=} ;;
    -*) misused "unknown option $word" ;;
    *) words+=("$word") ;;
  esac
done
[ ${#words[@]} -eq 2 ] || misused "an environment and a number of minutes are needed"
check_environment "${words[0]}"
need curl
need python3
[ -n "$url" ] || url=$(operator_url "${words[0]}")
seconds=$(python3 -c 'import sys; print(round(60 * float(sys.argv[1])))' "${words[1]}" 2>/dev/null) ||
  misused "${words[1]} is not a number of minutes"

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# Prints one line for people; ends with 1 when the error rate alarms, with 2 when the figures cannot be had.
look() {
  local status
  status=$(curl --silent --max-time 20 --header @<(operator_header "$url") --output "$answer" \
    --write-out '%{http_code}' "$url/metrics/summary?window=5m") || true
  if [ "$status" != 200 ]; then
    say "$(date -u +%T) no figures: $url/metrics/summary answered ${status:-nothing}"
    return 2
  fi
  python3 - "$answer" <<'PYTHON'
import json, sys, time

with open(sys.argv[1]) as file:
    summary = json.load(file)
states = {level["metric"]: level["state"] for level in summary["slo"]}
alarms = sorted(metric for metric, state in states.items() if state == "alert")
print(
    f"{time.strftime('%T', time.gmtime())} {summary['total_requests']} requests, errors"
    f" {summary['error_rate_percent']} %, p95 {summary['p95_ms']} ms, p99 {summary['p99_ms']} ms"
    + (f"; past its threshold: {', '.join(alarms)}" if alarms else ""),
    flush=True,
)
sys.exit("error_rate_percent" in alarms)
PYTHON
}

end=$((SECONDS + seconds))
misses=0
while true; do
  code=0
  look || code=$?
  case $code in
    0) misses=0 ;;
    1) die "the error rate is past its alert threshold: scripts/rollback.sh ${words[0]}" ;;
    *) misses=$((misses + 1)); [ $misses -lt 3 ] || die "the figures cannot be had" ;;
  esac
  [ $SECONDS -lt $end ] || [ $misses -gt 0 ] || break
  sleep "$interval"
done
say "The error rate stayed below its threshold for ${words[1]} minutes"
