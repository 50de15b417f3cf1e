#!/usr/bin/env bash
# Usage: scripts/backup.sh staging|production [DESCRIPTION] [--list] [--dry-run]
#
# Makes a backup of the database now, and waits until it is whole; a failed one is an error. Cloud SQL makes one each
# night, too. Both databases are in it.
#
#   --list      show the backups, the newest first, and make none
#   --dry-run   check everything, make none
set -euo pipefail
source "$(dirname "$0")/lib.sh"

words=()
list=false
for word in "$@"; do
  case "$word" in
    --help) usage; exit ;;
    --list) list=true ;;
    --dry-run) dry_run=true ;;
    -*) misused "unknown option $word" ;;
    *) words+=("$word") ;;
  esac
done
[ ${#words[@]} -ge 1 ] && [ ${#words[@]} -le 2 ] || misused "an environment is needed, and at most a description"
check_environment "${words[0]}"
need gcloud
instance=$(instance "${words[0]}")
if "$list"; then
  gcloud sql backups list --instance="$instance" --project="$(project)" \
    --format='table(id, windowStartTime, type, status, description)'
  exit
fi
state=$(ask "there is no instance $instance: terraform apply makes it" \
  gcloud sql instances describe "$instance" --project="$(project)" --format='value(state)') || exit 1
[ "$state" = RUNNABLE ] || die "$instance is $state, not RUNNABLE: it cannot be backed up now"
say "Backing up $instance"
change gcloud sql backups create --instance="$instance" --project="$(project)" --quiet \
  --description="${words[1]:-by $(id -un) with scripts/backup.sh}"
"$dry_run" || gcloud sql backups list --instance="$instance" --project="$(project)" --limit=1 \
  --format='value[separator="  "](id, status, description)'
