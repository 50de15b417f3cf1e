#!/usr/bin/env bash
# Usage: scripts/scheduler.sh staging|production status|pause|resume|run [--job=JOB] [--dry-run]
#
# The hourly cleanup's job in Cloud Scheduler: what it does, and pausing, resuming and running it now.
#
#   --job=JOB   projects/…/locations/…/jobs/…, instead of the environment's liftlog-cleanup-ENV
#   --dry-run   show the job, change nothing
#
# GCP_PROJECT_ID, REGION (us-central1); Google's application default credentials.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

words=()
options=()
named=
for word in "$@"; do
  case "$word" in
    --help) usage; exit ;;
    --job=*) named=${word#*=} ;;
    --dry-run) options+=(--dry-run) ;;
    -*) misused "unknown option $word" ;;
    *) words+=("$word") ;;
  esac
done
[ ${#words[@]} -eq 2 ] || misused "an environment and an action are needed"
check_environment "${words[0]}"
case "${words[1]}" in
  status | pause | resume | run) ;;
  *) misused "the action is status, pause, resume or run, not ${words[1]}" ;;
esac
python=$(venv_python) || exit 1
named=${named:-projects/$(project)/locations/$(region)/jobs/liftlog-cleanup-${words[0]}}
cd "$root"
exec "$python" -m scripts.scheduler "${words[1]}" --job "$named" ${options[@]+"${options[@]}"}
