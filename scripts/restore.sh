#!/usr/bin/env bash
# Usage: scripts/restore.sh staging|production BACKUP_ID [--without-backup] [--yes] [--dry-run]
#        scripts/restore.sh staging|production --open [--dry-run]
#
# Puts the database back to a backup (scripts/backup.sh ENV --list). While that goes on clients get 503: a 404 for what
# the backup does not hold would make installed apps delete their accounts.
#
#   1  back up what there is now
#   2  close: all public functions answer 503, by revisions with MAINTENANCE=true; the hourly cleanup pauses
#   3  restore, and give the database's user the password of Secret Manager: the backup brings its own back
#   4  migrate the schema to this release's
#   5  verify: the operators' gateway finds the database ready, and a person says that the data is right
#   6  open: all traffic back to where it was, the cleanup resumes
#
# If anything fails the service stays closed. Then correct the cause and start it again, or end it with --open.
#
#   --without-backup   leave out step 1, when the database is too broken for it
#   --yes              nobody is there to look at the data; its readiness is enough
#   --open             step 6 alone
#   --dry-run          show what would be done
set -euo pipefail
source "$(dirname "$0")/lib.sh"

words=()
backup_first=true
ask=true
open_only=false
for word in "$@"; do
  case "$word" in
    --help) usage; exit ;;
    --without-backup) backup_first=false ;;
    --yes) ask=false ;;
    --open) open_only=true ;;
    --dry-run) dry_run=true ;;
    -*) misused "unknown option $word" ;;
    *) words+=("$word") ;;
  esac
done
if "$open_only"; then wanted=1; else wanted=2; fi
[ ${#words[@]} -eq "$wanted" ] || misused "an environment and a backup's id are needed"
environment=${words[0]}
check_environment "$environment"
need gcloud
need curl
need python3
exec 3<&0 </dev/null # the answer below is for nobody else
instance=$(instance "$environment")
job=(--project="$(project)" --location="$(region)" --quiet --format=none)
options=()
if "$dry_run"; then options+=(--dry-run); fi

release() {
  (cd "$root" && python3 -m scripts.release "$@" ${options[@]+"${options[@]}"})
}

open() {
  say "6  opening"
  release open "$environment"
  change gcloud scheduler jobs resume "liftlog-cleanup-$environment" "${job[@]}"
  say "Open. Now: scripts/smoke.sh URL, scripts/watch.sh $environment 15"
}

if "$open_only"; then
  open
  exit
fi

id=${words[1]}
status=$(ask "$instance has no backup $id; see them with scripts/backup.sh $environment --list" \
  gcloud sql backups describe "$id" --instance="$instance" --project="$(project)" --format='value(status)') || exit 1
[ "$status" = SUCCESSFUL ] || die "backup $id is $status: it cannot be restored"

if "$backup_first"; then
  say "1  backing up what there is now"
  change "$here/backup.sh" "$environment" "before the restore of $id"
fi

closed=false
trap '"$closed" && say "The service is CLOSED (503). Start this again, or end it: scripts/restore.sh $environment --open" >&2' EXIT
say "2  closing"
"$dry_run" || closed=true
release close "$environment"
change gcloud scheduler jobs pause "liftlog-cleanup-$environment" "${job[@]}"

say "3  restoring backup $id"
change gcloud sql backups restore "$id" --restore-instance="$instance" --project="$(project)" --quiet
set_database_password "$environment"

say "4  migrating"
change gcloud functions call "liftlog-migrate-$environment" --gen2 --project="$(project)" --region="$(region)" \
  --data='{}' --format='value(.)'

say "5  verifying"
if ! "$dry_run"; then
  operators=$(operator_url "$environment")
  ready=$(curl --silent --max-time 60 --header @<(operator_header "$operators") --output /dev/null \
    --write-out '%{http_code}' "$operators/health/ready") || true
  [ "$ready" = 200 ] || die "the restored database is not ready: $operators/health/ready answers $ready"
  say "   the database is ready"
  if "$ask"; then
    say "   Look at the data now, for example with scripts/smoke.sh or a user's id at the operators' gateway:"
    say "   gcloud functions call liftlog-operator-$environment --gen2 --region=$(region) --data='{\"route\": \"GET /user/ID\"}'"
    read -r -p "   Is it right? Type yes to open: " answer <&3 || answer=
    [ "$answer" = yes ] || die "not opened"
  fi
fi
open
closed=false
