#!/usr/bin/env bash
# Usage: scripts/rollback.sh staging|production [RELEASE|TAG|REVISION] [--list] [--dry-run]
#
# Gives all traffic back to an earlier release, all functions together. Without a name: to the release before the current
# one; or, where a deployment or a rollback was interrupted, to the current one. Started again it goes on where it was.
# A REVISION (liftlog-user-staging-00005-abc) takes its function back alone, with a warning: the others stay.
# The database stays as it is: old code runs on a new schema.
#
#   --list      show the releases, the newest first; * is the current one
#   --dry-run   look at everything, change nothing
#
# GCP_PROJECT_ID, REGION (us-central1).
set -euo pipefail
source "$(dirname "$0")/lib.sh"

command=rollback
words=()
options=()
for word in "$@"; do
  case "$word" in
    --help) usage; exit ;;
    --list) command=list ;;
    --dry-run) options+=(--dry-run) ;;
    -*) misused "unknown option $word" ;;
    *) words+=("$word") ;;
  esac
done
[ ${#words[@]} -ge 1 ] && [ ${#words[@]} -le 2 ] || misused "an environment is needed, and at most one name after it"
check_environment "${words[0]}"
need gcloud
need python3
cd "$root"
exec python3 -m scripts.release "$command" "${words[@]}" ${options[@]+"${options[@]}"}
